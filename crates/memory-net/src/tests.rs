//! Tests of the network in memory, and their helpers

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    num::NonZeroU32,
    time::Duration,
};

use pptp_gre_socket::{DeliveryFailure, GreSocket, Outgoing, ReceiveBatch, SendBatch};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::{
    Blocked, Host, Impairment, MemoryListener, MemorySocket, MemoryStream, Network,
    errno::{EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT},
};

mod faults;
mod gre;
mod tcp;

/// The error of a packet filter
const EPERM: i32 = 1;

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const C: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const LATENCY: Duration = Duration::from_millis(20);

fn network() -> Network {
    let network = Network::new(1);
    network.set_latency(LATENCY);
    network
}

fn gre(host: &Host) -> MemorySocket {
    host.open_gre()
}

/// A data packet's header for call 0x1234, and `number`
fn datagram(number: u32) -> Vec<u8> {
    let mut octets = vec![0x30, 0x01, 0x88, 0x0B, 0x00, 0x00, 0x12, 0x34];
    octets.extend_from_slice(&number.to_be_bytes());
    octets
}

fn push(batch: &mut SendBatch, destination: Ipv4Addr, number: u32) {
    let mut packet = batch.take_slot().unwrap();
    packet.reset(12).copy_from_slice(&datagram(number));
    batch.push(Outgoing { packet, destination, source: None, tag: number });
}

/// Sends numbers; returns the tags that failed and why
fn send(
    socket: &mut MemorySocket,
    destination: Ipv4Addr,
    numbers: impl IntoIterator<Item = u32>,
) -> Vec<(u32, Option<i32>)> {
    let mut batch = SendBatch::new(8192);
    for number in numbers {
        push(&mut batch, destination, number);
    }
    let mut failed = Vec::new();
    assert!(
        socket.send(&mut batch, |tag, error| failed.push((tag, error.raw_os_error()))).unwrap()
    );
    failed
}

/// The numbers that are there, without waiting
fn take(socket: &mut MemorySocket) -> Vec<u32> {
    let mut batch = ReceiveBatch::new();
    let mut numbers = Vec::new();
    while socket.receive(&mut batch).unwrap() > 0 {
        numbers.extend(batch.datagrams().map(|datagram| {
            let number = datagram.gre.last_chunk().unwrap();
            u32::from_be_bytes(*number)
        }));
    }
    numbers
}

fn failures(socket: &mut MemorySocket) -> Vec<DeliveryFailure> {
    let mut failures = Vec::new();
    socket.take_failures(|failure| failures.push(failure)).unwrap();
    failures
}

fn at(host: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(host, port)
}

/// A connection from A to B: its ends, A's first
async fn connection(network: &Network) -> (MemoryStream, MemoryStream) {
    let listener = network.host(B).listen_tcp(1723).unwrap();
    let host = network.host(A);
    let (ours, theirs) = tokio::join!(host.connect_tcp(at(B, 1723)), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

const fn movable<T: Send + 'static>() {}

#[test]
fn its_parts_may_move_between_threads() {
    const { movable::<(MemorySocket, MemoryStream, MemoryListener, Host)>() }
}
