//! The state of a host: its sockets, its listeners and its faults

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::watch;

use super::line::Line;
use crate::{
    inbox::Inbox,
    tcp::{Backlog, Connections},
};

/// The directions in which a host's GRE vanishes without a trace
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocked {
    /// Neither
    #[default]
    Nothing,
    /// Datagrams to the host
    Inbound,
    /// Datagrams of the host
    Outbound,
    /// Datagrams of both directions
    Both,
}

/// A host, as the network knows it
#[derive(Debug)]
pub(crate) struct HostState {
    sockets: Vec<Weak<Inbox>>,
    listeners: HashMap<u16, Weak<Backlog>>,
    next_port: u16,
    pub(crate) blocked: Blocked,
    stalled: watch::Sender<bool>,
    pub(crate) line: Option<Line>,
    /// Addition to the latency of everything that is sent to it
    pub(crate) delay: Duration,
    /// Octets of the largest IP packet with GRE that passes
    pub(crate) largest: usize,
    pub(crate) unplugged: bool,
    /// True if its programs lack the capability to open a raw socket
    pub(crate) forbids_gre: bool,
    /// Sources that it may send from beside its own address
    pub(crate) further_addresses: Vec<Ipv4Addr>,
    /// True if its programs read and write one octet at a time
    pub(crate) moves_single_octets: bool,
    pub(crate) connections: Connections,
}

impl HostState {
    pub(crate) fn new() -> Self {
        Self {
            sockets: Vec::new(),
            listeners: HashMap::new(),
            next_port: FIRST_EPHEMERAL_PORT,
            blocked: Blocked::Nothing,
            stalled: watch::Sender::new(false),
            line: None,
            delay: Duration::ZERO,
            largest: usize::MAX,
            forbids_gre: false,
            unplugged: false,
            further_addresses: Vec::new(),
            moves_single_octets: false,
            connections: Connections::default(),
        }
    }

    /// Adds a GRE socket; returns the switch that makes it take nothing to send
    pub(crate) fn add_socket(&mut self, inbox: &Arc<Inbox>) -> watch::Receiver<bool> {
        self.sockets.retain(|socket| socket.strong_count() > 0);
        self.sockets.push(Arc::downgrade(inbox));
        self.stalled.subscribe()
    }

    /// Makes the host's sockets take nothing to send, or lifts that
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// The listener on a port, if there is one
    pub(crate) fn backlog(&self, port: u16) -> Option<Arc<Backlog>> {
        self.listeners.get(&port).and_then(Weak::upgrade)
    }

    /// Gives a port to a listener; 0 takes a free one
    pub(crate) fn listen(&mut self, port: u16, backlog: Weak<Backlog>) -> io::Result<u16> {
        self.listeners.retain(|_, backlog| backlog.upgrade().is_some_and(|it| it.is_open()));
        let free = |port: &u16| !self.listeners.contains_key(port);
        let port = match port {
            0 => (FIRST_EPHEMERAL_PORT..=u16::MAX).find(free),
            port => Some(port).filter(free),
        };
        let port = port.ok_or(io::ErrorKind::AddrInUse)?;
        self.listeners.insert(port, backlog);
        Ok(port)
    }

    /// The port of a new connection of a program
    pub(crate) fn ephemeral_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT);
        port
    }

    /// Its GRE sockets that are open
    pub(crate) fn open_sockets(&self) -> impl Iterator<Item = Arc<Inbox>> {
        self.sockets.iter().filter_map(Weak::upgrade)
    }
}

/// The first port for programs that did not ask for one (RFC 6335 §6)
const FIRST_EPHEMERAL_PORT: u16 = 49152;
