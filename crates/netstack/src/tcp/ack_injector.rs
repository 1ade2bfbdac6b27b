//! The control of the engine's sending by acknowledgments that the peer has not sent
//!
//! The engine has a fixed set of congestion controllers, and [`Congestion`] is not one of them. But it
//! obeys acknowledgments: their window bounds the octets in flight, and three duplicates make it
//! retransmit the first segment. So beside the peer's acknowledgments it is given some of ours.

use pptp_packet::Egress;

use super::{
    congestion::{Congestion, DEFAULT_MSS},
    delayed_dup_acks::Reply,
};
use crate::{
    engine::{BareSegment, Control, Segment, State},
    ip::{Flow, IPV6_HEADER, TCP_HEADER, header_len},
    shared::time::Time,
};

/// A [`Congestion`] and the state that is needed to acknowledge in the peer's name
#[derive(Debug)]
pub(super) struct AckInjector {
    pub(super) congestion: Congestion,
    /// Octets that the peer offers
    window: u32,
    /// The window that the engine was given last, in units of `1 << scale`
    last_window: u16,
    /// The peer's window scale (RFC 7323 §2.2)
    scale: u8,
    /// The sequence number that the peer's next segment has
    peer_next: i32,
    /// Acknowledgments that the engine is to be given before it is asked for a packet
    pending: Pending,
    /// True if the engine was told to retransmit the first segment
    requested: bool,
    /// The number that the engine's last segment acknowledged; its window follows
    acknowledged: i32,
    offered: u16,
}

/// The acknowledgments that the engine is still to be given
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Window(u16),
    /// So many duplicate ACKs
    Duplicates(u8),
}

impl AckInjector {
    pub(super) const fn new() -> Self {
        Self {
            congestion: Congestion::new(),
            window: 0,
            last_window: 0,
            scale: 0,
            peer_next: 0,
            pending: Pending::Nothing,
            requested: false,
            acknowledged: 0,
            offered: 0,
        }
    }

    /// Takes note of a segment of the peer, after the engine has processed it
    pub(super) fn on_segment(&mut self, segment: &Segment, mtu: usize, now: Time) {
        if segment.syn {
            self.scale = segment.scale.unwrap_or(0).min(MAX_SCALE);
            let headers = segment.local.address().version().header_len().saturating_add(TCP_HEADER);
            let path = u32::try_from(mtu.saturating_sub(headers)).unwrap_or(u32::MAX);
            let most = segment.most.map_or(DEFAULT_MSS, u32::from);
            self.congestion.set_smss(most.min(path));
        }
        let scale = if segment.syn { 0 } else { self.scale };
        let window = u32::from(segment.window) << scale;
        let octets = usize::from(segment.syn || segment.fin).saturating_add(segment.octets);
        let end = segment.sequence.wrapping_add(i32::try_from(octets).unwrap_or(0));
        if segment.syn || end.wrapping_sub(self.peer_next).is_positive() {
            self.peer_next = end;
        }
        let says_nothing_else = octets == 0 && !segment.rst;
        let duplicate = says_nothing_else && (segment.sacks || window == self.window);
        self.congestion.on_acknowledgment(segment.acknowledgment, duplicate, now);
        if segment.acknowledgment == self.congestion.unacknowledged() {
            (self.window, self.last_window) = (window, units(window, self.scale));
        }
    }

    /// Takes note of a segment that the engine has composed
    pub(super) fn on_sent(&mut self, sent: Sent, now: Time) {
        (self.acknowledged, self.offered) = (sent.acknowledgment, sent.window);
        if sent.syn {
            self.congestion.start(sent.sequence.wrapping_add(1));
        } else if sent.octets > 0 {
            let requested = std::mem::take(&mut self.requested);
            self.congestion.on_sent(sent.sequence, sent.octets, requested, now);
        }
    }

    /// Composes the next acknowledgment for the engine, if it is to be given one
    ///
    /// `state` is its own state, and `queued` is true if it has octets that are not acknowledged.
    pub(super) fn compose(
        &mut self,
        flow: Flow,
        state: State,
        queued: bool,
    ) -> Option<SyntheticSegment> {
        if !matches!(state, State::Established | State::CloseWait | State::FinWait1) || !queued {
            return None;
        }
        if self.pending == Pending::Nothing {
            self.pending = self.choose_pending();
        }
        self.last_window = match self.pending {
            Pending::Nothing => return None,
            Pending::Window(window) => {
                self.pending = Pending::Nothing;
                window
            }
            // with another window it is not a duplicate, so that the engine's count begins anew
            Pending::Duplicates(DUPLICATES) => self.last_window.checked_add(1).unwrap_or(1),
            Pending::Duplicates(_) => self.last_window,
        };
        if let Pending::Duplicates(left) = self.pending {
            self.pending = left.checked_sub(1).map_or(Pending::Nothing, Pending::Duplicates);
        }
        Some(self.synthesize(flow))
    }

    /// Composes a FIN for the peer, if all before it has arrived and it is to be sent again now
    ///
    /// Without it the engine retransmits the FIN only when its timer expires, a second later at least.
    pub(super) fn compose_fin(
        &mut self,
        flow: Flow,
        state: State,
        queued: bool,
    ) -> Option<Vec<u8>> {
        let parts = matches!(state, State::FinWait1 | State::Closing | State::LastAck);
        if !parts || queued || !self.congestion.take_retransmit() {
            return None;
        }
        let segment = BareSegment {
            source: flow.local,
            destination: flow.peer,
            control: Control::Fin,
            sequence: self.congestion.unacknowledged(),
            acknowledgment: Some(self.acknowledged),
            window: self.offered,
        };
        let mut fin = Reply::default();
        segment.compose(&mut fin);
        fin.0
    }

    fn choose_pending(&mut self) -> Pending {
        let window = self.window.min(self.congestion.allowance());
        if window == 0 {
            Pending::Nothing
        } else if self.congestion.take_retransmit() {
            self.requested = true;
            Pending::Duplicates(DUPLICATES)
        } else if units(window, self.scale) != self.last_window {
            Pending::Window(units(window, self.scale))
        } else {
            Pending::Nothing
        }
    }

    fn synthesize(&self, Flow { local, peer }: Flow) -> SyntheticSegment {
        SyntheticSegment::of(&BareSegment {
            source: peer,
            destination: local,
            control: Control::None,
            sequence: self.peer_next,
            acknowledgment: Some(self.congestion.unacknowledged()),
            window: self.last_window,
        })
    }
}

/// A segment without octets that the peer has not sent, for the engine
#[derive(Debug)]
pub(super) struct SyntheticSegment {
    octets: [u8; MAX_HEADERS],
    len: usize,
}

impl SyntheticSegment {
    pub(super) fn of(segment: &BareSegment) -> Self {
        let mut synthetic = Self { octets: [0; MAX_HEADERS], len: 0 };
        segment.compose_for_engine(&mut synthetic);
        synthetic
    }

    /// The IP packet
    pub(super) fn packet(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

impl Egress for SyntheticSegment {
    fn has_room(&self) -> bool {
        true
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        match self.octets.get_mut(..len) {
            Some(octets) => {
                self.len = len;
                fill(octets)
            }
            None => fill(&mut vec![0; len]),
        }
    }
}

/// The sequence numbers that a segment of this side takes, and its acknowledgment and window
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) sequence: i32,
    octets: u32,
    syn: bool,
    acknowledgment: i32,
    window: u16,
}

impl Sent {
    /// The number behind its last sequence number; a SYN and a FIN have one each
    pub(super) fn end(self) -> i32 {
        let octets = i32::try_from(self.octets).unwrap_or(0);
        self.sequence.wrapping_add(octets).wrapping_add(i32::from(self.syn))
    }

    /// Reads an IP packet that holds a TCP segment (RFC 9293 §3.1)
    fn of(packet: &[u8]) -> Option<Self> {
        let tcp = packet.get(header_len(packet)?..)?;
        let (_ports, rest) = tcp.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (acknowledgment, rest) = rest.split_first_chunk()?;
        let [offset, bits, window @ ..] = rest.first_chunk::<4>()?;
        let header = usize::from(offset >> 4).saturating_mul(4);
        let fin = usize::from(bits & FIN != 0);
        Some(Self {
            sequence: i32::from_be_bytes(*sequence),
            octets: u32::try_from(tcp.len().saturating_sub(header).saturating_add(fin)).ok()?,
            syn: bits & SYN != 0,
            acknowledgment: i32::from_be_bytes(*acknowledgment),
            window: u16::from_be_bytes(*window),
        })
    }
}

/// An [`Egress`] that takes note of the segments that pass
#[derive(Debug)]
pub(super) struct Watch<'a, E> {
    pub(super) out: &'a mut E,
    pub(super) sent: Option<Sent>,
    /// The packet, if it is a SYN and is asked for
    pub(super) syn: Option<Vec<u8>>,
    pub(super) keeps_syn: bool,
}

impl<E: Egress> Egress for Watch<'_, E> {
    fn has_room(&self) -> bool {
        self.out.has_room()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Self { out, sent, syn, keeps_syn } = self;
        out.compose(len, |octets| {
            let filled = fill(octets);
            *sent = Sent::of(octets);
            *syn = (*keeps_syn && sent.is_some_and(|sent| sent.syn)).then(|| octets.to_vec());
            filled
        })
    }
}

/// A window in the units of a segment
fn units(window: u32, scale: u8) -> u16 {
    u16::try_from(window.div_ceil(1 << scale)).unwrap_or(u16::MAX)
}

/// Duplicate acknowledgments that make the engine send again (RFC 5681 §3.2)
const DUPLICATES: u8 = 3;

/// The largest window scale (RFC 7323 §2.3)
const MAX_SCALE: u8 = 14;

/// Octets of both headers without options, of the version with the longer one
const MAX_HEADERS: usize = IPV6_HEADER + TCP_HEADER;

/// Control bits (RFC 9293 §3.1)
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
