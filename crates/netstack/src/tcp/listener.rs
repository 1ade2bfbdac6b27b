//! A port on which connections come in

use std::{collections::VecDeque, net::SocketAddrV4};

use pptp_packet::Waiters;

use crate::{SocketError, TcpOptions, ip::overlap, shared::table::Id};

/// A port on which connections come in
///
/// The engine's listener is one socket that becomes the connection. Here the socket is made when the
/// SYN comes, so that a backlog costs nothing until it is used.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) local: SocketAddrV4,
    pub(crate) options: TcpOptions,
    /// Connections whose handshake is complete, the oldest first
    pub(crate) accepted: VecDeque<Id>,
    pub(crate) acceptors: Waiters,
    pub(crate) failed: Option<SocketError>,
    /// Connections not yet handed out, handshakes included
    pub(crate) waiting: usize,
    pub(crate) backlog: usize,
}

impl Listener {
    pub(crate) fn new(local: SocketAddrV4, backlog: usize, options: TcpOptions) -> Self {
        Self {
            local,
            options,
            accepted: VecDeque::new(),
            acceptors: Waiters::default(),
            failed: None,
            waiting: 0,
            backlog: backlog.clamp(1, MAX_BACKLOG),
        }
    }

    /// Tells whether a SYN to this address and port is for this listener
    pub(crate) fn takes(&self, local: SocketAddrV4) -> bool {
        self.failed.is_none() && overlap(self.local, local)
    }

    /// Tells whether the backlog is full; a further SYN is dropped, and the peer repeats it
    pub(crate) fn is_full(&self) -> bool {
        self.waiting >= self.backlog
    }
}

/// The largest backlog, as Linux has it (net.core.somaxconn): each connection in it has its buffers
const MAX_BACKLOG: usize = 4096;
