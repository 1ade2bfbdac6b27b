//! A tunnel over a network in memory, for benches in virtual time

use std::{io, net::Ipv4Addr, time::Duration};

use pptp::{Client, Tunnel, TunnelConfig};
use pptp_testkit::{Server, memory::Network};

/// A tunnel between two hosts of a network, with the server behind it
#[derive(Debug)]
pub(crate) struct MemoryTunnel {
    /// The network, for what a bench changes in it
    pub(crate) network: Network,
    /// The server
    pub(crate) server: Server,
    /// The address of the client's host
    pub(crate) client: Ipv4Addr,
    /// The client's end
    pub(crate) tunnel: Tunnel,
}

impl MemoryTunnel {
    /// Connects over a line with this time from one host to the other
    pub(crate) async fn connect(one_way: Duration) -> io::Result<Self> {
        let network = Network::new(1);
        network.set_latency(one_way);
        let [server, client] = [1, 2].map(|host| Ipv4Addr::new(10, 99, 0, host));
        let server = Server::builder(1).serve_memory(&network, server)?;
        let config = TunnelConfig::new(server.address().to_string(), "testuser", "test123");
        let near = Client::builder().memory(network.host(client)).build();
        let tunnel = near.map_err(io::Error::other)?.connect(config).await;
        Ok(Self { network, server, client, tunnel: tunnel.map_err(io::Error::other)? })
    }
}
