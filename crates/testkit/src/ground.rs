//! The host of a server: one in memory, or this one

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use pptp_gre_socket::{EitherSocket, RawSocket, SocketOptions};
use pptp_memory_net as memory;
use tokio::net::TcpSocket;

use crate::{listener::Listener, socket::BareSocket};

/// The place where a server's sockets are opened
#[derive(Debug, Clone)]
pub(crate) enum Ground {
    Memory(memory::Network),
    Kernel,
}

impl Ground {
    /// The two sockets of a server
    pub(crate) fn open(&self, address: Ipv4Addr) -> io::Result<(Listener, BareSocket)> {
        match self {
            Self::Memory(network) => {
                let host = network.host(address);
                let listener = Listener::Memory(Arc::new(host.listen_tcp(PORT)?));
                Ok((listener, EitherSocket::Second(host.open_gre())))
            }
            Self::Kernel => {
                let socket = TcpSocket::new_v4()?;
                // connections of a server before this one may still be in TIME-WAIT
                socket.set_reuseaddr(true)?;
                socket.bind(SocketAddr::from((address, PORT)))?;
                let listener = Listener::Tcp(socket.listen(BACKLOG)?);
                let options =
                    SocketOptions { local_address: Some(address), ..SocketOptions::default() };
                let socket = RawSocket::open(&options).map_err(io::Error::other)?;
                Ok((listener, EitherSocket::First(socket)))
            }
        }
    }

    /// The host in memory, if it is one
    pub(crate) fn host(&self, address: Ipv4Addr) -> Option<memory::Host> {
        match self {
            Self::Memory(network) => Some(network.host(address)),
            Self::Kernel => None,
        }
    }
}

/// RFC 2637 §1.3
pub(crate) const PORT: u16 = 1723;

/// Connections that wait to be accepted, as many as tokio asks for
const BACKLOG: u32 = 1024;
