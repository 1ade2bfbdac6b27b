//! One UDP socket

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    task::{Poll, Waker},
};

use pptp_packet::Egress;
use smoltcp::{
    phy::ChecksumCapabilities,
    storage::{PacketBuffer, PacketMetadata},
    wire::{IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr},
};

use tokio::io::Ready;

use super::{
    device::{Addresses, HOP_LIMIT},
    waiters::Waiters,
};
use crate::{
    SocketError, UdpOptions,
    error::{destination_required, message_too_long},
};

/// One UDP socket: two rings of datagrams, each with the other side's address
///
/// Not smoltcp's own: that one gives a broadcast to one socket only, knows no connected sockets,
/// and loses a datagram over the MTU without a word.
pub(super) struct UdpSocket {
    pub(super) local: SocketAddrV4,
    pub(super) peer: Option<SocketAddrV4>,
    pub(super) broadcast: bool,
    pub(super) ttl: u8,
    /// Of datagrams to a group; 0 stay in this host
    pub(super) multicast_ttl: u8,
    /// Whether this host's own members of a group hear what is sent there
    pub(super) multicast_loop: bool,
    pub(super) groups: Vec<Ipv4Addr>,
    pub(super) readers: Waiters,
    pub(super) writers: Waiters,
    pub(super) queued: bool,
    /// Whether its user repeats what is lost, so that nothing of it has to wait for a path to open
    pub(super) repeats: bool,
    /// Whether it has no user any more and only waits for what it sent to leave
    pub(super) dropped: bool,
    /// What an ICMP message said of the peer, told once
    pub(super) pending_error: Option<SocketError>,
    /// Why no call succeeds any more
    pub(super) failed: Option<SocketError>,
    /// `None` once it has failed
    buffers: Option<Buffers>,
}

struct Buffers {
    receive: PacketBuffer<'static, SocketAddrV4>,
    send: PacketBuffer<'static, SocketAddrV4>,
}

impl UdpSocket {
    pub(super) fn new(local: SocketAddrV4, options: &UdpOptions, mtu: usize) -> Self {
        let buffer = |octets: usize| ring(octets.max(most_payload(mtu)));
        Self {
            local,
            peer: None,
            broadcast: options.broadcast,
            ttl: HOP_LIMIT,
            multicast_ttl: HOP_LIMIT,
            multicast_loop: true,
            groups: Vec::new(),
            readers: Waiters::default(),
            writers: Waiters::default(),
            queued: false,
            repeats: false,
            dropped: false,
            pending_error: None,
            failed: None,
            buffers: Some(Buffers {
                receive: buffer(options.receive_buffer),
                send: buffer(options.send_buffer),
            }),
        }
    }

    pub(super) fn connect(&mut self, peer: SocketAddrV4) {
        (self.peer, self.pending_error) = (Some(peer), None);
    }

    /// Whether a datagram is for this socket
    pub(super) fn takes(&self, source: SocketAddrV4, destination: SocketAddrV4, all: bool) -> bool {
        let (own, to) = (self.local.ip(), destination.ip());
        self.local.port() == destination.port()
            && self.peer.is_none_or(|peer| peer == source)
            && if to.is_multicast() {
                self.groups.contains(to)
            } else {
                all || own.is_unspecified() || own == to
            }
    }

    /// Keeps a datagram for its reader; false if there is no room
    pub(super) fn receive(
        &mut self,
        source: SocketAddrV4,
        payload: &[u8],
        wakes: &mut Vec<Waker>,
    ) -> bool {
        let kept = self.buffers.as_mut().is_some_and(|buffers| {
            buffers.receive.enqueue(payload.len(), source).is_ok_and(|room| {
                room.copy_from_slice(payload);
                true
            })
        });
        self.readers.wake(wakes);
        kept
    }

    /// Gives one datagram to `read`, which tells how much of it it took
    ///
    /// What it did not take is lost, as with the kernel's sockets.
    pub(super) fn recv(
        &mut self,
        peek: bool,
        read: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<(usize, SocketAddrV4)>> {
        self.check()?;
        let Some(buffers) = &mut self.buffers else { return Poll::Pending };
        let result = if peek {
            buffers.receive.peek().map(|(source, payload)| (read(payload), *source))
        } else {
            buffers.receive.dequeue().map(|(source, payload)| (read(payload), source))
        };
        result.map_or(Poll::Pending, |received| Poll::Ready(Ok(received)))
    }

    /// Queues one datagram
    pub(super) fn send(
        &mut self,
        payload: &[u8],
        to: Option<SocketAddrV4>,
        addresses: &Addresses,
        mtu: usize,
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let to = to.or(self.peer).ok_or_else(destination_required)?;
        addresses.check_peer(to)?;
        if addresses.is_broadcast(*to.ip()) && !self.broadcast {
            return Poll::Ready(Err(SocketError::BroadcastNotEnabled.into()));
        }
        let Some(buffers) = &mut self.buffers else { return Poll::Pending };
        if payload.len() > most_payload(mtu).min(buffers.send.payload_capacity()) {
            return Poll::Ready(Err(message_too_long()));
        }
        match buffers.send.enqueue(payload.len(), to) {
            Ok(room) => {
                room.copy_from_slice(payload);
                Poll::Ready(Ok(payload.len()))
            }
            Err(_) => Poll::Pending,
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        self.failed.is_some()
            || self.pending_error.is_some()
            || self.buffers.as_ref().is_some_and(|buffers| !buffers.receive.is_empty())
    }

    pub(super) fn is_writable(&self) -> bool {
        self.failed.is_some()
            || self.pending_error.is_some()
            || self.buffers.as_ref().is_some_and(|buffers| !buffers.send.is_full())
    }

    /// What a receive and a send would not wait for
    pub(super) fn readiness(&self) -> Ready {
        let failed = self.failed.is_some();
        [
            (self.is_readable(), Ready::READABLE),
            (self.is_writable(), Ready::WRITABLE),
            (failed, Ready::READ_CLOSED | Ready::WRITE_CLOSED),
            (failed || self.pending_error.is_some(), Ready::ERROR),
        ]
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(Ready::EMPTY, |ready, (_, kind)| ready | kind)
    }

    /// What an ICMP message said of the peer, or why no call succeeds any more
    pub(super) fn take_error(&mut self) -> Option<SocketError> {
        self.check().err()
    }

    /// The address and port that datagrams leave from
    pub(super) fn source(&self, addresses: &Addresses) -> SocketAddrV4 {
        let bound = self.local.ip();
        let address = if bound.is_unspecified() { addresses.first } else { *bound };
        SocketAddrV4::new(address, self.local.port())
    }

    pub(super) fn has_egress(&self) -> bool {
        self.buffers.as_ref().is_some_and(|buffers| !buffers.send.is_empty())
    }

    /// Composes the oldest datagram that was sent, and wakes those who wait for its room
    ///
    /// False if there was none, or if the MTU has become smaller than it in the meantime.
    pub(super) fn egress(
        &mut self,
        addresses: &Addresses,
        mtu: usize,
        out: &mut impl Egress,
        wakes: &mut Vec<Waker>,
    ) -> bool {
        let source = self.source(addresses);
        let Some(buffers) = &mut self.buffers else { return false };
        let Ok((to, payload)) = buffers.send.dequeue() else { return false };
        self.writers.wake(wakes);
        let ttl = if to.ip().is_multicast() { self.multicast_ttl } else { self.ttl };
        if ttl == 0 || payload.len() > most_payload(mtu) {
            return false;
        }
        compose(source, to, ttl, payload, out);
        true
    }

    /// Frees the buffers; every call fails with `error` from now on
    pub(super) fn kill(&mut self, error: SocketError, wakes: &mut Vec<Waker>) {
        self.failed.get_or_insert(error);
        self.buffers = None;
        self.readers.wake(wakes);
        self.writers.wake(wakes);
    }

    /// Tells the reader and the writer what an ICMP message said of the peer
    pub(super) fn tell(&mut self, error: SocketError, wakes: &mut Vec<Waker>) {
        self.pending_error = Some(error);
        self.readers.wake(wakes);
        self.writers.wake(wakes);
    }

    fn check(&mut self) -> Result<(), SocketError> {
        self.failed.or_else(|| self.pending_error.take()).map_or(Ok(()), Err)
    }
}

/// Octets of payload that fit one packet
fn most_payload(mtu: usize) -> usize {
    mtu.saturating_sub(HEADERS)
}

/// A ring for so many octets of payload
///
/// One entry for 256 octets: small datagrams fill it by their number, as they fill the kernel's
/// buffers by the memory each takes.
fn ring(octets: usize) -> PacketBuffer<'static, SocketAddrV4> {
    let octets = octets.clamp(1, MOST_BUFFER);
    let entries = octets.div_ceil(256).clamp(4, 1024);
    PacketBuffer::new(vec![PacketMetadata::EMPTY; entries], vec![0; octets])
}

fn compose(from: SocketAddrV4, to: SocketAddrV4, ttl: u8, payload: &[u8], out: &mut impl Egress) {
    let checksums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let ip = Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: *to.ip(),
        next_header: IpProtocol::Udp,
        payload_len: payload.len().saturating_add(udp.header_len()),
        hop_limit: ttl,
    };
    out.compose(ip.buffer_len().saturating_add(ip.payload_len), |octets| {
        let mut packet = Ipv4Packet::new_unchecked(octets);
        ip.emit(&mut packet, &checksums);
        let (source, destination) = (IpAddress::Ipv4(ip.src_addr), IpAddress::Ipv4(ip.dst_addr));
        let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
        let fill = |room: &mut [u8]| room.copy_from_slice(payload);
        udp.emit(&mut datagram, &source, &destination, payload.len(), fill, &checksums);
    });
}

/// As of TCP
const MOST_BUFFER: usize = 16 << 20;

/// Octets of an IPv4 and a UDP header
const HEADERS: usize = 28;
