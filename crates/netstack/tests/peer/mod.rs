//! A stack and a peer whose every segment is written by the test, in virtual time
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use pptp_netstack::{Local, LocalLink, Net, StackConfig, TcpOptions, TcpStream};
use pptp_packet::VecEgress;
use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket};
use tokio::time::Instant;

pub const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 234);
pub const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 1), 80);

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

/// The option that a SYN tells the largest segment by, 1360 octets
pub const MSS: [u8; 4] = [2, 4, 0x05, 0x50];

/// A segment of either side (RFC 9293 §3.1)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub octets: Vec<u8>,
}

impl Segment {
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The number behind its last sequence number
    pub fn end(&self) -> u32 {
        let controls = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.sequence.wrapping_add(u32::try_from(self.octets.len()).unwrap() + controls)
    }

    pub fn packet(&self) -> Vec<u8> {
        let mut tcp = [self.from.port().to_be_bytes(), self.to.port().to_be_bytes()].concat();
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(self.acknowledgment.to_be_bytes());
        tcp.extend([u8::try_from((20 + self.options.len()) << 2).unwrap(), self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(self.options.iter().chain(&self.octets));
        let (from, to) = (IpAddress::Ipv4(*self.from.ip()), IpAddress::Ipv4(*self.to.ip()));
        TcpPacket::new_unchecked(&mut tcp[..]).fill_checksum(&from, &to);
        ip(*self.from.ip(), *self.to.ip(), 6, &tcp)
    }

    /// `None` if the packet holds something else
    pub fn parse(packet: &[u8]) -> Option<Self> {
        if packet[9] != 6 {
            return None;
        }
        let address =
            |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        let tcp = TcpPacket::new_checked(&packet[20..]).unwrap();
        assert!(tcp.verify_checksum(&address(12).into(), &address(16).into()));
        Some(Self {
            from: SocketAddrV4::new(address(12), tcp.src_port()),
            to: SocketAddrV4::new(address(16), tcp.dst_port()),
            sequence: tcp.seq_number().0.cast_unsigned(),
            acknowledgment: tcp.ack_number().0.cast_unsigned(),
            flags: packet[33] & 0x17,
            window: tcp.window_len(),
            options: tcp.options().to_vec(),
            octets: tcp.payload().to_vec(),
        })
    }
}

/// An IPv4 packet without options
pub fn ip(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
    packet
}

/// A stack under test and its link
pub struct Host {
    pub net: Net,
    pub link: LocalLink,
}

impl Host {
    pub fn new() -> Self {
        Self::with_seed(1)
    }

    pub fn with_seed(seed: u64) -> Self {
        let (net, link) = Local::new(StackConfig::new(OWN, 1400, seed));
        Self { net, link }
    }

    pub fn give(&self, packet: &[u8]) {
        self.link.handle_ip(Instant::now().into_std(), packet);
    }

    /// The segments that the stack sends now
    pub fn turn(&self) -> Vec<Segment> {
        let mut out = VecEgress::new(64);
        self.link.turn(Instant::now().into_std(), &mut out);
        out.packets.iter().filter_map(|packet| Segment::parse(packet)).collect()
    }

    /// The segments that the stack sends when it is given one
    pub fn answers(&self, segment: &Segment) -> Vec<Segment> {
        self.give(&segment.packet());
        self.turn()
    }

    /// Lets time pass; `answer` writes what the peer says to each segment
    pub async fn run(&self, time: Duration, mut answer: impl FnMut(&Segment) -> Vec<Segment>) {
        let end = Instant::now() + time;
        loop {
            for segment in self.turn() {
                for reply in answer(&segment) {
                    self.give(&reply.packet());
                }
            }
            if tokio::time::timeout_at(end, self.link.ready()).await.is_err() {
                return;
            }
        }
    }

    /// Connects to the peer, whose SYN-ACK has this window and these options
    pub async fn connect(&self, options: TcpOptions, window: u16, syn: &[u8]) -> (TcpStream, Line) {
        let mut connect = pin!(self.net.tcp_connect(SocketAddr::V4(PEER), options));
        let mut context = Context::from_waker(Waker::noop());
        assert!(connect.as_mut().poll(&mut context).is_pending());
        let [first] = &self.turn()[..] else { panic!("a SYN") };
        let line = Line { local: first.from, sent: first.end(), received: 5_000 };
        let reply = Segment {
            sequence: 4_999,
            flags: SYN | ACK,
            window,
            options: syn.to_vec(),
            ..line.segment(ACK)
        };
        self.give(&reply.packet());
        let stream = connect.await.unwrap();
        self.turn();
        (stream, line)
    }
}

/// A connection at its begin: the next number of each side
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub local: SocketAddrV4,
    /// The next number of the stack under test
    pub sent: u32,
    /// The next number of the peer
    pub received: u32,
}

impl Line {
    /// A segment of the peer without octets that acknowledges what was sent at the begin
    pub fn segment(&self, flags: u8) -> Segment {
        Segment {
            from: PEER,
            to: self.local,
            sequence: self.received,
            acknowledgment: self.sent,
            flags,
            window: 8_000,
            options: Vec::new(),
            octets: Vec::new(),
        }
    }
}
