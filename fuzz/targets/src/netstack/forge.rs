//! Packets that answer ours, or look as if they did

use std::{collections::VecDeque, net::Ipv4Addr};

use super::{
    addresses::{ADDRESS, MTU, PEER, SECOND_ADDRESS},
    step::{Borrow, Step, syn_ports},
};
use crate::packets::checksum;

/// What we have sent, and what can be made of it
#[derive(Debug)]
pub(super) struct Seen {
    packets: VecDeque<Vec<u8>>,
    flows: VecDeque<Flow>,
    pub(super) mtu: usize,
    latest_echo: Vec<u8>,
    datagrams: VecDeque<Vec<u8>>,
}

/// One of our connections, as its peer sees it
#[derive(Debug, Clone, Copy)]
struct Flow {
    ours: Ipv4Addr,
    peer: Ipv4Addr,
    /// Ours, and the peer's
    ports: [u16; 2],
    /// What we send next
    next: u32,
    /// What we expect next
    expected: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            packets: VecDeque::new(),
            flows: VecDeque::new(),
            mtu: MTU,
            latest_echo: Vec::new(),
            datagrams: VecDeque::new(),
        }
    }
}

impl Seen {
    /// Holds a packet of ours to its rules, and remembers it
    pub(super) fn note(&mut self, packet: &[u8]) {
        // what was composed before the MTU changed may still be larger
        assert!(packet.len() <= MTU && packet.len() >= 20, "{} octets", packet.len());
        assert!(packet[0] >> 4 == 4, "no IPv4");
        let header = usize::from(packet[0] & 0x0F) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        assert_eq!(total, packet.len(), "the length in the header");
        assert_eq!(checksum(&packet[..header]), 0, "the checksum of the header");
        let source = address(packet, 12);
        assert!([ADDRESS, SECOND_ADDRESS].contains(&source), "from {source}");
        let payload = &packet[header..];
        match packet[9] {
            6 => self.note_segment(packet, payload),
            // a fragment of a datagram of ours
            17 if number(packet, 6) & 0x3FFF != 0 => {}
            17 => {
                assert!(payload[6..8] == [0, 0] || upper_checksum(packet, payload) == 0);
                keep(&mut self.datagrams, packet);
            }
            1 => {
                assert_eq!(checksum(payload), 0, "ICMP's checksum");
                if payload[0] == 8 {
                    self.latest_echo = packet.to_vec();
                }
            }
            protocol => assert_eq!(protocol, 2, "protocol {protocol}"),
        }
        keep(&mut self.packets, packet);
    }

    fn note_segment(&mut self, packet: &[u8], segment: &[u8]) {
        assert_eq!(upper_checksum(packet, segment), 0, "TCP's checksum");
        let [syn, fin] = [0x02, 0x01].map(|flag| u32::from(segment[13] & flag != 0));
        let carried = segment.len() - usize::from(segment[12] >> 4) * 4;
        let length = u32::try_from(carried).unwrap_or_default() + syn + fin;
        let flow = Flow {
            ours: address(packet, 12),
            peer: address(packet, 16),
            ports: [number(segment, 0), number(segment, 2)],
            next: long_number(segment, 4).wrapping_add(length),
            expected: long_number(segment, 8),
        };
        self.flows.retain(|it| it.ports != flow.ports);
        if self.flows.len() == MOST_SEEN {
            self.flows.pop_front();
        }
        self.flows.push_back(flow);
    }

    /// The packet of a step; `None` if it answers nothing
    pub(super) fn packet(&self, step: &Step<'_>) -> Option<Vec<u8>> {
        match *step {
            Step::Packet(packet) => Some(packet.to_vec()),
            Step::Fixed(packet) => Some(fixed(packet)),
            Step::Tcp { flow, flags, sequence, acknowledgment, window, options, payload } => {
                let flow = back(&self.flows, flow)?;
                let numbers = [
                    flow.expected.wrapping_add_signed(sequence.into()),
                    flow.next.wrapping_add_signed(acknowledgment.into()),
                ];
                let ports = [flow.ports[1], flow.ports[0]];
                let segment = segment(ports, numbers, flags, window, options, payload);
                Some(packet(6, flow.peer, flow.ours, &segment))
            }
            Step::Syn(port, sequence) => {
                let segment = segment(syn_ports(port), [sequence, 0], 0x02, 4096, &[], &[]);
                Some(packet(6, PEER, ADDRESS, &segment))
            }
            Step::Udp(which, borrow, payload) => self.answer(which, borrow, payload),
            Step::Fragment(identification, place, octets) => {
                Some(fragment(identification, place, octets))
            }
            Step::Echo(at, change) => self.echo(at, change),
            Step::Icmp(kind, code, which, quoted) => {
                let ours = back(&self.packets, which)?;
                let quoted = &ours[..usize::from(quoted).min(ours.len())];
                let error = [&[kind, code, 0, 0, 0, 0, 2, 0], quoted].concat();
                Some(packet(1, PEER, address(ours, 12), &error))
            }
            Step::Wait(_) | Step::Use(_) | Step::Drop(_) | Step::Reconfigure(..) => None,
        }
    }

    fn answer(&self, which: u8, borrow: Borrow, payload: &[u8]) -> Option<Vec<u8>> {
        let (port, same) = match borrow {
            Borrow::Nothing => (None, 0..0),
            Borrow::DnsId => (Some(53), 0..2),
            Borrow::DhcpTransaction => (Some(67), 4..8),
        };
        let to_port = |it: &&Vec<u8>| port.is_none_or(|port| number(it, 22) == port);
        let questions: Vec<_> = self.datagrams.iter().filter(to_port).collect();
        let question =
            questions.get(questions.len().checked_sub(1 + usize::from(which) % MOST_SEEN)?)?;
        let asked = question.get(28..)?;
        let mut payload = payload[..payload.len().min(MTU)].to_vec();
        if let (Some(ours), Some(theirs)) = (asked.get(same.clone()), payload.get_mut(same)) {
            theirs.copy_from_slice(ours);
        }
        let length = u16::try_from(payload.len() + 8).ok()?.to_be_bytes();
        let ports = [&question[22..24], &question[20..22]].concat();
        let datagram = [&ports[..], &length, &[0, 0], &payload].concat();
        let source = address(question, 16);
        let source = if source == Ipv4Addr::BROADCAST { PEER } else { source };
        Some(packet(17, source, address(question, 12), &datagram))
    }

    fn echo(&self, at: u16, change: u8) -> Option<Vec<u8>> {
        let request = &self.latest_echo;
        let mut reply = request.get(20..)?.to_vec();
        let at = usize::from(at) % reply.len();
        reply[0] = 0;
        reply[at] ^= change;
        Some(packet(1, address(request, 16), address(request, 12), &reply))
    }
}

fn back<T>(all: &VecDeque<T>, which: u8) -> Option<&T> {
    all.get(all.len().checked_sub(1 + usize::from(which) % MOST_SEEN)?)
}

fn keep(all: &mut VecDeque<Vec<u8>>, packet: &[u8]) {
    if all.len() == MOST_SEEN {
        all.pop_front();
    }
    all.push_back(packet.to_vec());
}

fn number(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

fn long_number(octets: &[u8], at: usize) -> u32 {
    u32::from(number(octets, at)) << 16 | u32::from(number(octets, at + 2))
}

fn address(packet: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(long_number(packet, at))
}

fn segment(
    ports: [u16; 2],
    numbers: [u32; 2],
    flags: u8,
    window: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut options = options[..options.len().min(40)].to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    let offset = u8::try_from(5 + options.len() / 4).unwrap_or(15) << 4;
    let mut segment = Vec::new();
    segment.extend(ports.iter().flat_map(|it| it.to_be_bytes()));
    segment.extend(numbers.iter().flat_map(|it| it.to_be_bytes()));
    segment.extend([offset, flags]);
    segment.extend(window.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// An IPv4 packet with right checksums
fn packet(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(1500 - 20)];
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    put_right(&mut packet);
    packet
}

/// A fragment of a UDP datagram to us
fn fragment(identification: u8, place: u16, octets: &[u8]) -> Vec<u8> {
    // put_right would take its first octets for a UDP header
    let mut packet = packet(0xFF, PEER, ADDRESS, octets);
    packet[4] = identification;
    packet[6..8].copy_from_slice(&place.to_be_bytes());
    packet[9] = 17;
    packet[10..12].fill(0);
    let sum = checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// To our address, with lengths and checksums put right where there is room for them
fn fixed(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet[..packet.len().min(1500)].to_vec();
    if packet.len() >= 20 {
        packet[0] = 0x40 | packet[0] & 0x0F;
        packet[16..20].copy_from_slice(&ADDRESS.octets());
        put_right(&mut packet);
    }
    packet
}

fn put_right(packet: &mut [u8]) {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[10..12].fill(0);
    let header = (usize::from(packet[0] & 0x0F) * 4).clamp(20, packet.len());
    let sum = checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let place = match packet[9] {
        6 => 16,
        17 => 6,
        1 | 2 => 2,
        _ => return,
    };
    if packet.len() < header + place + 2 {
        return;
    }
    packet[header + place..header + place + 2].fill(0);
    let sum = match packet[9] {
        1 | 2 => checksum(&packet[header..]),
        _ => upper_checksum(packet, &packet[header..]),
    };
    packet[header + place..header + place + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The checksum of TCP and UDP, with the pseudo header (RFC 9293 §3.1)
fn upper_checksum(packet: &[u8], payload: &[u8]) -> u16 {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    checksum(&[&packet[12..20], &[0, packet[9]], &length, payload].concat())
}

/// Packets, datagrams and connections that are remembered
const MOST_SEEN: usize = 8;
