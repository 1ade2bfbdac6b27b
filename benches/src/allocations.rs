//! Allocations of a packet in steady state

use std::net::Ipv4Addr;

use pptp::{Client, TunnelConfig};
use pptp_memory_net as memory;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    Figure, Goal,
    bulk_server::serve,
    heap::allocations,
    path::{Direction, FULL, HEADERS, HOST, PASSWORD, Path, ROUND, Road, USER, round, runtime},
};

/// All figures of allocations
pub fn figures() -> Vec<Figure> {
    vec![
        figure("allocations/path", count_path(20_000)),
        figure("allocations/client", count_client(20_000)),
    ]
}

/// How often was allocated, and for how many packets
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Allocations, those that made something larger among them
    pub allocations: usize,
    /// Packets that the client took and sent, without the acknowledgments of TCP
    pub packets: u32,
}

/// Of the tunnel, the stack and the socket, for at least so many packets each way
pub fn count_path(packets: u32) -> Count {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut road = Road::new();
    let mut paths = [Path::new(&mut road, BUFFER)];
    let rounds = packets.div_ceil(ROUND);
    let mut counts = [0; 2];
    for (direction, count) in [Direction::Download, Direction::Upload].into_iter().zip(&mut counts)
    {
        for _ in 0..WARM_UP.div_ceil(ROUND) {
            round(&mut road, &mut paths, 0, direction);
        }
        for _ in 0..rounds {
            *count += round(&mut road, &mut paths, 0, direction).allocations;
        }
    }
    Count { allocations: counts.iter().sum(), packets: 2 * rounds * ROUND }
}

/// Of the whole crate `pptp` on the network in memory, both ways at once, at least so many packets
///
/// What tokio and the network allocate is counted, too, and so is the server, which does not. The
/// clock stands still while anything is to be done: a deadline that strikes costs one allocation in
/// tokio's queue, which is so many in a second, not for a packet.
pub fn count_client(packets: u32) -> Count {
    runtime().block_on(async {
        tokio::time::pause();
        let network = memory::Network::new(1);
        let server = tokio::spawn(serve(network.host(SERVER)));
        let client = Client::builder().memory(network.host(CLIENT)).build();
        let client = client.expect("a client within a runtime");
        // this host answers no ping, and is asked again for 3 s
        let config = TunnelConfig::new(SERVER.to_string(), USER, PASSWORD).path_proof(false);
        let tunnel = client.connect(config).await;
        let tunnel = tunnel.expect("a server that answers");
        let mut stream = tunnel.tcp_connect((HOST, 80)).await.expect("a host that answers");
        let (mut reader, mut writer) = stream.split();
        let mut buffers = [vec![0; 16 << 10], vec![0; 16 << 10]];
        transfer(&mut reader, &mut writer, &mut buffers, WARM_UP).await;
        let before = allocations();
        transfer(&mut reader, &mut writer, &mut buffers, packets).await;
        let count = Count { allocations: allocations() - before, packets: 2 * packets };
        server.abort();
        count
    })
}

/// Reads and writes as many packets' octets
async fn transfer(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    [to_read, to_write]: &mut [Vec<u8>; 2],
    packets: u32,
) {
    let octets = u64::from(packets) * (FULL - HEADERS) as u64;
    let read = async {
        let mut left = octets;
        while left > 0 {
            let most = to_read.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = reader.read(&mut to_read[..most]).await.expect("a connection that lasts");
            assert!(count > 0, "the host has closed");
            left -= count as u64;
        }
    };
    let write = async {
        let mut left = octets;
        while left > 0 {
            let most = to_write.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = writer.write(&to_write[..most]).await.expect("a connection that lasts");
            left -= count as u64;
        }
    };
    tokio::join!(read, write);
}

fn figure(name: &'static str, Count { allocations, packets }: Count) -> Figure {
    let value = match u32::try_from(allocations) {
        Ok(allocations) => f64::from(allocations) / f64::from(packets),
        Err(_) => f64::INFINITY,
    };
    let detail = format!("{allocations} allocations for {packets} packets");
    Figure { name, value, goal: Goal::AtMost(0.01), detail }
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const BUFFER: usize = 256 << 10;
/// Packets until all queues have the size that they keep
const WARM_UP: u32 = 5_000;
