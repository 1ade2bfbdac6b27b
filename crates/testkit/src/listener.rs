//! The sources of control connections: real sockets, or those of a network in memory

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use pptp_memory_net::{MemoryListener, MemoryStream};
use tokio::net::{TcpListener, TcpStream};

/// Sources of control connections
#[derive(Debug)]
pub(crate) enum Listener {
    /// Shared with the server, which stops it without waiting for its task
    Memory(Arc<MemoryListener>),
    Tcp(TcpListener),
}

impl Listener {
    /// Waits for a client
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Ipv4Addr)> {
        match self {
            Self::Memory(listener) => {
                let (stream, client) = listener.accept().await?;
                Ok((Stream::Memory(stream), *client.ip()))
            }
            Self::Tcp(listener) => {
                let (stream, client) = listener.accept().await?;
                stream.set_nodelay(true)?;
                match client.ip() {
                    IpAddr::V4(client) => Ok((Stream::Tcp(stream), client)),
                    IpAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
                }
            }
        }
    }
}

/// A control connection that was accepted
pub(crate) enum Stream {
    Memory(MemoryStream),
    Tcp(TcpStream),
}
