//! UDP sockets

use std::{io, task::Poll};

use pptp_packet::{Egress, Waiters, Wakers};
use tokio::io::Ready;

use super::{
    buffers::Buffers,
    packets::{Outgoing, max_payload},
};
use crate::{
    SocketError, UdpOptions,
    error::{destination_required, message_too_long},
    ip::{Address, Addresses, Endpoint, HOP_LIMIT, Identification},
};

/// A UDP socket: two rings of datagrams, each with the other side's address
///
/// The engine's own is not used: it gives a broadcast to one socket only, knows no connected sockets,
/// and drops a datagram over the MTU without an error.
pub(super) struct UdpSocket {
    pub(super) local: Endpoint,
    pub(super) peer: Option<Endpoint>,
    pub(super) broadcast: bool,
    pub(super) ttl: u8,
    /// The time to live of datagrams to a group; with 0 they stay in this host
    pub(super) multicast_ttl: u8,
    /// True if this host's own members of a group receive its datagrams
    pub(super) multicast_loop: bool,
    pub(super) groups: Vec<Address>,
    pub(super) readers: Waiters,
    pub(super) writers: Waiters,
    pub(super) queued: bool,
    /// True if its user repeats lost datagrams, so that they do not wait for the path to open
    pub(super) repeats: bool,
    /// True if it has no user any more and only waits until its datagrams have left
    pub(super) dropped: bool,
    /// The error of an ICMP message about the peer, which is returned once
    pub(super) pending_error: Option<SocketError>,
    /// The error of every call from now on
    pub(super) failed: Option<SocketError>,
    /// True if a datagram was refused since one has left: the socket is not writable then
    refused: bool,
    /// The progress of the oldest datagram, if some of it has left
    underway: Option<Underway>,
    /// The buffers; `None` once it has failed
    buffers: Option<Buffers>,
}

/// The progress of a datagram that leaves in fragments
#[derive(Debug, Clone, Copy)]
struct Underway {
    from: Endpoint,
    identification: u16,
    /// The start of the next fragment
    start: usize,
}

/// The part of a datagram that left a socket
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    /// A datagram in one packet
    Whole,
    Fragment,
}

impl UdpSocket {
    pub(super) fn new(local: Endpoint, options: &UdpOptions, mtu: usize) -> Self {
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
            refused: false,
            underway: None,
            buffers: Some(Buffers::new(options, local.address().version(), mtu)),
        }
    }

    pub(super) fn connect(&mut self, peer: Endpoint) {
        (self.peer, self.pending_error) = (Some(peer), None);
    }

    /// Returns true if a datagram is for this socket; `all` if it is for every socket on its port
    pub(super) fn takes(&self, source: Endpoint, destination: Endpoint, all: bool) -> bool {
        let (own, to) = (self.local.address(), destination.address());
        self.local.port() == destination.port()
            && self.peer.is_none_or(|peer| peer == source)
            && if to.is_multicast() {
                self.groups.contains(&to)
            } else {
                own.covers(to) || (all && own.version() == to.version())
            }
    }

    /// Keeps a datagram for its reader; false if there is no room
    pub(super) fn receive(&mut self, source: Endpoint, payload: &[u8], wakes: &mut Wakers) -> bool {
        let kept = self.buffers.as_mut().is_some_and(|it| it.receive.push(payload, source));
        self.readers.wake(wakes);
        kept
    }

    /// Gives one datagram to `read`, which returns the number of octets that it took
    ///
    /// The other octets are lost, as with the kernel's sockets.
    pub(super) fn recv(
        &mut self,
        peek: bool,
        read: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<(usize, Endpoint)>> {
        self.check()?;
        let Some(buffers) = &mut self.buffers else { return Poll::Pending };
        let result = if peek {
            buffers.receive.peek().map(|(source, payload)| (read(payload), source))
        } else {
            buffers.receive.pop().map(|(source, payload)| (read(payload), source))
        };
        result.map_or(Poll::Pending, |received| Poll::Ready(Ok(received)))
    }

    /// Queues one datagram
    pub(super) fn send(
        &mut self,
        payload: &[u8],
        to: Option<Endpoint>,
        addresses: &Addresses,
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let to = to.or(self.peer).ok_or_else(destination_required)?;
        addresses.check_peer(to)?;
        if addresses.is_broadcast(to.address()) && !self.broadcast {
            return Poll::Ready(Err(SocketError::BroadcastNotEnabled.into()));
        }
        let Some(buffers) = &mut self.buffers else { return Poll::Pending };
        if payload.len() > max_payload(to.address().version()) {
            return Poll::Ready(Err(message_too_long()));
        }
        if buffers.queue(payload, to) {
            return Poll::Ready(Ok(payload.len()));
        }
        self.refused = true;
        Poll::Pending
    }

    pub(super) fn is_readable(&self) -> bool {
        self.failed.is_some()
            || self.pending_error.is_some()
            || self.buffers.as_ref().is_some_and(|buffers| !buffers.receive.is_empty())
    }

    pub(super) fn is_writable(&self) -> bool {
        self.failed.is_some()
            || self.pending_error.is_some()
            || (!self.refused && self.buffers.as_ref().is_some_and(Buffers::has_room))
    }

    /// The readiness for receiving and sending
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

    /// Takes the error of an ICMP message about the peer, or returns the error of every call
    pub(super) fn take_error(&mut self) -> Option<SocketError> {
        self.check().err()
    }

    /// The address and port that datagrams leave from
    pub(super) fn source(&self, addresses: &Addresses) -> Endpoint {
        let bound = self.local.address();
        let address = if bound.is_unspecified() { addresses.source() } else { bound };
        Endpoint::new(address, self.local.port())
    }

    pub(super) fn has_egress(&self) -> bool {
        self.buffers.as_ref().is_some_and(Buffers::has_egress)
    }

    /// Composes the next packet of the oldest datagram that was sent
    ///
    /// Tasks that wait for room are woken once all of it has left. A datagram whose sender's address has
    /// changed since its first fragments left begins anew, because no host could reassemble it.
    pub(super) fn egress(
        &mut self,
        addresses: &Addresses,
        mtu: usize,
        identification: &mut Identification,
        out: &mut impl Egress,
        wakes: &mut Wakers,
    ) -> Sent {
        let from = self.source(addresses);
        let begun = self.underway.take().filter(|underway| underway.from == from);
        let Some(buffers) = &mut self.buffers else { return Sent::Nothing };
        let Some((to, payload)) = buffers.oldest() else { return Sent::Nothing };
        let ttl = if to.address().is_multicast() { self.multicast_ttl } else { self.ttl };
        let (mut sent, mut next) = (Sent::Nothing, None);
        if ttl > 0 {
            let is_first = begun.is_none();
            let Underway { identification, start, .. } = begun.unwrap_or_else(|| {
                let identification = identification.next();
                Underway { from, identification, start: 0 }
            });
            let datagram = Outgoing { from, to, ttl, identification, payload };
            next = datagram.compose(start, mtu, out);
            sent = if is_first && next.is_none() { Sent::Whole } else { Sent::Fragment };
            self.underway = next.map(|start| Underway { from, identification, start });
        }
        if next.is_none() {
            buffers.pop();
            self.refused = false;
            self.writers.wake(wakes);
        }
        sent
    }

    /// Frees the buffers; every call fails with `error` from now on
    pub(super) fn kill(&mut self, error: SocketError, wakes: &mut Wakers) {
        self.failed.get_or_insert(error);
        self.buffers = None;
        self.readers.wake(wakes);
        self.writers.wake(wakes);
    }

    /// Wakes the reader and the writer with the error of an ICMP message about the peer
    pub(super) fn push_error(&mut self, error: SocketError, wakes: &mut Wakers) {
        self.pending_error = Some(error);
        self.readers.wake(wakes);
        self.writers.wake(wakes);
    }

    fn check(&mut self) -> Result<(), SocketError> {
        self.failed.or_else(|| self.pending_error.take()).map_or(Ok(()), Err)
    }
}
