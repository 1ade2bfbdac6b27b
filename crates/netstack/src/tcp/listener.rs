//! A port on which connections come in

use std::collections::VecDeque;

use pptp_packet::Waiters;

use crate::{
    SocketError, TcpOptions,
    ip::{Endpoint, overlap},
    shared::table::Id,
};

/// A port on which connections come in
///
/// The engine's listener is one socket that becomes the connection. Here the socket is made when the
/// SYN comes, so that a backlog costs nothing until it is used.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) local: Endpoint,
    pub(super) options: TcpOptions,
    /// Connections whose handshake is complete, the oldest first
    pub(super) accepted: VecDeque<Id>,
    pub(super) acceptors: Waiters,
    pub(super) failed: Option<SocketError>,
    /// Connections not yet handed out, handshakes included
    pub(super) waiting: usize,
    pub(super) backlog: usize,
}

impl Listener {
    pub(super) fn new(local: Endpoint, backlog: usize, options: TcpOptions) -> Self {
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

    /// Returns true if a SYN to this address and port is for this listener
    pub(super) fn takes(&self, local: Endpoint) -> bool {
        self.failed.is_none() && overlap(self.local, local)
    }

    /// Returns true if the backlog is full; a further SYN is dropped, and the peer repeats it
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= self.backlog
    }
}

/// The largest backlog, as Linux has it (net.core.somaxconn): each connection in it has its buffers
const MAX_BACKLOG: usize = 4096;
