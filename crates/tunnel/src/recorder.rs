//! The flight recorder: the messages on the wire, kept small enough to be always on
//!
//! Two parts: the connect, kept as it was, and the latest records, the oldest of which make room.
//! A connect larger than three quarters of the recorder goes on among the latest.
//! Runs of zero octets (a Start-Control-Connection-Request is nine tenths padding) are stored as
//! their length. What would tell a secret (the value of a CHAP response) is stored as zeros.

mod record;
mod sensitivity;
mod zero_runs;

use std::{collections::VecDeque, fmt, time::Instant};

use pptp_packet::Counter;

pub use self::record::{Kind, Record};
use self::{
    record::RECORD_HEADER,
    sensitivity::{Sensitivity, is_control_echo},
    zero_runs::squeeze,
};

/// A bounded memory of control messages and PPP control frames
#[derive(Clone)]
pub struct Recorder {
    started: Instant,
    connect: Vec<u8>,
    latest: VecDeque<u8>,
    /// New records belong to the connect, and its share has room
    connecting: bool,
    echoes: u64,
    forgotten: u64,
    capacity: usize,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.connect.len().saturating_add(self.latest.len());
        write!(f, "Recorder({stored} of {} octets)", self.capacity)
    }
}

impl Recorder {
    /// The default size, in octets
    pub const DEFAULT_CAPACITY: usize = 1536;
    /// The largest size, in octets; a larger one is taken as this
    pub const MAX_CAPACITY: usize = 65_536;

    pub(crate) fn new(started: Instant, capacity: usize) -> Self {
        Self {
            started,
            connect: Vec::new(),
            latest: VecDeque::new(),
            connecting: true,
            echoes: 0,
            forgotten: 0,
            capacity: capacity.min(Self::MAX_CAPACITY),
        }
    }

    /// Marks the end of the connect: new records now replace the oldest
    pub(crate) fn connect_is_over(&mut self) {
        self.connecting = false;
        self.connect.shrink_to_fit();
    }

    pub(crate) fn control(&mut self, now: Instant, kind: Kind, octets: &[u8]) {
        if is_control_echo(octets) {
            self.echoes.increment();
        } else {
            self.record(now, kind, &[], (octets, octets.len()));
        }
    }

    /// `sequence` is that of the GRE datagram that carries the frame
    pub(crate) fn frame(&mut self, now: Instant, kind: Kind, sequence: u32, frame: &[u8]) {
        let open = match Sensitivity::of(frame) {
            Sensitivity::Echo => {
                self.echoes.increment();
                return;
            }
            Sensitivity::Open => frame.len(),
            Sensitivity::Secret { open } => open,
        };
        self.record(now, kind, &sequence.to_be_bytes(), (frame, open));
    }

    /// Returns the records, oldest first
    pub fn records(&self) -> Vec<Record> {
        let latest: Vec<u8> = self.latest.iter().copied().collect();
        let mut records = Vec::new();
        for mut part in [self.connect.as_slice(), &latest] {
            while let Some((record, rest)) = Record::read(part) {
                records.push(record);
                part = rest;
            }
        }
        records
    }

    /// Echo-Requests and Echo-Replies, of the control connection and of LCP: counted only
    pub const fn echoes(&self) -> u64 {
        self.echoes
    }

    /// Records that made room, or found none
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Stores `sequence` as it is, and of the octets those that are open
    fn record(
        &mut self,
        now: Instant,
        kind: Kind,
        sequence: &[u8],
        (octets, open): (&[u8], usize),
    ) {
        let (shown, hidden) = octets.split_at_checked(open).unwrap_or((octets, &[]));
        let mut stored = Vec::with_capacity(RECORD_HEADER.saturating_add(octets.len().min(256)));
        stored.extend_from_slice(sequence);
        squeeze(shown, hidden.len(), &mut stored);
        let Ok(length) = u16::try_from(stored.len()) else {
            self.forgotten.increment();
            return;
        };
        let millis = now.saturating_duration_since(self.started).as_millis();
        let mut header = [0; RECORD_HEADER];
        header[0] = kind as u8;
        header[1..5].copy_from_slice(&u32::try_from(millis).unwrap_or(u32::MAX).to_be_bytes());
        header[5..7].copy_from_slice(&length.to_be_bytes());
        self.store(&header, &stored);
    }

    fn store(&mut self, header: &[u8], stored: &[u8]) {
        let size = header.len().saturating_add(stored.len());
        if self.connecting && self.connect.len().saturating_add(size) > self.connect_share() {
            // cut off here: what follows is later
            self.connect_is_over();
        }
        if self.connecting {
            let held = (self.connect.len(), self.connect.capacity());
            self.connect.reserve_exact(growth(held, size, self.connect_share()));
            self.connect.extend_from_slice(header);
            self.connect.extend_from_slice(stored);
            return;
        }
        let room = self.capacity.saturating_sub(self.connect.len());
        while self.latest.len().saturating_add(size) > room && self.forget_oldest() {}
        if size <= room {
            let held = (self.latest.len(), self.latest.capacity());
            self.latest.reserve_exact(growth(held, size, room));
            self.latest.extend(header.iter().chain(stored));
        } else {
            self.forgotten.increment();
        }
    }

    /// A quarter stays free for what comes after the connect
    const fn connect_share(&self) -> usize {
        self.capacity.saturating_sub(self.capacity / 4)
    }

    fn forget_oldest(&mut self) -> bool {
        let (Some(high), Some(low)) = (self.latest.get(5), self.latest.get(6)) else {
            return false;
        };
        let stored = usize::from(u16::from_be_bytes([*high, *low]));
        let size = RECORD_HEADER.saturating_add(stored).min(self.latest.len());
        self.latest.drain(..size);
        self.forgotten.increment();
        true
    }
}

/// Returns the room to be reserved behind the first `held.0` octets, of the `held.1` there is room for, so that
/// `size` more fit
///
/// Doubles the room, as a vector does, but never beyond `most`.
fn growth(held: (usize, usize), size: usize, most: usize) -> usize {
    let (length, capacity) = held;
    let wanted = length.saturating_add(size);
    let doubled = capacity.saturating_mul(2).clamp(wanted, most.max(wanted));
    if wanted > capacity { doubled.saturating_sub(length) } else { 0 }
}

#[cfg(test)]
mod bounds;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{zero_runs::unsqueeze, *};

    fn recorder() -> (Recorder, Instant) {
        let now = Instant::now();
        (Recorder::new(now, Recorder::DEFAULT_CAPACITY), now)
    }

    /// Octets of heap
    fn held(recorder: &Recorder) -> usize {
        recorder.connect.capacity() + recorder.latest.capacity()
    }

    #[test]
    fn padding_is_squeezed_and_comes_back() {
        let (mut recorder, now) = recorder();
        let mut message = vec![0; 156];
        message[..4].copy_from_slice(&[0, 156, 0, 1]);
        message[30] = 7;
        recorder.control(now + Duration::from_millis(3), Kind::ControlSent, &message);
        assert!(held(&recorder) < 30, "{} octets for a padded message", held(&recorder));
        let at = Duration::from_millis(3);
        let expected = Record { at, kind: Kind::ControlSent, sequence: None, octets: message };
        assert_eq!(recorder.records(), [expected]);
    }

    #[test]
    fn a_long_run_of_zeros_comes_back_too() {
        for length in [254, 255, 256, 257, 600] {
            let mut stored = Vec::new();
            squeeze(&[9], length, &mut stored);
            assert_eq!(unsqueeze(&stored)[1..], vec![0; length]);
        }
    }

    #[test]
    fn the_connect_stays_and_the_latest_make_room() {
        let (mut recorder, now) = recorder();
        recorder.frame(now, Kind::FrameSent, 0, b"\xFF\x03\xC0\x21first");
        recorder.connect_is_over();
        for i in 0..200_u8 {
            recorder.frame(now, Kind::FrameReceived, i.into(), &[0x80, 0x21, i, 1, 1, 1, 1, 1, 1]);
        }
        assert!(held(&recorder) <= Recorder::DEFAULT_CAPACITY);
        let records = recorder.records();
        assert!(records[0].octets.ends_with(b"first"));
        assert_eq!(records.last().unwrap().octets[2], 199);
        assert_eq!(records.len() as u64 + recorder.forgotten(), 201);
    }

    #[test]
    fn a_connect_larger_than_its_share_is_cut_off_and_the_rest_flows_through() {
        let (mut recorder, now) = recorder();
        for _ in 0..100 {
            recorder.frame(now, Kind::FrameSent, 0, &[0x80; 100]);
        }
        assert!(held(&recorder) <= Recorder::DEFAULT_CAPACITY);
        assert!(recorder.connect.len() <= recorder.connect_share());
        recorder.frame(now, Kind::FrameSent, 0, &[0x80; 4000]);
        recorder.frame(now, Kind::FrameSent, 0, &vec![0x80; 70_000]);
        assert!(
            held(&recorder) <= Recorder::DEFAULT_CAPACITY,
            "two records larger than everything"
        );
    }

    #[test]
    fn whatever_tells_a_secret_is_redacted_in_both_forms_of_the_header() {
        // The frame behind FF03, and how many of its octets may be kept
        let frames: [(&[u8], usize); 9] = [
            (b"\xC2\x23\x02\x01\x00\x0D\x08SecretsUser", 6),
            (b"\xC2\x23\x05\x01\x00\x0BSecrets", 6),
            (b"\xC2\x23\x06\x01\x00\x0BSecrets", 6),
            (b"\xC2\x23\x07\x01\x00\x0BSecrets", 6),
            (b"\xC0\x23\x01\x01\x00\x10\x04user\x07Secrets", 6),
            (b"\xC2\x27\x02\x01\x00\x15\x1A\x02\x09\x00\x10\x07Secrets", 11),
            (b"\xC2\x27\x02\x01\x00\x15\x1A\x07\x09\x00\x10\x07Secrets", 11),
            (b"\xC2\x27\x02\x01\x00\x15\x04\x07Secrets", 6),
            (b"\xC2\x27\x02\x01\x00\x15\x0DSecrets", 6),
        ];
        for (frame, open) in frames {
            for head in [&[][..], &[0xFF, 0x03]] {
                for kind in [Kind::FrameSent, Kind::FrameReceived] {
                    let (mut recorder, now) = recorder();
                    let frame = [head, frame].concat();
                    let open = head.len() + open;
                    recorder.frame(now, kind, 0, &frame);
                    let [record] = &recorder.records()[..] else { panic!("one record") };
                    assert_eq!(record.octets.len(), frame.len(), "the length is told");
                    assert_eq!(record.octets[..open], frame[..open], "{frame:02x?}");
                    assert!(record.octets[open..].iter().all(|octet| *octet == 0), "{frame:02x?}");
                }
            }
        }
    }

    #[test]
    fn what_tells_no_secret_is_kept_as_it_is() {
        let frames: [&[u8]; 8] = [
            b"\xFF\x03\xC2\x23\x01\x01\x00\x0B\x04abcdserver",
            b"\xFF\x03\xC2\x23\x03\x01\x00\x0BS=0123",
            b"\xFF\x03\xC2\x23\x04\x01\x00\x0BE=691 R=0",
            b"\xFF\x03\xC0\x23\x03\x01\x00\x0B\x05wrong",
            b"\xFF\x03\xC2\x27\x01\x01\x00\x0B\x1A\x01\x09\x00\x0Bserver",
            b"\xFF\x03\xC2\x27\x02\x01\x00\x09\x01User",
            b"\xFF\x03\xC2\x27\x02\x01\x00\x06\x03\x1A",
            b"\xFF\x03\xC2\x27\x02\x01\x00\x06\x1A\x03",
        ];
        for frame in frames {
            let (mut recorder, now) = recorder();
            recorder.frame(now, Kind::FrameSent, 0, frame);
            assert_eq!(recorder.records()[0].octets, frame);
        }
    }

    #[test]
    fn responses_are_redacted_and_echoes_only_counted() {
        let (mut recorder, now) = recorder();
        let response = b"\xFF\x03\xC2\x23\x02\x01\x00\x36secret secret secret";
        recorder.frame(now, Kind::FrameSent, 0, response);
        recorder.frame(now, Kind::FrameSent, 0, b"\xC0\x23\x01\x01\x00\x10\x04user\x06passwd");
        recorder.frame(now, Kind::FrameSent, 0, b"\xFF\x03\xC0\x21\x09\x01\x00\x08\0\0\0\0");
        recorder.control(
            now,
            Kind::ControlSent,
            &[0, 16, 0, 1, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 1],
        );
        let records = recorder.records();
        assert_eq!(records.len(), 2);
        assert_eq!(recorder.echoes(), 2);
        assert_eq!(records[0].octets.len(), response.len(), "the length is told, the value is not");
        let everything: Vec<u8> = records.into_iter().flat_map(|r| r.octets).collect();
        for secret in [&b"secret"[..], b"passwd"] {
            assert!(!everything.windows(6).any(|w| w == secret));
        }
    }
}
