//! The clients' socket of a KNX forward

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use crate::way_in::{datagrams::Datagrams, memory::MemoryDatagrams};

/// A local socket that tells to which address of ours a datagram was sent, and which client's port refuses
pub(in crate::way_in) trait KnxDatagrams: Datagrams {
    /// Begins to tell, or ends it: another kind of forward may have the same socket later
    fn tell(&self, begins: bool) -> io::Result<()>;

    /// Receives a datagram, or the word that a client's port refused one
    ///
    /// # Cancel safety
    /// Nothing is lost.
    fn receive_told(&self) -> impl Future<Output = io::Result<Received>> + Send;

    /// Sends a datagram to a client, from an address of ours
    fn send_from(&self, octets: &[u8], client: SocketAddrV4, from: Ipv4Addr) -> io::Result<()>;
}

/// An input of a local socket
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::way_in) enum Received {
    Datagram {
        octets: Vec<u8>,
        client: SocketAddr,
        /// The address of ours to which it was sent; `None`: that of the socket
        to: Option<Ipv4Addr>,
    },
    /// Nobody is at this endpoint of a client any more
    Refused(SocketAddr),
}

impl KnxDatagrams for MemoryDatagrams {
    fn tell(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    async fn receive_told(&self) -> io::Result<Received> {
        tokio::select! {
            biased;
            Some(client) = self.receive_refused() => Ok(Received::Refused(client)),
            received = self.receive() => {
                let (octets, client) = received?;
                Ok(Received::Datagram { octets, client, to: None })
            }
        }
    }

    fn send_from(&self, octets: &[u8], client: SocketAddrV4, _: Ipv4Addr) -> io::Result<()> {
        self.try_send_to(octets, SocketAddr::V4(client)).map(|_| ())
    }
}
