//! The interface between a client and a network that is not the kernel's

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4},
};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{GreSocket, OpenError};

/// Host of a network that is not the kernel's: a client on it opens its GRE socket and its control
/// connections there
///
/// The network in memory of `pptp-testkit` has such hosts. They need no privileges and no Linux.
pub trait VirtualHost: fmt::Debug + Send + Sync + 'static {
    /// The GRE socket of this host
    type Gre: GreSocket;
    /// A connection of this host
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a GRE socket
    ///
    /// # Errors
    /// The host does not allow it; the client then cannot be made.
    fn open_gre(&self) -> Result<Self::Gre, OpenError>;

    /// Connects to a server; returns the connection and its local end
    ///
    /// # Errors
    /// Those of a TCP connect.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no connection behind.
    fn connect_tcp(
        &self,
        server: SocketAddrV4,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddrV4)>> + Send;

    /// Returns the addresses of a name; `None` in a network without names
    fn resolve(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        let _ = name;
        None
    }

    /// Random octets, the seed of all random choices of the client; different at each call
    fn random_seed(&self) -> [u8; 32];
}
