//! The decryptor of stateful sessions (RFC 3078 §8.2)

use std::time::{Duration, Instant};

use crate::{
    Arrival, Discard, KeyStrength, Opened, Order, StatefulReset, Stats,
    header::{COHERENCY_COUNT, Header},
    meter::Meter,
    plaintext::Plaintext,
    stateful::{reset::is_flag, stream::Stream},
};

/// Decrypts one direction of a stateful link, in place
///
/// The carrier must put frames in order first. The next frame in order is opened with the stream's
/// next octets. If one is missing, no frame opens until the sender begins a new stream:
/// [`poll_reset_request`](Self::poll_reset_request) tells when to ask for that. A frame that does
/// not open leaves the state and its octets unchanged, so a forged one costs at most a
/// Reset-Request.
///
/// A new stream begins with a key that is some changes ahead: one for each flag frame that was
/// missed, and with [`StatefulReset::Linux`] one for each reset, of which some may have been lost
/// too. The keys that the count allows are tried, up to 64 key changes, within a budget of 4096 key
/// changes each second, saved up for 32 seconds. A frame without missing ones before it is tried
/// with its expected key in any case, which is at most one key change.
///
/// Memory: the state of RC4, 1 KiB on the heap.
#[derive(Debug)]
pub struct StatefulDecryptor {
    stream: Stream,
    reset: StatefulReset,
    /// The count of the frame that follows those that were opened
    expected: u16,
    /// The carrier's sequence number of the frame opened last
    sequence: Option<u32>,
    /// The state of the reset, while frames are missing
    missing: Option<Missing>,
    meter: Meter,
    score: u16,
    stats: Stats,
}

/// The state of asking for a reset
#[derive(Clone, Copy, Debug)]
struct Missing {
    /// Reset-Requests sent
    asked: u8,
    /// True if a frame could not be opened since the latest request
    is_due: bool,
    /// The earliest time for the next Reset-Request
    at: Instant,
}

impl StatefulDecryptor {
    /// A stateful session, before its first frame (RFC 3078 §8.2)
    ///
    /// 40 and 56 bits use the first 8 octets of the start key.
    pub fn new(start_key: &[u8; 16], strength: KeyStrength, reset: StatefulReset) -> Self {
        Self {
            stream: Stream::new(start_key, strength),
            reset,
            expected: 0,
            sequence: None,
            missing: None,
            meter: Meter::new(),
            score: 0,
            stats: Stats::default(),
        }
    }

    /// Opens the octets behind the protocol number 00FD, in place
    ///
    /// `Ok` is the moment to commit the carrier's sequence number. On `Err` nothing has moved;
    /// [`Discard::is_fatal`] tells if the link must be closed.
    pub fn open<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Result<Opened<'p>, Discard> {
        let opened = self.open_in_place(now, arrival, frame);
        match opened {
            Ok(_) => self.stats.opened = self.stats.opened.saturating_add(1),
            Err(discard) => self.stats.count(discard),
        }
        opened
    }

    /// Returns true if a Reset-Request must be sent now, and counts it as sent
    ///
    /// The first at once when a frame is missing, then one each second for as long as frames come
    /// that cannot be opened (as pppd does). After 16 in vain the next such frame is
    /// [`Discard::OutOfReach`].
    pub fn poll_reset_request(&mut self, now: Instant) -> bool {
        let due = self.missing.as_mut().filter(|missing| missing.is_due && missing.at <= now);
        let Some(missing) = due else { return false };
        missing.asked = missing.asked.saturating_add(1);
        missing.is_due = false;
        missing.at = now.checked_add(RESET_INTERVAL).unwrap_or(now);
        self.stats.reset_requests = self.stats.reset_requests.saturating_add(1);
        true
    }

    /// The time of the next [`poll_reset_request`](Self::poll_reset_request) that returns true;
    /// `None` while no frame is missing
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.missing.filter(|missing| missing.is_due).map(|missing| missing.at)
    }

    /// The counters so far
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    fn open_in_place<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Result<Opened<'p>, Discard> {
        let (header, ciphertext) = frame.split_first_chunk_mut().ok_or(Discard::TooShort)?;
        if ciphertext.is_empty() {
            return Err(Discard::TooShort);
        }
        let header = self.check(Header::parse(*header))?;
        let is_late = self.is_late(arrival);
        // a forged number may have led the carrier astray, and the count says that it is the next
        if is_late && self.ahead(header) > 0 {
            return Err(Discard::Late);
        }
        let plaintext = self
            .open_following(header, ciphertext)
            .or_else(|discard| {
                self.open_flushed(now, header, ciphertext).map_err(|it| it.unwrap_or(discard))
            })
            .map_err(
                |discard| {
                    if is_late { Discard::Late } else { self.note_missing(now, discard) }
                },
            )?;
        self.commit(arrival, header);
        let (_, payload) =
            ciphertext.split_at_mut_checked(plaintext.protocol_len).ok_or(Discard::Implausible)?;
        Ok(Opened { protocol: plaintext.protocol, payload })
    }

    /// Returns the header if a stateful sender may have sent it
    fn check(&mut self, header: Header) -> Result<Header, Discard> {
        let violation = match header {
            Header { encrypted: false, .. } => Discard::NotEncrypted,
            Header { flushed: false, coherency_count, .. } if is_flag(coherency_count) => {
                Discard::NotFlushed
            }
            Header { at_front: true, .. } | Header { compressed: true, .. } => {
                return Err(Discard::Compressed);
            }
            _ => return Ok(header),
        };
        self.score = self.score.saturating_add(VIOLATION_SCORE);
        Err(if self.score >= SCORE_LIMIT { Discard::ScoreLimit } else { violation })
    }

    /// Returns true if the frame was sent before the one opened last, or is that one
    fn is_late(&self, arrival: Arrival) -> bool {
        arrival.order == Order::Behind
            && self.sequence.is_some_and(|opened| {
                !matches!(arrival.sequence.wrapping_sub(opened), 1..=0x7FFF_FFFF)
            })
    }

    /// Opens a frame on the undisturbed path, with the next octets of the stream
    fn open_following(
        &mut self,
        header: Header,
        ciphertext: &mut [u8],
    ) -> Result<Plaintext, Discard> {
        if header.flushed || self.ahead(header) > 0 {
            return Err(Discard::OutOfStep);
        }
        self.stats.tried(1);
        self.stream.open_next(ciphertext).ok_or(Discard::Implausible)
    }

    /// Opens a frame that begins a new stream; the error is `None` if it does not begin one
    fn open_flushed(
        &mut self,
        now: Instant,
        header: Header,
        ciphertext: &mut [u8],
    ) -> Result<Plaintext, Option<Discard>> {
        if !header.flushed {
            return Err(None);
        }
        let (first, stride) = self.steps(header);
        let has_budget = self.meter.tokens(now) >= MAX_STEPS.into();
        let most = match self.ahead(header) {
            _ if has_budget => MAX_STEPS,
            // so that a flood does not keep out the true flag frames
            0 => first,
            _ => return Err(Some(Discard::OverBudget)),
        };
        let steps = (first..).step_by(stride).take_while(|step| *step <= most);
        let tried = &mut self.stats.keys_tried;
        let steps = steps.inspect(|_| *tried = tried.saturating_add(1));
        let Some((step, plaintext)) = self.stream.open_new_stream(steps, ciphertext) else {
            self.meter.spend(most.into());
            self.stats.rekeyed(most.into());
            return Err(Some(Discard::Implausible));
        };
        self.stats.rekeyed(step.into());
        Ok(plaintext)
    }

    /// The smallest number of key changes that a flushed frame may be ahead, and the distance from
    /// one possible number to the next
    ///
    /// The count may have wrapped, and each time adds sixteen. The key changes that Linux peers
    /// made for lost resets are unknown.
    fn steps(&self, header: Header) -> (u16, usize) {
        let end = self.expected.saturating_add(self.ahead(header));
        match self.reset {
            StatefulReset::Rfc => (flags(self.expected, end.saturating_add(1)), 16),
            // the frame itself changes the key once, flag or not
            StatefulReset::Linux => (flags(self.expected, end).saturating_add(1), 1),
        }
    }

    /// Frames missing before this one, modulo 4096
    const fn ahead(&self, header: Header) -> u16 {
        header.coherency_count.wrapping_sub(self.expected) & COHERENCY_COUNT
    }

    fn commit(&mut self, arrival: Arrival, header: Header) {
        self.expected = header.coherency_count.wrapping_add(1) & COHERENCY_COUNT;
        self.sequence = Some(arrival.sequence);
        self.missing = None;
        self.score /= 2;
    }

    /// Notes a frame that could not be opened: the sender must be asked for a reset, unless that is
    /// hopeless
    fn note_missing(&mut self, now: Instant, discard: Discard) -> Discard {
        let missing = self.missing.get_or_insert(Missing { asked: 0, is_due: true, at: now });
        missing.is_due = true;
        if missing.asked >= MAX_REQUESTS { Discard::OutOfReach } else { discard }
    }
}

/// Flag frames among the counts from `first` to before `end`
const fn flags(first: u16, end: u16) -> u16 {
    (end >> 8).saturating_sub(first >> 8)
}

/// Key changes that are tried for one flushed frame
const MAX_STEPS: u16 = 64;
/// Time between one Reset-Request and the next
const RESET_INTERVAL: Duration = Duration::from_secs(1);
/// Reset-Requests without an answer after which the session is beyond recovery
const MAX_REQUESTS: u8 = 16;
/// Addition to the score for a frame with a wrong D or A bit, as in Linux; a good frame halves the
/// score
const VIOLATION_SCORE: u16 = 100;
const SCORE_LIMIT: u16 = 1600;
