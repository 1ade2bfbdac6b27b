//! What open TCP sockets hold, and what is left of it when they are closed
//!
//! In memory and in virtual time: client, server and the building's device share the heap, so a
//! connection is two sockets.

use std::{net::Ipv4Addr, time::Duration};

use pptp::{
    Client, Tunnel, TunnelConfig,
    net::{TcpListener, TcpOptions, TcpStream},
};
use pptp_testkit::{DEVICE, Server, memory::Network};
use tokio::time::sleep;

use crate::{Figure, Goal, heap, servers};

/// At a time: each has two sockets, and each socket two buffers of 64 KiB
const CONNECTIONS: u32 = 100;

/// All figures of sockets
pub fn figures() -> Vec<Figure> {
    let [beside, left] = servers::virtual_time().block_on(measure());
    let figure = |name, value, most, detail: &str| {
        let goal = Goal::AtMost(most);
        Figure { name, value, goal, detail: detail.into() }
    };
    vec![
        figure("socket/heap", beside, 1536.0, "octets of an open TCP socket beside its buffers"),
        figure(
            "socket/heap-after",
            left,
            1.05,
            "times the heap of before, when 100 connections have come and gone",
        ),
    ]
}

async fn measure() -> [f64; 2] {
    let network = Network::new(1);
    let [server, client] = [1, 2].map(|host| Ipv4Addr::new(10, 99, 0, host));
    let server = Server::builder(1).serve_memory(&network, server).expect("a free address");
    let client = Client::builder().memory(network.host(client)).build().expect("a client");
    let config = TunnelConfig::new(server.address().to_string(), "testuser", "test123");
    let tunnel = client.connect(config).await.expect("a tunnel");
    // the slots that a driver keeps for its next batch belong to no socket
    let listener = server.net().tcp_listen((DEVICE, PORT).into(), 1, TcpOptions::default());
    let listener = listener.expect("a free port");
    drop(connections(&tunnel, &listener, CONNECTIONS).await);
    sleep(AFTER_TIME_WAIT).await;
    let before = octets();
    let open = connections(&tunnel, &listener, CONNECTIONS).await;
    let each = (octets() - before) / f64::from(2 * CONNECTIONS);
    let TcpOptions { receive_buffer, send_buffer, .. } = TcpOptions::default();
    let buffers = u32::try_from(receive_buffer + send_buffer).expect("some KiB");
    drop(open);
    sleep(AFTER_TIME_WAIT).await;
    [each - f64::from(buffers), octets() / before]
}

/// Both ends of each
async fn connections(tunnel: &Tunnel, listener: &TcpListener, count: u32) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        let (ours, theirs) = tokio::join!(tunnel.tcp_connect((DEVICE, PORT)), listener.accept());
        open.extend([ours.expect("a connection"), theirs.expect("a connection").0]);
    }
    sleep(Duration::from_secs(1)).await;
    open
}

fn octets() -> f64 {
    f64::from(u32::try_from(heap::held()).expect("less than 4 GiB"))
}

const PORT: u16 = 1000;
const AFTER_TIME_WAIT: Duration = Duration::from_mins(3);
