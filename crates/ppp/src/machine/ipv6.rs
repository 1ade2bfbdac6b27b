//! IPv6 beside IPv4: never a reason to end a link, nor to hold it up

use std::time::Instant;

use crate::{
    context::PacketError,
    events::Phase,
    machine::{Machine, role::Role},
    negotiation::{ipv6cp::Ipv6Addresses, negotiator::Layer},
    wire::{frame, packet::Packet},
};

impl<R: Role> Machine<R> {
    /// Begins IPV6CP, if IPv6 is wanted and the MRU is large enough for it (RFC 8200 §5)
    pub(super) fn begin_ipv6(&mut self, now: Instant) {
        let is_wide_enough = self.link.is_some_and(|link| link.mru.min(link.peer_mru) >= MIN_MRU);
        if let Some(ipv6cp) = self.ipv6cp.as_mut().filter(|_| is_wide_enough) {
            ipv6cp.open(now, &mut self.context);
            ipv6cp.up(now, &mut self.context);
        }
    }

    /// Ends IPV6CP, since LCP is down
    pub(super) fn end_ipv6(&mut self, now: Instant) {
        if let Some(ipv6cp) = &mut self.ipv6cp {
            ipv6cp.down(now, &mut self.context);
        }
    }

    pub(super) fn receive_ipv6cp(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        let Some(ipv6cp) = &mut self.ipv6cp else { return Ok(()) };
        let layer = match ipv6cp.handle_packet(now, packet, &mut self.context) {
            Ok(layer) => layer,
            Err(PacketError::Discard(discard)) => return Err(PacketError::Discard(discard)),
            // IPv6 is not possible, and IPv4 goes on
            Err(PacketError::Fail(_)) => ipv6cp.protocol_rejected(now, &mut self.context),
        };
        self.ipv6_changed(layer);
        self.echo.heard(now);
        Ok(())
    }

    /// Tells a change after the link is up by another [`Event::Up`](crate::Event::Up)
    pub(super) fn ipv6_changed(&mut self, layer: Option<Layer>) {
        if matches!(layer, Some(Layer::Up | Layer::Down)) && self.phase == Phase::Up {
            self.tell_up();
        }
    }

    /// Returns true if packets of this protocol are taken
    pub(super) fn wants(&self, protocol: u16) -> bool {
        let has_ipv6 = || self.ipv6cp.as_ref().is_some_and(|ipv6cp| ipv6cp.is_open());
        protocol == frame::IP || (protocol == frame::IPV6 && has_ipv6())
    }

    /// The addresses, while IPv6 packets pass
    pub(super) fn ipv6_addresses(&self) -> Option<Ipv6Addresses> {
        let open = self.ipv6cp.as_deref().filter(|ipv6cp| ipv6cp.is_open());
        open.and_then(|ipv6cp| ipv6cp.options.addresses())
    }
}

/// The 1280 octets that IPv6 wants of every link (RFC 8200 §5), and what MPPE adds
const MIN_MRU: u16 = 1284;
