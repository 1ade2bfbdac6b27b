//! The link, as a device of smoltcp

use pptp_packet::Egress;
use smoltcp::{
    phy::{self, Checksum, Device, DeviceCapabilities, Medium},
    time,
};

use crate::shared::counter::count;

/// A device that lives as long as one call: the packet that came in, and the way out
pub(super) struct Port<'a, E> {
    pub(super) packet: Option<&'a [u8]>,
    pub(super) out: &'a mut E,
    pub(super) sent: &'a mut u64,
    pub(super) mtu: usize,
}

impl<E: Egress> Device for Port<'_, E> {
    type RxToken<'t>
        = Receive<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Transmit<'t, E>
    where
        Self: 't;

    fn receive(&mut self, _: time::Instant) -> Option<(Receive<'_>, Transmit<'_, E>)> {
        let packet = self.packet.take()?;
        Some((Receive(packet), Transmit { out: self.out, sent: self.sent }))
    }

    fn transmit(&mut self, _: time::Instant) -> Option<Transmit<'_, E>> {
        self.out.has_room().then_some(Transmit { out: self.out, sent: self.sent })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

pub(super) struct Receive<'a>(&'a [u8]);

impl phy::RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

pub(super) struct Transmit<'a, E> {
    out: &'a mut E,
    sent: &'a mut u64,
}

impl<E: Egress> phy::TxToken for Transmit<'_, E> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        count(self.sent);
        self.out.compose(len, f)
    }
}

/// A device without a link, for making an interface, which asks for the capabilities only
pub(super) struct Unplugged {
    pub(super) mtu: usize,
}

impl Device for Unplugged {
    type RxToken<'t> = Receive<'t>;
    type TxToken<'t> = NoTransmit;

    fn receive(&mut self, _: time::Instant) -> Option<(Receive<'_>, NoTransmit)> {
        None
    }

    fn transmit(&mut self, _: time::Instant) -> Option<NoTransmit> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

pub(super) enum NoTransmit {}

impl phy::TxToken for NoTransmit {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

fn capabilities(mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    // incoming packets are verified before their socket is looked for, their headers before anything else
    (capabilities.checksum.ipv4, capabilities.checksum.tcp) = (Checksum::Tx, Checksum::Tx);
    capabilities
}
