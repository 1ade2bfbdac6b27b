//! What is under way to one end

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use pptp_gre::Header;
use pptp_ppp::frame;

/// What arrives at an end
#[derive(Debug, Clone)]
pub(super) enum Inbound {
    /// Octets of the control connection
    Control(Vec<u8>),
    /// A GRE datagram
    Gre(Vec<u8>),
    /// The control connection's end
    Eof,
}

/// A line to one end, 10 ms long
#[derive(Debug)]
pub(super) struct Line {
    under_way: VecDeque<(Instant, Inbound)>,
    /// The latest datagrams, lost ones included
    latest: VecDeque<Vec<u8>>,
    /// The number behind the highest one that arrived
    next: u32,
    /// So many more datagrams are lost
    pub(super) lost: u8,
    /// The next datagram takes so much longer
    pub(super) delay: Duration,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            under_way: VecDeque::new(),
            latest: VecDeque::new(),
            next: 0,
            lost: 0,
            delay: Duration::ZERO,
        }
    }

    /// Sends something to this end; TCP loses nothing
    pub(super) fn push(&mut self, now: Instant, inbound: Inbound) {
        let mut at = now + LENGTH;
        if let Inbound::Gre(datagram) = &inbound {
            if self.latest.len() == KEPT {
                self.latest.pop_front();
            }
            self.latest.push_back(datagram.clone());
            if self.lost > 0 {
                self.lost -= 1;
                return;
            }
            at += std::mem::take(&mut self.delay);
        }
        if self.under_way.len() < MOST_UNDER_WAY {
            self.under_way.push_back((at, inbound));
        }
    }

    /// What has arrived by now, the earliest first
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Inbound> {
        let at = self.next().filter(|at| *at <= now)?;
        let place = self.under_way.iter().position(|(due, _)| *due == at)?;
        self.under_way.remove(place).map(|(_, inbound)| inbound)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.under_way.iter().map(|(at, _)| *at).min()
    }

    /// Nothing arrives any more
    pub(super) fn cut(&mut self) {
        self.under_way.clear();
    }

    /// A datagram with this number has arrived
    pub(super) fn note_number(&mut self, number: Option<u32>) {
        let Some(number) = number else { return };
        if number.wrapping_sub(self.next).cast_signed() >= 0 {
            self.next = number.wrapping_add(1);
        }
    }

    pub(super) const fn next_number(&self) -> u32 {
        self.next
    }

    /// One of the latest datagrams, with an octet of it changed
    pub(super) fn earlier(&self, age: u8, at: u16, change: u8) -> Option<Vec<u8>> {
        let place = self.latest.len().checked_sub(1 + usize::from(age) % KEPT)?;
        let mut datagram = self.latest.get(place)?.clone();
        let at = usize::from(at) % datagram.len().max(1);
        if let Some(octet) = datagram.get_mut(at) {
            *octet ^= change;
        }
        Some(datagram)
    }

    /// A packet of this protocol with the identifier of the latest one that was sent here
    pub(super) fn with_latest_id(&self, protocol: u8, packet: &[u8]) -> Vec<u8> {
        let protocol = protocol_of(protocol);
        let mut packet = packet.to_vec();
        let id = self.latest_frame(protocol).and_then(|it| it.get(5).copied());
        if let (Some(id), Some(octet)) = (id, packet.get_mut(1)) {
            *octet = id;
        }
        frame::control(protocol, &packet)
    }

    /// The latest packet of this protocol that was sent here, with another code and changed data
    pub(super) fn answer(&self, protocol: u8, code: u8, changes: &[u8]) -> Option<Vec<u8>> {
        let mut frame = self.latest_frame(protocol_of(protocol))?.to_vec();
        *frame.get_mut(4)? = code;
        for change in changes.chunks_exact(2) {
            if let Some(octet) = frame.get_mut(8 + usize::from(change[0])) {
                *octet ^= change[1];
            }
        }
        Some(frame)
    }

    fn latest_frame(&self, protocol: u16) -> Option<&[u8]> {
        self.latest.iter().rev().find_map(|datagram| {
            let (_, payload) = Header::parse(datagram).ok()?;
            let frame = datagram.get(payload)?;
            (frame.get(2..4)? == protocol.to_be_bytes()).then_some(frame)
        })
    }
}

fn protocol_of(octet: u8) -> u16 {
    PROTOCOLS[usize::from(octet) % PROTOCOLS.len()]
}

/// By the octet of a step
pub(super) const PROTOCOLS: [u16; 7] =
    [frame::LCP, frame::CHAP, frame::PAP, frame::EAP, frame::CCP, frame::IPCP, frame::IPV6CP];

const LENGTH: Duration = Duration::from_millis(10);
const KEPT: usize = 64;
const MOST_UNDER_WAY: usize = 512;
