//! The clients' socket of a KNX forward, where the kernel is not asked for more: a client's end is seen by its silence

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use tokio::net::UdpSocket;

use super::datagrams::{KnxDatagrams, Received};
use crate::way_in::datagrams::Datagrams;

impl KnxDatagrams for UdpSocket {
    fn tell(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    async fn receive_told(&self) -> io::Result<Received> {
        let (octets, client) = self.receive().await?;
        Ok(Received::Datagram { octets, client, to: None })
    }

    fn send_from(&self, octets: &[u8], client: SocketAddrV4, _: Ipv4Addr) -> io::Result<()> {
        self.try_send_to(octets, SocketAddr::V4(client)).map(|_| ())
    }
}
