//! How smoltcp is made to send as much as [`Congestion`] allows, and a lost segment again
//!
//! smoltcp takes no controller but its own. But it heeds what a peer says: the window that an
//! acknowledgment offers bounds what is under way, and three duplicates make it send the first segment
//! again. So beside the peer's acknowledgments it is given some of ours.

use std::net::SocketAddrV4;

use pptp_packet::Egress;
use smoltcp::{
    phy::ChecksumCapabilities,
    socket::tcp::State,
    wire::{TcpControl, TcpRepr, TcpSeqNumber},
};

use super::{
    closing::{bare, emit},
    congestion::Congestion,
    datagram::Segment,
    device::Time,
    gap::Reply,
    tcp::Flow,
};

/// A [`Congestion`] and what it takes to speak for the peer
#[derive(Debug)]
pub(super) struct Steering {
    pub(super) congestion: Congestion,
    /// Octets that the peer offers
    window: u32,
    /// The same as smoltcp knows it, in units of `1 << scale`
    told: u16,
    /// RFC 7323 §2.2
    scale: u8,
    /// The sequence number that the peer's next segment has
    peer_next: i32,
    /// Acknowledgments that smoltcp is to be given before it is asked for a packet
    words: Words,
    /// Whether smoltcp was told to send the first segment again
    asked: bool,
    /// What its last segment acknowledged, and the window that it offered
    acknowledged: i32,
    offered: u16,
}

/// What smoltcp is to be told
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    Nothing,
    Window(u16),
    /// So many duplicates are still to come
    Duplicates(u8),
}

impl Steering {
    pub(super) const fn new() -> Self {
        Self {
            congestion: Congestion::new(),
            window: 0,
            told: 0,
            scale: 0,
            peer_next: 0,
            words: Words::Nothing,
            asked: false,
            acknowledged: 0,
            offered: 0,
        }
    }

    /// Hears what the peer says, after smoltcp did
    pub(super) fn on_segment(&mut self, segment: &Segment, mtu: usize, now: Time) {
        if segment.syn {
            self.scale = segment.scale.unwrap_or(0).min(MOST_SCALE);
            let path = u32::try_from(mtu.saturating_sub(HEADERS)).unwrap_or(u32::MAX);
            self.congestion.set_segment(segment.most.min(path));
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
            (self.window, self.told) = (window, units(window, self.scale));
        }
    }

    /// Notes what smoltcp has composed
    pub(super) fn on_sent(&mut self, sent: Sent, now: Time) {
        (self.acknowledged, self.offered) = (sent.acknowledgment, sent.window);
        if sent.syn {
            self.congestion.start(sent.sequence.wrapping_add(1));
        } else if sent.octets > 0 {
            let asked = std::mem::take(&mut self.asked);
            self.congestion.on_sent(sent.sequence, sent.octets, asked, now);
        }
    }

    /// Composes the next acknowledgment for smoltcp, if it is to be given one
    ///
    /// `state` is its own state, and `queued` whether it has octets that are not acknowledged.
    pub(super) fn compose(&mut self, flow: Flow, state: State, queued: bool) -> Option<Forged> {
        if !matches!(state, State::Established | State::CloseWait | State::FinWait1) || !queued {
            return None;
        }
        if self.words == Words::Nothing {
            self.words = self.find_words();
        }
        self.told = match self.words {
            Words::Nothing => return None,
            Words::Window(window) => {
                self.words = Words::Nothing;
                window
            }
            // with a window unlike the last it is none, and the count begins anew
            Words::Duplicates(DUPLICATES) => self.told.checked_add(1).unwrap_or(1),
            Words::Duplicates(_) => self.told,
        };
        if let Words::Duplicates(left) = self.words {
            self.words = left.checked_sub(1).map_or(Words::Nothing, Words::Duplicates);
        }
        Some(self.forge(flow))
    }

    /// Composes a FIN for the peer, if all before it has arrived and it is to be sent again now
    ///
    /// Of itself smoltcp sends it again only when its timer strikes, a second later at least.
    pub(super) fn compose_fin(
        &mut self,
        flow: Flow,
        state: State,
        queued: bool,
    ) -> Option<Vec<u8>> {
        let parts = matches!(state, State::FinWait1 | State::Closing | State::LastAck);
        if !parts || queued || !self.congestion.take_resend() {
            return None;
        }
        let repr = TcpRepr {
            control: TcpControl::Fin,
            seq_number: TcpSeqNumber(self.congestion.unacknowledged()),
            ack_number: Some(TcpSeqNumber(self.acknowledged)),
            window_len: self.offered,
            ..bare(flow.local, flow.peer)
        };
        let mut fin = Reply::default();
        emit(&repr, flow.local, flow.peer, &ChecksumCapabilities::default(), &mut fin);
        fin.0
    }

    fn find_words(&mut self) -> Words {
        let window = self.window.min(self.congestion.allowance());
        if window == 0 {
            Words::Nothing
        } else if self.congestion.take_resend() {
            self.asked = true;
            Words::Duplicates(DUPLICATES)
        } else if units(window, self.scale) != self.told {
            Words::Window(units(window, self.scale))
        } else {
            Words::Nothing
        }
    }

    fn forge(&self, Flow { local, peer }: Flow) -> Forged {
        let repr = TcpRepr {
            seq_number: TcpSeqNumber(self.peer_next),
            ack_number: Some(TcpSeqNumber(self.congestion.unacknowledged())),
            window_len: self.told,
            ..bare(peer, local)
        };
        Forged::of(&repr, peer, local)
    }
}

/// A segment without octets that the peer has not sent, for smoltcp: it looks at no checksum, and there is none
#[derive(Debug)]
pub(super) struct Forged(pub(super) [u8; HEADERS]);

impl Forged {
    pub(super) fn of(repr: &TcpRepr<'_>, from: SocketAddrV4, to: SocketAddrV4) -> Self {
        let mut forged = Self([0; HEADERS]);
        emit(repr, from, to, &ChecksumCapabilities::ignored(), &mut forged);
        forged
    }
}

impl Egress for Forged {
    fn has_room(&self) -> bool {
        true
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        match self.0.get_mut(..len) {
            Some(octets) => fill(octets),
            None => fill(&mut vec![0; len]),
        }
    }
}

/// What a segment of ours takes of the sequence space, and what it says of the peer's
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) sequence: i32,
    octets: u32,
    syn: bool,
    acknowledgment: i32,
    window: u16,
}

impl Sent {
    /// One above its last sequence number; a SYN and a FIN have one each
    pub(super) fn end(self) -> i32 {
        let octets = i32::try_from(self.octets).unwrap_or(0);
        self.sequence.wrapping_add(octets).wrapping_add(i32::from(self.syn))
    }

    /// Reads an IP packet without options (RFC 791 §3.1) that holds a TCP segment (RFC 9293 §3.1)
    fn of(packet: &[u8]) -> Option<Self> {
        let (_, tcp) = packet.split_first_chunk::<IP_HEADER>()?;
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

/// An [`Egress`] that notes what passes
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

/// A window as a segment tells it
fn units(window: u32, scale: u8) -> u16 {
    u16::try_from(window.div_ceil(1 << scale)).unwrap_or(u16::MAX)
}

/// Duplicate acknowledgments that make smoltcp send again (RFC 5681 §3.2)
const DUPLICATES: u8 = 3;

/// RFC 7323 §2.3
const MOST_SCALE: u8 = 14;

/// Octets of an IP header without options (RFC 791 §3.1)
const IP_HEADER: usize = 20;

/// Octets of both headers without options
const HEADERS: usize = 40;

/// Control bits (RFC 9293 §3.1)
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
