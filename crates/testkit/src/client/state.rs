//! The part of a client's state that the lock guards: the tunnel, and what the server does with its packets

use std::{net::Ipv4Addr, sync::Arc, time::Instant};

use pptp_driver::{Guarded, Packets, Slots};
use pptp_packet::{Egress, Wakers};
use pptp_tunnel::{Event, NotNow, Phase, RasCode, Tunnel, TunnelError};

use super::{heard::Heard, outbound::Outbound};
use crate::{
    Closes, Ended, Faults,
    clients::Clients,
    faults::without_echo_replies,
    ipv6,
    lan::{destination, has_expired, is_host, is_ping_of_router},
    unreachable::{Allowance, host_unreachable, time_exceeded},
};

/// The part of a client's state that the lock guards
pub(crate) struct ClientState {
    clients: Arc<Clients>,
    outbound: Arc<Outbound>,
    /// The client's outer address
    client: Ipv4Addr,
    inner_address: Option<Ipv4Addr>,
    tunnel: Option<Tunnel>,
    /// Octets that wait for the control connection
    control_out: Vec<u8>,
    down: Option<TunnelError>,
    heard: Heard,
    unreachable: Allowance,
    faults: Faults,
    /// True if the link was ended: a server in the Closing state sends no packet (RFC 1661 §4.2)
    is_closing: bool,
}

/// The consequences of a turn's events, for when the lock is released
#[derive(Debug, Default)]
pub(crate) struct News {
    /// The statistics have changed
    pub(super) changed: bool,
    /// IP packets pass for the first time
    pub(super) came_up: bool,
    /// The name with which the client logged in
    pub(super) user: Option<Box<str>>,
}

impl ClientState {
    pub(super) fn new(clients: Arc<Clients>, outbound: Arc<Outbound>, client: Ipv4Addr) -> Self {
        Self {
            clients,
            outbound,
            client,
            inner_address: None,
            tunnel: None,
            control_out: Vec::new(),
            down: None,
            heard: Heard::default(),
            unreachable: Allowance::default(),
            faults: Faults::default(),
            is_closing: false,
        }
    }

    pub(super) fn begin(
        &mut self,
        inner_address: Option<Ipv4Addr>,
        tunnel: Tunnel,
        faults: Faults,
    ) {
        self.inner_address = inner_address;
        self.tunnel = Some(tunnel);
        self.set_faults(faults);
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.with_tunnel(|tunnel| tunnel.set_faults(faults.link()));
    }

    /// Ends the link with an error code of Windows: no packet follows
    pub(super) fn terminate(&mut self, code: RasCode) {
        self.is_closing = true;
        self.with_tunnel(|tunnel| tunnel.terminate(code));
    }

    pub(super) fn with_tunnel(&mut self, f: impl FnOnce(&mut Tunnel)) {
        if let Some(tunnel) = &mut self.tunnel {
            f(tunnel);
        }
    }

    /// Takes octets of the control connection; returns true if the server closes it instead
    pub(super) fn handle_control(&mut self, now: Instant, octets: &[u8]) -> bool {
        self.heard.listen(octets);
        let closes = match self.clients.closes() {
            Some(Closes::AtStartRequest) => self.heard.start_requested,
            Some(Closes::AtCallRequest) => self.heard.call_requested,
            _ => false,
        };
        if !closes {
            self.with_tunnel(|tunnel| tunnel.handle_control(now, octets));
        }
        closes
    }

    /// Takes the octets for the control connection, and true if the server closes it behind them
    pub(super) fn take_control_out(&mut self) -> (Vec<u8>, bool) {
        let mut octets = std::mem::take(&mut self.control_out);
        if self.faults.ignores_control_echoes {
            octets = without_echo_replies(&octets);
        }
        let closes = self.clients.closes() == Some(Closes::BehindCallReply);
        (octets, closes && self.heard.call_requested)
    }

    /// Ends the tunnel, and tells how it ended, if it has
    pub(super) fn end(&mut self) -> Option<Ended> {
        let tunnel = self.tunnel.take()?;
        Some(Ended {
            client: self.client,
            inner_address: self.inner_address,
            was_up: self.outbound.mtu() > 0,
            lcp_opened: tunnel.timeline().reached(Phase::Authentication).is_some(),
            call_cleared: self.heard.call_cleared,
            stopped: self.heard.stopped,
            reason: self.down.clone()?,
        })
    }

    /// Hands a packet to the building, or answers that it is not delivered
    fn deliver_ipv4(&mut self, now: Instant, packet: &[u8]) {
        let to = destination(packet);
        if has_expired(packet) && to.is_some_and(is_host) {
            if !self.faults.hides_expired {
                self.answer(now, time_exceeded(packet));
            }
            return;
        }
        let is_dead = self.faults.hosts_are_dead && to.is_some_and(is_host);
        if is_dead || self.faults.ignores_pings && is_ping_of_router(packet) {
            return;
        }
        let stacks = self.clients.stacks();
        if to.is_none_or(|to| stacks.take(to)) {
            stacks.handle_ip(now, packet);
        } else {
            self.answer(now, host_unreachable(packet));
        }
    }

    /// Sends an ICMP message about the client's packet, unless too many were sent
    fn answer(&mut self, now: Instant, message: Option<Vec<u8>>) {
        let Some(message) = message else { return };
        if destination(&message) == self.inner_address && self.unreachable.take(now) {
            self.outbound.push(message);
        }
    }

    /// Drops the packets that wait, because none passes
    fn refuse_waiting(&self) {
        let refused = self.outbound.clear();
        if refused > 0 {
            self.clients.count(|stats| {
                stats.undeliverable = stats.undeliverable.saturating_add(refused as u64);
            });
            self.clients.has_room();
        }
    }
}

impl Guarded for ClientState {
    type Carrier = Tunnel;
    type News = News;

    fn carrier(&self) -> Option<&Tunnel> {
        self.tunnel.as_ref()
    }

    fn carrier_mut(&mut self) -> Option<&mut Tunnel> {
        self.tunnel.as_mut()
    }

    fn deliver(&mut self, now: Instant, packet: &mut [u8], _slots: Slots<'_>) {
        if packet.first().is_some_and(|first| first >> 4 == 6) {
            if let Some(reply) = ipv6::echo_reply(packet) {
                self.outbound.push(reply);
            }
        } else {
            self.deliver_ipv4(now, packet);
        }
    }

    fn handle_event(&mut self, _now: Instant, event: Event, news: &mut News) {
        match event {
            Event::Up(facts) => {
                news.came_up |= self.outbound.up(usize::from(facts.mtu));
                news.user = Some(facts.peer_name.clone());
            }
            Event::Renegotiating => self.outbound.down(),
            Event::Down(reason) => {
                tracing::debug!(client = %self.client, %reason, "down");
                self.outbound.down();
                self.down.get_or_insert(reason);
            }
            _ => {}
        }
        news.changed = true;
    }

    /// Sends what waits, also if the client's window is full: it is advisory, and servers are known to ignore it
    fn egress(&mut self, now: Instant, slots: Slots<'_>, _wakers: &mut Wakers) -> Packets {
        let Some(tunnel) = &mut self.tunnel else { return Packets::default() };
        if self.faults.is_silent() || self.is_closing {
            self.outbound.clear();
            self.clients.has_room();
            return Packets::default();
        }
        if tunnel.may_send(now) == Err(NotNow::NotUp) {
            self.refuse_waiting();
            return Packets::default();
        }
        let was_full = self.outbound.is_full();
        let mut uplink = slots.sealed_by(tunnel, |_| {});
        while uplink.has_slot()
            && let Some(packet) = self.outbound.pop()
        {
            uplink.compose(packet.len(), |room| room.copy_from_slice(&packet));
        }
        if was_full && !self.outbound.is_full() {
            self.clients.has_room();
        }
        Packets { more: !self.outbound.is_empty(), deadline: None }
    }

    fn poll_control(&mut self, now: Instant) -> bool {
        let Self { tunnel: Some(tunnel), control_out, .. } = self else { return false };
        tunnel.poll_control(now, control_out)
    }
}
