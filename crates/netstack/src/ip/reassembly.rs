//! Datagrams that come in fragments, until they are whole (RFC 791 §3.2, RFC 815)

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{Address, IPV4_HEADER, Version};
use crate::{
    Stats,
    engine::{Fragment, Key, Protocol, complete_header},
    shared::{
        counter::count,
        time::{NEVER, Time},
    },
};

/// The fragments of up to four datagrams, until each is whole (RFC 791 §3.2, RFC 815)
///
/// A state machine: fragments and the time come in, whole datagrams and the next deadline come out.
///
/// - A datagram has 30 s from its first fragment on (as Linux gives it); later fragments do not prolong them.
/// - Two fragments that tell different things of one octet, or of the datagram's length, end it: it is
///   given up with all its fragments, and those to come are dropped until its time is over (RFC 5722 §3,
///   there for IPv6). A fragment that repeats octets which came before, and in the same words, is a
///   duplicate of the network's and does no harm (RFC 8200 §4.5).
/// - A fragment that no honest router makes is dropped by itself: see [`Fragment::is_well_formed`].
/// - For a fifth datagram one has to go: the oldest of those that were given up already; else the
///   oldest of the sender that has most of the five, the new one counted. So a host that floods with
///   fragments loses its own, and no datagram is safe from the traffic of later ones for long.
///
/// At most [`MAX_DATAGRAMS`] × 65,535 octets are held, which is 256 KiB, and half a KiB
/// for the record of each datagram; a buffer grows with the farthest fragment that came.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// The oldest first
    partials: Vec<Partial>,
}

/// A datagram that is not whole
#[derive(Debug)]
struct Partial {
    key: Key,
    /// The time at which the first of its fragments came
    since: Time,
    /// The fragments; `None` once the datagram has been given up
    collected: Option<Collected>,
}

/// The part of a datagram that has come
#[derive(Debug, Default)]
struct Collected {
    /// A header, and the payload as far as the farthest fragment reaches
    datagram: Vec<u8>,
    /// The ranges of the payload that have come, in order, with gaps between them
    pieces: Vec<Range<u16>>,
    /// The end of the payload, once the last fragment has come
    end: Option<usize>,
    /// The end of the farthest fragment that is not the last
    reach: usize,
}

/// The effect of a fragment on its datagram
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    Incomplete,
    Whole,
    /// The fragment contradicts another one
    Conflict,
    /// The fragment would have made more than [`MAX_PIECES`] pieces
    TooMany,
}

impl Reassembly {
    /// Takes a fragment; gives the whole IP datagram if it was the one that was missing
    ///
    /// The datagram has a header of 20 octets: that of its first fragment, without options.
    pub(super) fn insert(
        &mut self,
        fragment: &Fragment<'_>,
        now: Time,
        stats: &mut Stats,
    ) -> Option<Vec<u8>> {
        self.expire(now, stats);
        if !fragment.is_well_formed() {
            count(&mut stats.malformed);
            return None;
        }
        let at = self.place_of(fragment.key, now, stats);
        let partial = self.partials.get_mut(at)?;
        let collected = partial.collected.as_mut()?;
        match collected.add(fragment) {
            Added::Incomplete => return None,
            Added::Whole => {
                let collected = self.partials.remove(at).collected?;
                count(&mut stats.reassembled);
                return Some(collected.into_datagram());
            }
            Added::Conflict => count(&mut stats.reassembly_conflicts),
            Added::TooMany => count(&mut stats.reassembly_overflows),
        }
        partial.collected = None;
        None
    }

    /// Gives up the datagrams that have waited for too long
    pub(super) fn expire(&mut self, now: Time, stats: &mut Stats) {
        self.partials.retain(|partial| {
            let waits = now < partial.deadline();
            if !waits && partial.collected.is_some() {
                count(&mut stats.reassembly_timeouts);
            }
            waits
        });
    }

    /// The time at which [`Self::expire`] has something to do
    pub(super) fn next(&self) -> Time {
        self.partials.first().map_or(NEVER, Partial::deadline)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partials.is_empty()
    }

    /// The place of the datagram, which is made if it is new
    fn place_of(&mut self, key: Key, now: Time, stats: &mut Stats) -> usize {
        if let Some(at) = self.partials.iter().position(|partial| partial.key == key) {
            return at;
        }
        if self.partials.len() >= MAX_DATAGRAMS {
            let gone = self.partials.remove(self.victim(key.source));
            if gone.collected.is_some() {
                count(&mut stats.reassembly_overflows);
            }
        }
        self.partials.push(Partial { key, since: now, collected: Some(Collected::default()) });
        self.partials.len().saturating_sub(1)
    }

    /// The datagram that makes room for a new one of `newcomer`'s
    fn victim(&self, newcomer: Address) -> usize {
        if let Some(at) = self.partials.iter().position(|partial| partial.collected.is_none()) {
            return at;
        }
        let of = |source| self.partials.iter().filter(|it| it.key.source == source).count();
        let weight = |it: &Partial| {
            let source = it.key.source;
            of(source).saturating_add(usize::from(source == newcomer))
        };
        let most = self.partials.iter().map(weight).max();
        self.partials.iter().position(|it| Some(weight(it)) == most).unwrap_or(0)
    }
}

impl Fragment<'_> {
    /// Returns true if a host or router that keeps to the RFCs could have made it
    ///
    /// All fragments but the last carry a multiple of eight octets, and each carries some (RFC 791
    /// §3.2). The datagram is no larger than 65,535 octets. The first fragment carries the transport's
    /// header, of which RFC 3128 §2 wants 16 octets for TCP, and so no TCP fragment begins at octet 8.
    fn is_well_formed(&self) -> bool {
        let is_tcp = self.key.protocol == Protocol::Tcp;
        let least = match self.offset {
            0 if is_tcp => 16,
            0 => 8,
            _ => 1,
        };
        self.octets.len() >= least
            && (self.is_last || self.octets.len().is_multiple_of(8))
            && self.end() <= MAX_PAYLOAD
            && !(is_tcp && self.offset == 8)
    }

    fn end(&self) -> usize {
        self.offset.saturating_add(self.octets.len())
    }
}

impl Partial {
    fn deadline(&self) -> Time {
        self.since.saturating_add(LIFETIME)
    }
}

impl Collected {
    fn add(&mut self, fragment: &Fragment<'_>) -> Added {
        let (start, end) = (fragment.offset, fragment.end());
        let (Ok(low), Ok(high)) = (u16::try_from(start), u16::try_from(end)) else {
            return Added::Conflict;
        };
        if self.contradicts(end, fragment.is_last) {
            return Added::Conflict;
        }
        let touched = self.pieces.iter().position(|piece| piece.start < high && low < piece.end);
        if let Some(piece) = touched.and_then(|at| self.pieces.get(at)) {
            let is_there = piece.start <= low && high <= piece.end;
            if !is_there || self.payload(start, end) != Some(fragment.octets) {
                return Added::Conflict;
            }
        } else {
            if !self.note(low..high) {
                return Added::TooMany;
            }
            self.keep(fragment);
        }
        if fragment.is_last {
            self.end = Some(end);
        } else {
            self.reach = self.reach.max(end);
        }
        self.progress()
    }

    /// Returns true if earlier fragments say that the datagram ends somewhere else
    fn contradicts(&self, end: usize, is_last: bool) -> bool {
        if is_last {
            self.reach >= end || self.end.is_some_and(|known| known != end)
        } else {
            self.end.is_some_and(|known| known <= end)
        }
    }

    /// Notes a piece that overlaps none; false if there would be too many
    fn note(&mut self, new: Range<u16>) -> bool {
        let at = self.pieces.partition_point(|piece| piece.end < new.start);
        let joins_left = self.pieces.get(at).is_some_and(|piece| piece.end == new.start);
        let next = at.saturating_add(usize::from(joins_left));
        let joins_right = self.pieces.get(next).is_some_and(|piece| piece.start == new.end);
        match (joins_left, joins_right) {
            (false, false) if self.pieces.len() >= MAX_PIECES => return false,
            (false, false) => self.pieces.insert(at, new),
            (false, true) => {
                if let Some(right) = self.pieces.get_mut(next) {
                    right.start = new.start;
                }
            }
            (true, _) => {
                let right = joins_right.then(|| self.pieces.remove(next));
                if let Some(left) = self.pieces.get_mut(at) {
                    left.end = right.map_or(new.end, |right| right.end);
                }
            }
        }
        true
    }

    fn keep(&mut self, fragment: &Fragment<'_>) {
        let needed = IPV4_HEADER.saturating_add(fragment.end());
        if self.datagram.len() < needed {
            let room = needed.next_power_of_two().min(IPV4_HEADER.saturating_add(MAX_PAYLOAD));
            self.datagram.reserve_exact(room.saturating_sub(self.datagram.len()));
            self.datagram.resize(needed, 0);
        }
        if fragment.offset == 0
            && let Some(header) = self.datagram.first_chunk_mut()
        {
            *header = *fragment.header;
        }
        let start = IPV4_HEADER.saturating_add(fragment.offset);
        if let Some(room) = self.datagram.get_mut(start..needed) {
            room.copy_from_slice(fragment.octets);
        }
    }

    fn payload(&self, start: usize, end: usize) -> Option<&[u8]> {
        self.datagram.get(IPV4_HEADER.saturating_add(start)..IPV4_HEADER.saturating_add(end))
    }

    fn progress(&self) -> Added {
        match (self.pieces.as_slice(), self.end) {
            ([all], Some(end)) if all.start == 0 && usize::from(all.end) == end => Added::Whole,
            _ => Added::Incomplete,
        }
    }

    fn into_datagram(mut self) -> Vec<u8> {
        complete_header(&mut self.datagram);
        self.datagram
    }
}

/// Datagrams that may be incomplete at a time
const MAX_DATAGRAMS: usize = 4;

/// Pieces of a datagram with gaps between them: a datagram of full size in packets of 576 octets has 119
/// fragments, and no order of theirs makes more than 60 pieces
const MAX_PIECES: usize = 128;

/// Octets of the largest payload of an IP datagram whose header has no options (RFC 791 §3.1)
const MAX_PAYLOAD: usize = Version::V4.max_payload();

/// The time for all fragments of a datagram, in microseconds
const LIFETIME: Time = 30_000_000;
