//! The outputs of a relay: sockets to open and to close, datagrams to send

use std::net::SocketAddrV4;

/// A peer: a client that has an inner socket, or a question of the relay's own
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

impl PeerId {
    pub(super) const FIRST: Self = Self(0);

    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// An output of a relay
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open an inner socket, and answer with [`Relay::handle_opened`](super::Relay::handle_opened) or
    /// [`Relay::handle_not_opened`](super::Relay::handle_not_opened)
    Open {
        /// The peer
        peer: PeerId,
        /// The client; `None` for a question of the relay's own
        client: Option<SocketAddrV4>,
    },
    /// Send a datagram from an inner socket
    ToDevice {
        /// The peer whose socket it is
        peer: PeerId,
        /// The endpoint of the device
        to: SocketAddrV4,
        /// The datagram
        octets: Vec<u8>,
    },
    /// Send a datagram to a client
    ToClient {
        /// The endpoint of the client
        to: SocketAddrV4,
        /// The address from which the client expects it: the one that it sent to
        from: SocketAddrV4,
        /// The datagram
        octets: Vec<u8>,
    },
    /// Close an inner socket, after what was sent before; it is not answered
    Close {
        /// The peer
        peer: PeerId,
    },
}
