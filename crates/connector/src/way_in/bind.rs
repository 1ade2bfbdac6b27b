//! Sockets for listeners

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

use super::{memory::MemoryDatagrams, way::Way};
use crate::{
    settings::Listen,
    unix::{self, BoundSocket, Identity},
};

/// A socket that is bound
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
    Unix(BoundSocket),
    /// No socket of the kernel: streams are offered
    Memory,
    MemoryUdp(MemoryDatagrams),
}

impl Socket {
    /// Binds the socket of a listener; `port` takes the place of its own
    ///
    /// # Errors
    /// As the kernel says; a file that is no socket, or a socket that is in use.
    pub(super) async fn bind_at(way: &Way, port: Option<u16>) -> io::Result<Self> {
        let mut listen = way.listen().clone();
        if let (Listen::Ip(address), Some(port)) = (&mut listen, port) {
            address.set_port(port);
        }
        match &listen {
            Listen::Ip(address) if way.is_udp() => {
                let bound = UdpSocket::bind(address).await.map(Self::Udp);
                bound.map_err(|error| with_remedy(error, *address, 'u'))
            }
            Listen::Ip(address) => {
                let bound = TcpListener::bind(address).await.map(Self::Tcp);
                bound.map_err(|error| with_remedy(error, *address, 't'))
            }
            Listen::Unix(socket) => unix::bind(socket).map(Self::Unix).map_err(io::Error::other),
        }
    }

    /// Returns its address, if it has one
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Udp(socket) => socket.local_addr().ok(),
            Self::Unix(_) | Self::Memory | Self::MemoryUdp(_) => None,
        }
    }

    /// Returns the identity of its file, if it has one
    pub(super) const fn file(&self) -> Option<Identity> {
        match self {
            Self::Unix(socket) => socket.identity(),
            Self::Tcp(_) | Self::Udp(_) | Self::Memory | Self::MemoryUdp(_) => None,
        }
    }
}

/// Says what to do about an address that cannot be bound; `protocol` is its letter for `ss`
fn with_remedy(error: io::Error, address: SocketAddr, protocol: char) -> io::Error {
    let port = address.port();
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program has it: ss -ln{protocol}p 'sport = :{port}' names it")
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has the address: see `ip address`".to_owned()
        }
        io::ErrorKind::PermissionDenied if port < 1024 => {
            "ports below 1024 need cap_net_bind_service".to_owned()
        }
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_bound_is_told_with_its_remedy() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let told = |kind: io::ErrorKind| with_remedy(kind.into(), address, 't').to_string();
        let in_use = told(io::ErrorKind::AddrInUse);
        assert!(in_use.ends_with("ss -lntp 'sport = :80' names it"), "{in_use}");
        assert!(told(io::ErrorKind::AddrNotAvailable).contains("`ip address`"));
        assert!(told(io::ErrorKind::PermissionDenied).contains("cap_net_bind_service"));
        assert_eq!(told(io::ErrorKind::Other), io::Error::from(io::ErrorKind::Other).to_string());
    }
}
