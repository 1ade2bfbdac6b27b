//! Sockets for listeners

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket},
};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, UdpSocket};

use super::{memory::MemoryDatagrams, way::Way};
use crate::{
    settings::Listen,
    unix::{self, BoundSocket, Identity, OpenSocket},
};

/// A socket that is bound, and belongs to no runtime yet
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(StdListener),
    Udp(StdSocket),
    Unix(BoundSocket),
    /// No socket of the kernel
    Memory,
}

/// A socket that is bound, on a runtime
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
    Unix(OpenSocket),
    /// No socket of the kernel: streams are offered
    Memory,
    MemoryUdp(MemoryDatagrams),
}

impl Bound {
    /// Binds the socket of a listener; clients may come from now on, and wait
    ///
    /// `port` is wanted in place of port 0, if it can be had.
    ///
    /// # Errors
    /// As the kernel says; a file that is no socket, or a socket that is in use.
    pub(super) fn bind(way: &Way, port: Option<u16>) -> io::Result<Self> {
        if port.is_some() {
            match Self::bind_at(way, port) {
                Ok(bound) => return Ok(bound),
                Err(error) => tracing::warn!("{way}: not on the port as before: {error}"),
            }
        }
        Self::bind_at(way, None)
    }

    /// Returns its address, if it has one
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Udp(socket) => socket.local_addr().ok(),
            Self::Unix(_) | Self::Memory => None,
        }
    }

    fn bind_at(way: &Way, port: Option<u16>) -> io::Result<Self> {
        let mut listen = way.listen().clone();
        if let (Listen::Ip(address), Some(port)) = (&mut listen, port) {
            address.set_port(port);
        }
        match &listen {
            Listen::Ip(address) if way.is_udp() => {
                let bound = udp(*address).map(Self::Udp);
                bound.map_err(|error| with_remedy(error, *address, 'u'))
            }
            Listen::Ip(address) => bind_tcp(*address).map(Self::Tcp),
            Listen::Unix(socket) => unix::bind(socket).map(Self::Unix).map_err(io::Error::other),
        }
    }

    /// Gives the socket to the current runtime
    ///
    /// # Errors
    /// The runtime cannot watch one more socket.
    pub(super) fn open(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(listener) => Socket::Tcp(TcpListener::from_std(listener)?),
            Self::Udp(socket) => Socket::Udp(UdpSocket::from_std(socket)?),
            Self::Unix(socket) => Socket::Unix(socket.open()?),
            Self::Memory => Socket::Memory,
        })
    }
}

impl Socket {
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

fn udp(address: SocketAddr) -> io::Result<StdSocket> {
    let socket = StdSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Binds a port of TCP
///
/// # Errors
/// As the kernel says, with what to do about it.
pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<StdListener> {
    tcp(address).map_err(|error| with_remedy(error, address, 't'))
}

/// Binds a listener as tokio does: at once after an earlier one has gone, and with a longer backlog than that of std
fn tcp(address: SocketAddr) -> io::Result<StdListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(StdListener::from(socket))
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

/// Connections that wait to be accepted; `net.core.somaxconn` bounds it
const BACKLOG: i32 = 1024;

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
