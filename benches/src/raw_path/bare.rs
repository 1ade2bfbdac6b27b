//! What the client cannot do without, done alone

use std::{
    net::Ipv4Addr,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use pptp_gre_socket::{
    BATCH, GreSocket, Outgoing, RawSocket, ReceiveBatch, SendBatch, SocketOptions,
};
use pptp_mppe::{Arrival, Decryptor, Encryptor, KeyStrength, Order};

use super::traffic::{Direction, Traffic, count};
use crate::{
    measure::{median, thread_time},
    servers::real_time,
    wire::{FAR, Host, NEAR},
};

/// CPU time of the parts
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bare {
    pub(super) cipher: Duration,
    pub(super) receive: Duration,
    pub(super) send: Duration,
}

impl Bare {
    pub(super) fn total(self) -> Duration {
        self.cipher + self.receive + self.send
    }
}

/// The parts of a transfer, each for as many packets and octets as it had
pub(super) fn bound(near: &Host, far: &Host, traffic: Traffic, direction: Direction) -> Bare {
    let full = traffic.mtu;
    let (incoming, outgoing) = match direction {
        Direction::Download => (full, BARE_SEGMENT),
        Direction::Upload => (BARE_SEGMENT, full),
    };
    let sealed = traffic.sent - traffic.acknowledgments;
    let cipher = near.run(move || open(traffic.received, incoming) + seal(sealed, outgoing));
    let receive = receive(near, far, traffic.received, incoming + OVERHEAD, FLIGHT);
    let send = send(near, far, traffic.sent, outgoing + OVERHEAD, BATCH);
    Bare { cipher, receive, send }
}

/// Seconds for a datagram, alone and in a batch: sent, then received
pub(super) fn batches(near: &Host, far: &Host) -> [[f64; 2]; 2] {
    let each = |time: Duration| time.as_secs_f64() / count(BATCHES);
    let of = |measured: &dyn Fn(usize) -> Duration| {
        [1, BATCH].map(|burst| median((0..ROUNDS).map(|_| each(measured(burst))).collect()))
    };
    [
        of(&|burst| send(near, far, BATCHES, FULL, burst)),
        of(&|burst| receive(near, far, BATCHES, FULL, burst)),
    ]
}

fn seal(packets: usize, len: usize) -> Duration {
    let mut encryptor = Encryptor::stateless(&KEY, KeyStrength::Bits128);
    let mut inner = packet(len);
    let begin = thread_time();
    (0..packets).for_each(|_| _ = encryptor.seal(&mut inner));
    thread_time().saturating_sub(begin)
}

fn open(packets: usize, len: usize) -> Duration {
    let mut encryptor = Encryptor::stateless(&KEY, KeyStrength::Bits128);
    let mut decryptor = Decryptor::stateless(&KEY, KeyStrength::Bits128);
    let (mut time, now) = (Duration::ZERO, Instant::now());
    let mut sequences = (0..u32::try_from(packets).expect("a number of this bench")).peekable();
    while sequences.peek().is_some() {
        let mut frames: Vec<_> = sequences
            .by_ref()
            .take(BATCH)
            .map(|sequence| (sequence, frame(&mut encryptor, len)))
            .collect();
        let begin = thread_time();
        for (sequence, frame) in &mut frames {
            let arrival = Arrival { sequence: *sequence, order: Order::Ahead };
            decryptor.open(now, arrival, frame).expect("what was sealed before");
        }
        time += thread_time().saturating_sub(begin);
    }
    time
}

/// MPPE's header and ciphertext of a packet
fn frame(encryptor: &mut Encryptor, len: usize) -> Vec<u8> {
    let mut inner = packet(len);
    let header = encryptor.seal(&mut inner);
    [&header[..], &inner].concat()
}

/// PPP's protocol, and an IP packet with the header that MPPE's plausibility check wants
fn packet(len: usize) -> Vec<u8> {
    let total = u16::try_from(len).expect("a packet's length");
    let first = 0x4500;
    // RFC 791 §3.1, all other words being zero
    let sum = u32::from(first) + u32::from(total) + u32::from(TTL_TCP);
    let checksum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).expect("two octets");
    let words = [PPP_IP, first, total, 0, 0, TTL_TCP, checksum];
    let mut packet = words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    packet.resize(2 + len, 0);
    packet
}

/// Receives datagrams that the other host sends in bursts, each when the one before is taken
fn receive(near: &Host, far: &Host, datagrams: usize, len: usize, burst: usize) -> Duration {
    let (order, orders) = channel();
    let (done, sent) = channel();
    let sending = far.start(move || send_bursts(&orders, &done, len));
    let time = near.run(move || {
        let mut time = Duration::ZERO;
        real_time().block_on(async {
            let (mut socket, mut batch) = (open_socket(), ReceiveBatch::new());
            for mut due in pieces(datagrams, burst) {
                order.send(due).expect("the other host");
                sent.recv().expect("the other host");
                while due > 0 {
                    socket.readable().await.expect("a socket");
                    let begin = thread_time();
                    while let count @ 1.. = socket.receive(&mut batch).expect("a socket") {
                        due = due.saturating_sub(count);
                    }
                    time += thread_time().saturating_sub(begin);
                }
            }
        });
        time
    });
    sending.recv().expect("the other host");
    time
}

fn send_bursts(orders: &Receiver<usize>, done: &Sender<()>, len: usize) {
    real_time().block_on(async {
        let (mut socket, mut batch) = (open_socket(), SendBatch::new(BATCH));
        socket.writable().await.expect("a socket");
        while let Ok(count) = orders.recv() {
            for piece in pieces(count, BATCH) {
                fill(&mut batch, FAR, NEAR, piece, len);
                flush(&mut socket, &mut batch).await;
            }
            if done.send(()).is_err() {
                return;
            }
        }
    });
}

/// Sends datagrams in bursts to a host that takes them in after each flight
fn send(near: &Host, far: &Host, datagrams: usize, len: usize, burst: usize) -> Duration {
    let (order, orders) = channel();
    let (done, taken) = channel();
    let taking = far.start(move || take_in(&orders, &done));
    let time = near.run(move || {
        let mut time = Duration::ZERO;
        real_time().block_on(async {
            let (mut socket, mut batch) = (open_socket(), SendBatch::new(BATCH));
            socket.writable().await.expect("a socket");
            // the other host listens
            taken.recv().expect("the other host");
            for flight in pieces(datagrams, FLIGHT) {
                for piece in pieces(flight, burst) {
                    fill(&mut batch, NEAR, FAR, piece, len);
                    let begin = thread_time();
                    flush(&mut socket, &mut batch).await;
                    time += thread_time().saturating_sub(begin);
                }
                order.send(flight).expect("the other host");
                taken.recv().expect("the other host");
            }
        });
        time
    });
    taking.recv().expect("the other host");
    time
}

fn take_in(orders: &Receiver<usize>, done: &Sender<()>) {
    real_time().block_on(async {
        let (mut socket, mut batch) = (open_socket(), ReceiveBatch::new());
        while done.send(()).is_ok()
            && let Ok(mut due) = orders.recv()
        {
            while due > 0 {
                socket.readable().await.expect("a socket");
                while let count @ 1.. = socket.receive(&mut batch).expect("a socket") {
                    due = due.saturating_sub(count);
                }
            }
        }
    });
}

fn open_socket() -> RawSocket {
    RawSocket::open(&SocketOptions::default()).expect("a raw socket, since namespaces work")
}

async fn flush(socket: &mut RawSocket, batch: &mut SendBatch) {
    while !socket.send(batch, |_, error| panic!("{error}")).expect("a socket") {
        socket.writable().await.expect("a socket");
    }
}

fn fill(batch: &mut SendBatch, source: Ipv4Addr, destination: Ipv4Addr, count: usize, len: usize) {
    for _ in 0..count {
        let mut packet = batch.take_slot().expect("as many slots as a batch has");
        packet.reset(len)[..8].copy_from_slice(&GRE);
        batch.push(Outgoing { packet, destination, source: Some(source), tag: 0 });
    }
}

/// A number in pieces
fn pieces(count: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(most).map(move |at| most.min(count - at))
}

/// The head of an enhanced GRE header: key and sequence number, PPP (RFC 2637 §4.1)
const GRE: [u8; 8] = [0x30, 0x01, 0x88, 0x0B, 0, 0, 0, 1];

/// PPP's number of IP (RFC 1332)
const PPP_IP: u16 = 0x0021;

/// A time to live of 64, and TCP
const TTL_TCP: u16 = 0x4006;

/// GRE with an acknowledgment, PPP's address and control, 00FD, MPPE's header and inner protocol
const OVERHEAD: usize = 24;

/// Octets of an IP packet that only acknowledges
const BARE_SEGMENT: usize = 40;

/// Octets of a full datagram
const FULL: usize = 1424;

/// Datagrams in a receive buffer before it is drained: well below what it holds
const FLIGHT: usize = 512;

/// Datagrams for a figure of batches, and how often
const BATCHES: usize = 4096;
const ROUNDS: usize = 7;

const KEY: [u8; 16] = *b"0123456789abcdef";
