//! Calls that take a name in place of an address
//!
//! They stand apart from the sockets because a lookup is made of sockets itself.

use std::{io, net::SocketAddr};

use super::{
    address::{AddressError, Target, ToInnerAddr, endpoint},
    handle::Net,
    stream::TcpStream,
    udp::UdpSocket,
};
use crate::{TcpOptions, ip::Endpoint};

impl Net {
    /// Connects to a TCP server
    ///
    /// A name is looked up first, and its addresses are tried one after the other, each for
    /// [`TcpOptions::connect_timeout`].
    ///
    /// # Errors
    ///
    /// `TimedOut` after [`TcpOptions::connect_timeout`], `ConnectionRefused`, `HostUnreachable`,
    /// `NetworkUnreachable`, `InvalidInput` for an address that no packet from here can reach
    /// (`Loopback`, `OwnAddress` and the like of [`SocketError`](crate::SocketError)), or the reason if the
    /// stack has been shut down; of several addresses, the error of the last one. Those of [`Net::lookup_host`] if a name is not found.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt and frees its socket.
    pub async fn tcp_connect(
        &self,
        addr: impl ToInnerAddr,
        options: TcpOptions,
    ) -> io::Result<TcpStream> {
        let target = addr.target()?;
        if let Target::Address(address) = target {
            return self.tcp_connect_to(address, &options).await;
        }
        let mut last = AddressError::NoAddress.into();
        for address in target.all(self).await? {
            match self.tcp_connect_to(address, &options).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl UdpSocket {
    /// Sets the peer: [`UdpSocket::send`] goes there, and from there alone datagrams are received
    ///
    /// Of several addresses the first that can be a peer's is taken.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address or a port that no peer can have; those of
    /// [`Net::lookup_host`] if a name is not found.
    pub async fn connect(&self, addr: impl ToInnerAddr) -> io::Result<()> {
        let mut last = AddressError::NoAddress.into();
        for address in addr.target()?.all(self.net()).await? {
            match endpoint(address).map_err(Into::into).and_then(|peer| self.connect_to(peer)) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a datagram, waiting for room in the send buffer
    ///
    /// Of several addresses the first is taken. A name is asked of the DNS servers for each
    /// datagram: better connect.
    ///
    /// # Errors
    ///
    /// EMSGSIZE ("message too long") above 65,507 octets, `PermissionDenied` for a broadcast
    /// address while broadcast is off, `InvalidInput` for port 0 and for an address that no packet from
    /// here can reach ([`SocketError::Loopback`](crate::SocketError::Loopback) and the like), those of
    /// [`Net::lookup_host`] if a name is not found, or the reason if the stack has been shut down.
    pub async fn send_to(&self, buf: &[u8], target: impl ToInnerAddr) -> io::Result<usize> {
        let to = target.target()?.first(self.net()).await?;
        self.send_datagram(buf, Some(to)).await
    }
}

impl Target {
    /// The address to take if there can be one only
    async fn first(self, net: &Net) -> io::Result<Endpoint> {
        if let Self::Address(address) = self {
            return Ok(endpoint(address)?);
        }
        let addresses = self.all(net).await?;
        Ok(endpoint(*addresses.first().ok_or(AddressError::NoAddress)?)?)
    }

    /// The addresses to try, in this order
    async fn all(self, net: &Net) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Address(address) => Ok(vec![address]),
            Self::Addresses(addresses) => Ok(addresses),
            Self::Name { name, port } => {
                // boxed, so that the future of a caller with an address has no room for a lookup's buffers
                let addresses = Box::pin(net.lookup_host(&name)).await?;
                Ok(addresses.into_iter().map(|address| (address, port).into()).collect())
            }
        }
    }
}
