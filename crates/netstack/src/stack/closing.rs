//! Connections that are over on this side: no buffers, a line each

use std::net::SocketAddrV4;

use pptp_packet::Egress;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    },
};

use super::{
    datagram::Segment,
    device::{NEVER, Time},
    tcp::Flow,
};

/// Connections that are over on this side (RFC 9293 §3.3.2: TIME-WAIT, and FIN-WAIT-2 of a
/// connection that nobody has any more)
///
/// smoltcp keeps a socket with both its buffers for them. All that is ever needed is an answer to
/// the peer's FIN, and what is to be said follows from the FIN itself.
#[derive(Debug, Default)]
pub(super) struct Closing {
    records: Vec<Record>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    flow: Flow,
    until: Time,
    /// False while the peer's FIN is still to come
    time_wait: bool,
}

/// What a segment of a connection that is over deserves
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Acknowledgment,
    /// There is nobody who could read it
    Reset,
    Nothing,
    /// The segment starts another connection between the same ports, or belongs to none
    NotOurs,
}

impl Closing {
    pub(super) fn insert(&mut self, flow: Flow, time_wait: bool, now: Time) {
        self.records.retain(|record| record.flow != flow);
        if self.records.len() >= MOST {
            self.records.remove(0);
        }
        let wait = if time_wait { TIME_WAIT } else { FIN_WAIT_2 };
        self.records.push(Record { flow, until: now.saturating_add(wait), time_wait });
    }

    pub(super) fn handle(&mut self, segment: &Segment, now: Time) -> Answer {
        let of = |record: &Record| {
            record.flow.local == segment.local && record.flow.peer == segment.peer
        };
        let Some(at) = self.records.iter().position(of) else { return Answer::NotOurs };
        let Some(record) = self.records.get_mut(at) else { return Answer::NotOurs };
        if segment.rst {
            self.records.swap_remove(at);
            return Answer::Nothing;
        }
        if segment.syn {
            self.records.swap_remove(at);
            return Answer::NotOurs;
        }
        if segment.fin {
            (record.time_wait, record.until) = (true, now.saturating_add(TIME_WAIT));
            return Answer::Acknowledgment;
        }
        if segment.octets > 0 && !record.time_wait {
            self.records.swap_remove(at);
            return Answer::Reset;
        }
        Answer::Nothing
    }

    pub(super) fn holds(&self, flow: &Flow) -> bool {
        self.records.iter().any(|record| record.flow == *flow)
    }

    pub(super) fn sweep(&mut self, now: Time) {
        if self.next() <= now {
            self.records.retain(|record| record.until > now);
            if self.records.is_empty() {
                self.records = Vec::new();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.records = Vec::new();
    }

    /// When the next record is due
    pub(super) fn next(&self) -> Time {
        self.records.iter().map(|record| record.until).min().unwrap_or(NEVER)
    }
}

/// Composes the answer to a segment; both numbers of it follow from the segment
pub(super) fn compose(answer: Answer, segment: &Segment, out: &mut impl Egress) -> bool {
    let (control, acknowledgment) = match answer {
        Answer::Acknowledgment => {
            let octets = i32::try_from(segment.octets).unwrap_or(0);
            let next = segment.sequence.wrapping_add(octets).wrapping_add(1);
            (TcpControl::None, Some(TcpSeqNumber(next)))
        }
        Answer::Reset => (TcpControl::Rst, None),
        Answer::Nothing | Answer::NotOurs => return false,
    };
    let repr = TcpRepr {
        control,
        seq_number: TcpSeqNumber(segment.acknowledgment),
        ack_number: acknowledgment,
        ..bare(segment.local, segment.peer)
    };
    emit(&repr, segment.local, segment.peer, out);
    true
}

/// A segment that says nothing yet
pub(super) const fn bare(local: SocketAddrV4, peer: SocketAddrV4) -> TcpRepr<'static> {
    TcpRepr {
        src_port: local.port(),
        dst_port: peer.port(),
        control: TcpControl::None,
        seq_number: TcpSeqNumber(0),
        ack_number: None,
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    }
}

/// Composes a segment from `local` to `peer`
pub(super) fn emit(
    repr: &TcpRepr<'_>,
    local: SocketAddrV4,
    peer: SocketAddrV4,
    out: &mut impl Egress,
) {
    let checksums = ChecksumCapabilities::default();
    let ip = Ipv4Repr {
        src_addr: *local.ip(),
        dst_addr: *peer.ip(),
        next_header: IpProtocol::Tcp,
        payload_len: repr.buffer_len(),
        hop_limit: 64,
    };
    out.compose(ip.buffer_len().saturating_add(ip.payload_len), |octets| {
        let mut packet = Ipv4Packet::new_unchecked(octets);
        ip.emit(&mut packet, &checksums);
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        let (source, destination) = (IpAddress::Ipv4(ip.src_addr), IpAddress::Ipv4(ip.dst_addr));
        repr.emit(&mut segment, &source, &destination, &checksums);
    });
}

/// As long as smoltcp stays in TIME-WAIT
const TIME_WAIT: Time = 10_000_000;

/// As long as Linux waits for the FIN of a peer whose connection nobody has any more
const FIN_WAIT_2: Time = 60_000_000;

/// The oldest record gives way to one more than this
const MOST: usize = 128;

#[cfg(test)]
mod tests {
    use pptp_packet::VecEgress;

    use super::*;
    use crate::stack::datagram::Datagram;

    fn flow() -> Flow {
        Flow { local: "10.0.0.1:50000".parse().unwrap(), peer: "10.0.0.2:80".parse().unwrap() }
    }

    fn segment() -> Segment {
        Segment {
            local: flow().local,
            peer: flow().peer,
            syn: false,
            acknowledges: true,
            fin: false,
            rst: false,
            octets: 0,
            sequence: 1000,
            acknowledgment: -5,
            window: 0,
            scale: None,
            most: 0,
            sacks: false,
        }
    }

    #[test]
    fn a_fin_is_acknowledged_again_and_again() {
        let mut closing = Closing::default();
        closing.insert(flow(), false, 0);
        let fin = Segment { fin: true, octets: 3, ..segment() };
        assert_eq!(closing.handle(&fin, 0), Answer::Acknowledgment);
        assert_eq!(closing.handle(&fin, 5), Answer::Acknowledgment);
        assert_eq!(closing.next(), 5 + TIME_WAIT);
        let mut out = VecEgress::new(1);
        assert!(compose(Answer::Acknowledgment, &fin, &mut out));
        let answer = Datagram::parse(&out.packets[0]).unwrap().tcp().unwrap();
        assert_eq!((answer.sequence, answer.acknowledgment), (-5, 1004));
        assert!(answer.acknowledges && !answer.rst);
    }

    #[test]
    fn data_that_nobody_can_read_is_answered_with_a_reset() {
        let mut closing = Closing::default();
        closing.insert(flow(), false, 0);
        let data = Segment { octets: 1, ..segment() };
        assert_eq!(closing.handle(&data, 0), Answer::Reset);
        assert_eq!(closing.handle(&data, 0), Answer::NotOurs, "the record is gone");
        closing.insert(flow(), true, 0);
        assert_eq!(closing.handle(&data, 0), Answer::Nothing, "old data in TIME-WAIT");
    }

    #[test]
    fn a_syn_makes_way_for_another_connection() {
        let mut closing = Closing::default();
        closing.insert(flow(), true, 0);
        assert_eq!(closing.handle(&Segment { syn: true, ..segment() }, 0), Answer::NotOurs);
        assert!(!closing.holds(&flow()));
    }

    #[test]
    fn records_are_bounded_and_leave_no_memory() {
        let mut closing = Closing::default();
        for port in 0..1000 {
            let peer = SocketAddrV4::new(*flow().peer.ip(), port);
            closing.insert(Flow { peer, ..flow() }, true, 0);
        }
        assert_eq!(closing.records.len(), MOST);
        closing.sweep(TIME_WAIT);
        assert_eq!((closing.records.capacity(), closing.next()), (0, NEVER));
    }
}
