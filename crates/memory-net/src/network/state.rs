//! The state of a network, and the way of a datagram through it

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use pptp_gre::enhanced_call_id;
use pptp_gre_socket::Outgoing;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{
    host_state::{Blocked, HostState},
    impairment::Impairer,
    line::IP_HEADER,
};
use crate::{
    clock::now,
    errno::{EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT},
    inbox::Report,
    tcp::Backlog,
    trace::Trace,
    wiretap::Wiretap,
};

/// The state of a network
pub(crate) struct State {
    hosts: HashMap<Ipv4Addr, HostState>,
    pub(super) refused: HashMap<Ipv4Addr, i32>,
    pub(super) latency: Duration,
    pub(super) impairer: Impairer,
    /// Random numbers for programs on hosts; apart from those of the network, which must not depend
    /// on programs
    seeds: StdRng,
    /// The number of connections so far
    connections: u64,
    pub(super) trace: Option<Trace>,
    pub(crate) wiretap: Option<Wiretap>,
}

impl State {
    /// A network without hosts and latency
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            hosts: HashMap::new(),
            refused: HashMap::new(),
            latency: Duration::ZERO,
            impairer: Impairer::new(seed),
            seeds: StdRng::seed_from_u64(!seed),
            connections: 0,
            trace: None,
            wiretap: None,
        }
    }

    /// A host, which is added if it is new
    pub(crate) fn host(&mut self, address: Ipv4Addr) -> &mut HostState {
        self.hosts.entry(address).or_insert_with(HostState::new)
    }

    /// The latency of a datagram that is sent now; `None` while one of the two hosts is unplugged
    pub(crate) fn path_latency(&self, from: Ipv4Addr, to: Ipv4Addr) -> Option<Duration> {
        let is_unplugged = |host: &HostState| host.unplugged;
        let to = self.hosts.get(&to);
        if self.hosts.get(&from).is_some_and(is_unplugged) || to.is_some_and(is_unplugged) {
            return None;
        }
        Some(self.latency + to.map_or(Duration::ZERO, |host| host.delay))
    }

    /// The time at which the line of a host takes another datagram; `None` for at once
    pub(crate) fn busy_until(&self, host: Ipv4Addr) -> Option<Instant> {
        self.hosts.get(&host)?.line.as_ref()?.full_until(now())
    }

    /// A number for a new connection
    pub(crate) fn next_number(&mut self) -> u64 {
        self.connections = self.connections.wrapping_add(1);
        self.connections
    }

    /// Random octets for a program on a host
    pub(crate) fn random_seed(&mut self) -> [u8; 32] {
        self.seeds.random()
    }

    /// The listener at an address
    pub(crate) fn backlog(&self, to: SocketAddrV4) -> io::Result<Arc<Backlog>> {
        let unreachable = || io::Error::from_raw_os_error(EHOSTUNREACH);
        let host = self.hosts.get(to.ip()).ok_or_else(unreachable)?;
        let backlog = host.backlog(to.port());
        backlog.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }

    /// Sends one datagram of the host `from`
    pub(crate) fn send_datagram(&mut self, from: Ipv4Addr, outgoing: &Outgoing) -> io::Result<()> {
        self.check_refused(outgoing.destination)?;
        if outgoing.source.is_some_and(|source| !self.has_address(from, source)) {
            return Err(io::Error::from_raw_os_error(ENETUNREACH));
        }
        if let Some(trace) = &mut self.trace {
            trace.note((from, outgoing.destination), outgoing.packet.as_slice());
        }
        let Some(latency) = self.path_latency(from, outgoing.destination) else { return Ok(()) };
        if self.is_lost(from, outgoing) {
            return Ok(());
        }
        let Some(departure) = self.departure(from, outgoing.packet.len()) else { return Ok(()) };
        let copies = self.impairer.copies();
        let gre = outgoing.packet.as_slice();
        let tap = self.wiretap.as_mut();
        let forged = tap.map(|tap| tap.see(from, outgoing.destination, gre)).unwrap_or_default();
        for forged in forged {
            self.arrive(departure + latency, from, outgoing.destination, &forged);
        }
        for _ in 0..copies {
            let due = departure + latency + self.impairer.delay();
            if let Some(icmp) = self.deliver(due, from, outgoing) {
                self.report(from, outgoing, icmp);
            }
        }
        Ok(())
    }

    /// Delivers a forged datagram in the name of `from`
    pub(crate) fn forge(&self, from: Ipv4Addr, to: Ipv4Addr, gre: &[u8]) {
        if let Some(latency) = self.path_latency(from, to) {
            self.arrive(now() + latency, from, to, gre);
        }
    }

    fn arrive(&self, due: Instant, from: Ipv4Addr, to: Ipv4Addr, gre: &[u8]) {
        for socket in self.hosts.get(&to).into_iter().flat_map(HostState::open_sockets) {
            socket.push(due, from, to, gre);
        }
    }

    /// The error of [`Network::refuse`](super::Network::refuse), if the destination has one
    pub(crate) fn check_refused(&self, destination: Ipv4Addr) -> io::Result<()> {
        match self.refused.get(&destination) {
            Some(raw_os_error) => Err(io::Error::from_raw_os_error(*raw_os_error)),
            None => Ok(()),
        }
    }

    fn has_address(&self, host: Ipv4Addr, address: Ipv4Addr) -> bool {
        let further = |host: &HostState| host.further_addresses.contains(&address);
        address == host || self.hosts.get(&host).is_some_and(further)
    }

    fn is_lost(&mut self, from: Ipv4Addr, outgoing: &Outgoing) -> bool {
        let [from, to] = [from, outgoing.destination].map(|address| self.hosts.get(&address));
        let blocked = |host: Option<&HostState>| host.map(|host| host.blocked);
        let len = IP_HEADER + outgoing.packet.len();
        matches!(blocked(from), Some(Blocked::Outbound | Blocked::Both))
            || matches!(blocked(to), Some(Blocked::Inbound | Blocked::Both))
            || [from, to].into_iter().flatten().any(|host| len > host.largest)
            || self.impairer.is_lost()
    }

    /// Puts a datagram into the sockets of its destination, or returns the ICMP error
    fn deliver(&mut self, due: Instant, from: Ipv4Addr, outgoing: &Outgoing) -> Option<Icmp> {
        let corrupted = self.impairer.corrupted(outgoing.packet.as_slice());
        let gre = corrupted.as_deref().unwrap_or(outgoing.packet.as_slice());
        let Some(host) = self.hosts.get(&outgoing.destination) else {
            return Some(Icmp { reporter: from, code: 1, raw_os_error: EHOSTUNREACH });
        };
        let mut sockets = host.open_sockets().peekable();
        if sockets.peek().is_none() {
            let reporter = outgoing.destination;
            return Some(Icmp { reporter, code: 2, raw_os_error: ENOPROTOOPT });
        }
        if let Some(trace) = self.trace.as_mut().filter(|_| corrupted.is_none()) {
            trace.arrive(outgoing.destination, gre, due);
        }
        for socket in sockets {
            socket.push(due, outgoing.source.unwrap_or(from), outgoing.destination, gre);
        }
        None
    }

    /// Reports an ICMP error about a datagram to its sender, one round trip after it was sent
    fn report(&self, from: Ipv4Addr, outgoing: &Outgoing, icmp: Icmp) {
        let due = now() + self.latency * 2;
        let report = Report {
            destination: outgoing.destination,
            peer_call_id: enhanced_call_id(outgoing.packet.as_slice()),
            reporter: icmp.reporter,
            icmp: (3, icmp.code),
            raw_os_error: icmp.raw_os_error,
        };
        self.deliver_report(from, due, report);
    }

    /// Hands a report to the sockets of a host
    pub(crate) fn deliver_report(&self, host: Ipv4Addr, due: Instant, report: Report) {
        for socket in self.hosts.get(&host).into_iter().flat_map(HostState::open_sockets) {
            socket.push_report(due, report);
        }
    }

    /// The time at which the last octet of a datagram is on the wire; `None` if it never gets there
    fn departure(&mut self, from: Ipv4Addr, len: usize) -> Option<Instant> {
        let line = self.hosts.get_mut(&from).and_then(|host| host.line.as_mut());
        line.map_or_else(|| Some(now()), |line| line.take(now(), len))
    }
}

/// A destination unreachable message (RFC 792)
#[derive(Clone, Copy)]
struct Icmp {
    reporter: Ipv4Addr,
    code: u8,
    raw_os_error: i32,
}
