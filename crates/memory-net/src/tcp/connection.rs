//! A connection: its two directions, and the effects of a failed host or path

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{io::ReadBuf, time::Instant};

use super::pipe::{End, Pipe, ReadOutcome};
use crate::{Network, clock::now};

/// A connection between two hosts
#[derive(Debug)]
pub(crate) struct Connection {
    network: Network,
    number: u64,
    dialler: Half,
    listener: Half,
}

/// An end of a connection, with the direction in which it writes
#[derive(Debug)]
struct Half {
    address: SocketAddrV4,
    written: Pipe,
    /// True if its host has forgotten the connection
    forgotten: AtomicBool,
}

/// One of the ends of a connection
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Dialler,
    Listener,
}

impl Connection {
    pub(super) fn new(network: &Network, from: SocketAddrV4, to: SocketAddrV4) -> Arc<Self> {
        let half =
            |address| Half { address, written: Pipe::default(), forgotten: AtomicBool::new(false) };
        let (network, number) = (network.clone(), network.next_number());
        let it = Arc::new(Self { network, number, dialler: half(from), listener: half(to) });
        for end in [from, to] {
            it.network.with_host(*end.ip(), |host| host.connections.add(&it));
        }
        it
    }

    pub(super) const fn address(&self, side: Side) -> SocketAddrV4 {
        self.half(side).address
    }

    /// Returns true if the host of `side` takes one octet at a time
    pub(super) fn moves_single_octets(&self, side: Side) -> bool {
        self.network.with_host(*self.address(side).ip(), |host| host.moves_single_octets)
    }

    pub(super) fn read(
        &self,
        side: Side,
        now: Instant,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> ReadOutcome {
        if self.is_forgotten_by(side) {
            return ReadOutcome::Nothing;
        }
        self.half(side.other()).written.read(now, cx, buf)
    }

    pub(super) fn write(
        &self,
        side: Side,
        now: Instant,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_forgotten_by(side) {
            return Poll::Ready(Ok(octets.len()));
        }
        let latency = self.latency(side);
        let written = self.half(side).written.write(now, latency, cx, octets);
        if let Poll::Ready(Ok(count)) = written {
            let octets = octets.get(..count).unwrap_or_default();
            self.network.note(self.address(side), self.address(side.other()), octets);
            if let Some(latency) = latency.filter(|_| self.is_forgotten_by(side.other())) {
                self.reset_at(now + latency * 2);
            }
        }
        written
    }

    /// Adds octets from `peer` to `host` that `peer` did not write, if these are its ends
    pub(crate) fn forge(&self, peer: Ipv4Addr, host: Ipv4Addr, now: Instant, octets: &[u8]) {
        let ends = |side: Side| (*self.address(side).ip(), *self.address(side.other()).ip());
        for side in Side::BOTH.into_iter().filter(|side| ends(*side) == (peer, host)) {
            self.half(side).written.forge(now, self.latency(side), octets);
        }
    }

    /// Ends the direction in which `side` writes, once all its octets have arrived
    pub(super) fn shut_down(&self, side: Side) {
        if !self.is_forgotten_by(side) {
            self.half(side).written.end(now(), self.latency(side), End::Eof);
        }
    }

    /// Ends both directions, on behalf of `side`
    pub(super) fn end(&self, side: Side, end: End) {
        if !self.is_forgotten_by(side) {
            let latency = self.latency(side);
            self.half(side).written.end(now(), latency, end);
            self.half(side.other()).written.close_reader(now(), latency, end);
        }
    }

    /// Returns true if `side` has octets to read
    pub(super) fn has_arrived(&self, side: Side, now: Instant) -> bool {
        self.half(side.other()).written.has_arrived(now)
    }

    /// Stops everything on its way
    pub(crate) fn hold(&self, now: Instant) {
        for side in Side::BOTH {
            self.half(side).written.hold(now);
        }
    }

    /// Lets everything pass again, if both hosts are plugged in
    pub(crate) fn resume(&self, now: Instant) {
        for side in Side::BOTH {
            let Some(latency) = self.latency(side) else { return };
            let arrival = self.half(side).written.resume(now, latency);
            if let Some(arrival) = arrival.filter(|_| self.is_forgotten_by(side.other())) {
                self.reset_at(arrival + latency);
            }
        }
    }

    /// Resets the connection as a firewall does
    pub(crate) fn reset(&self, now: Instant) {
        self.reset_at(now + self.latency(Side::Dialler).unwrap_or_default());
    }

    /// Makes this host forget the connection; it answers anything that arrives later with a reset
    pub(crate) fn forget(&self, host: Ipv4Addr) {
        for side in Side::BOTH.into_iter().filter(|side| *self.address(*side).ip() == host) {
            self.half(side).forgotten.store(true, Ordering::Relaxed);
            let arrival = self.half(side.other()).written.next_arrival(now());
            if let Some((arrival, latency)) = arrival.zip(self.latency(side)) {
                self.reset_at(arrival + latency);
            }
        }
    }

    fn reset_at(&self, at: Instant) {
        for side in Side::BOTH {
            self.half(side).written.reset(at);
        }
    }

    fn latency(&self, from: Side) -> Option<Duration> {
        self.network.path_latency(*self.address(from).ip(), *self.address(from.other()).ip())
    }

    fn is_forgotten_by(&self, side: Side) -> bool {
        self.half(side).forgotten.load(Ordering::Relaxed)
    }

    const fn half(&self, side: Side) -> &Half {
        match side {
            Side::Dialler => &self.dialler,
            Side::Listener => &self.listener,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for side in Side::BOTH {
            let address = *self.address(side).ip();
            self.network.with_host(address, |host| host.connections.remove(self.number));
        }
    }
}

impl Side {
    const BOTH: [Self; 2] = [Self::Dialler, Self::Listener];

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

/// The open connections of a host, in the order in which they were opened
#[derive(Debug, Default)]
pub(crate) struct Connections(BTreeMap<u64, Weak<Connection>>);

impl Connections {
    pub(crate) fn open(&self) -> Vec<Arc<Connection>> {
        self.0.values().filter_map(Weak::upgrade).collect()
    }

    fn add(&mut self, connection: &Arc<Connection>) {
        self.0.insert(connection.number, Arc::downgrade(connection));
    }

    fn remove(&mut self, number: u64) {
        self.0.remove(&number);
    }
}
