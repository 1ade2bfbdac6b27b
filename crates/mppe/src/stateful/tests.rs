//! Against the samples of RFC 3079, against each other with losses, and against Linux's algorithm

mod bounds;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rc4::{KeyInit, StreamCipher};

use super::{reset::is_flag, stream::Stream, *};
use crate::{
    Arrival, Discard, Encryptor, KeyStrength, Order,
    header::Header,
    tests::{SEND, epoch, key, octets},
};

const READINGS: [StatefulReset; 2] = [StatefulReset::Rfc, StatefulReset::Linux];
const STRENGTHS: [KeyStrength; 3] =
    [KeyStrength::Bits40, KeyStrength::Bits56, KeyStrength::Bits128];
const START_KEY: [u8; 16] = *b"start key of 128";

#[test]
fn rfc3079_section_3_5_the_first_frame_has_the_initial_key() {
    for (strength, ciphertext) in [
        (KeyStrength::Bits40, "DA2FFC50B22612D41FA7F2BB"),
        (KeyStrength::Bits56, "4AB6DF617437264825FB655C"),
        (KeyStrength::Bits128, "B56CA95695E14ACB15F1BA3C"),
    ] {
        let mut encryptor = StatefulEncryptor::new(&key(SEND), strength, StatefulReset::Rfc);
        let mut message = *b"test message";
        assert_eq!(encryptor.seal(&mut message), [0x10, 0x00], "no A bit, as Linux and lwIP");
        assert_eq!(message[..], octets(ciphertext), "{strength:?}");
    }
}

#[test]
fn rfc3078_section_7_3_the_key_changes_with_each_flag_frame() {
    // the second and third key of the chain are those of the stateless counts 0 and 1
    let keys = [
        "49D11D0F0CC6BEFBA2A9B4B688F91EEE",
        "0E09C108101DFDDEF6C0E2F2D95D0BAD",
        "03273439AC5F94C97F13D9133DF4DFC5",
    ];
    let mut encryptor =
        StatefulEncryptor::new(&key(SEND), KeyStrength::Bits128, StatefulReset::Linux);
    let mut oracle = rc4::Rc4::new_from_slice(&octets(keys[0])).unwrap();
    for count in 0..0x210_u16 {
        if is_flag(count) {
            let page = usize::from(count >> 8) + 1;
            oracle = rc4::Rc4::new_from_slice(&octets(keys[page])).unwrap();
        }
        let (mut message, mut expected) = ([7; 33], [7; 33]);
        let flags = if is_flag(count) { 0x9000 } else { 0x1000 };
        assert_eq!(encryptor.seal(&mut message), (flags | count).to_be_bytes());
        oracle.apply_keystream(&mut expected);
        assert_eq!(message, expected, "{count:#x}");
    }
}

/// Protocol 0021 and an IPv4 packet that carries a number
fn packet(number: u32) -> Vec<u8> {
    let mut ip = b"\x45\0\0\x18\0\0\x40\0\x40\x01\x26\xE3\x0A\0\0\x01\x0A\0\0\x02".to_vec();
    ip.extend(number.to_be_bytes());
    [&[0x00, 0x21][..], &ip].concat()
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[20..24].try_into().unwrap())
}

fn sealed(seal: impl FnOnce(&mut [u8]) -> [u8; 2], number: u32) -> Vec<u8> {
    let mut inner = packet(number);
    let header = seal(&mut inner);
    [&header[..], &inner].concat()
}

const fn ahead(sequence: u32) -> Arrival {
    Arrival { sequence, order: Order::Ahead }
}

/// Both ends of one direction
struct Pair {
    sender: StatefulEncryptor,
    receiver: StatefulDecryptor,
    now: Instant,
    number: u32,
}

impl Pair {
    fn new(strength: KeyStrength, reset: StatefulReset) -> Self {
        let sender = StatefulEncryptor::new(&START_KEY, strength, reset);
        let receiver = StatefulDecryptor::new(&START_KEY, strength, reset);
        Self { sender, receiver, now: epoch(), number: 0 }
    }

    fn send(&mut self) -> (u32, Vec<u8>) {
        self.number += 1;
        (self.number, sealed(|inner| self.sender.seal(inner), self.number))
    }

    fn lose(&mut self, frames: usize) {
        (0..frames).for_each(|_| drop(self.send()));
    }

    fn receive(&mut self, (sequence, mut frame): (u32, Vec<u8>)) -> Result<u32, Discard> {
        let opened = self.receiver.open(self.now, ahead(sequence), &mut frame)?;
        assert_eq!(opened.protocol, 0x0021);
        Ok(number(opened.payload))
    }

    fn pass(&mut self) -> Result<u32, Discard> {
        let frame = self.send();
        self.receive(frame)
    }
}

fn pairs() -> impl Iterator<Item = Pair> {
    READINGS.into_iter().flat_map(|reset| STRENGTHS.map(|strength| Pair::new(strength, reset)))
}

#[test]
fn frames_in_order_open_whatever_the_strength() {
    for mut pair in pairs() {
        for number in 1..=9000 {
            assert_eq!(pair.pass(), Ok(number));
        }
        assert_eq!(pair.receiver.poll_timeout(), None);
        assert_eq!(pair.receiver.stats().rekeys, 9000 / 256);
    }
}

#[test]
fn a_gap_stops_it_until_a_reset() {
    for missing in [1, 2, 255, 256, 257, 1000, 4095, 4096, 4097, 9000] {
        for mut pair in pairs() {
            pair.pass().unwrap();
            pair.lose(missing);
            for _ in 0..3 {
                // where the count has wrapped, a frame may look like the next
                let discard = pair.pass().unwrap_err();
                assert!(matches!(discard, Discard::OutOfStep | Discard::Implausible));
            }
            assert!(pair.receiver.poll_reset_request(pair.now));
            assert!(!pair.receiver.poll_reset_request(pair.now), "once is enough");
            pair.sender.handle_reset_request();
            for _ in 0..600 {
                pair.pass().unwrap();
            }
            assert_eq!(pair.receiver.poll_timeout(), None);
        }
    }
}

#[test]
fn resets_that_are_lost_do_not_part_the_ends() {
    for mut pair in pairs() {
        for _ in 0..20 {
            pair.pass().unwrap();
            pair.lose(3);
            for _ in 0..5 {
                pair.sender.handle_reset_request();
                pair.lose(2);
            }
            assert!(pair.pass().is_err());
            pair.sender.handle_reset_request();
            pair.pass().unwrap();
        }
    }
}

#[test]
fn resets_are_asked_for_each_second_and_sixteen_times() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
    pair.lose(1);
    for asked in 0..16 {
        assert_eq!(pair.pass(), Err(Discard::OutOfStep), "{asked}");
        let due = pair.receiver.poll_timeout().unwrap();
        assert_eq!(due.saturating_duration_since(pair.now), Duration::from_secs(asked.min(1)));
        assert_eq!(pair.receiver.poll_reset_request(pair.now), asked == 0);
        pair.now = due;
        assert_eq!(pair.receiver.poll_reset_request(pair.now), asked > 0);
        assert_eq!(pair.receiver.poll_timeout(), None, "a peer that is silent is not asked");
    }
    let discard = pair.pass().unwrap_err();
    assert_eq!((discard, discard.is_fatal()), (Discard::OutOfReach, true));
    assert_eq!(pair.receiver.stats().reset_requests, 16);
}

#[test]
fn a_forged_frame_costs_a_reset_request_and_no_more() {
    for reset in READINGS {
        let mut pair = Pair::new(KeyStrength::Bits128, reset);
        for header in [[0x10, 0x00], [0x90, 0x00], [0x90, 0xFF], [0x15, 0x00], [0x9F, 0xFF]] {
            pair.pass().unwrap();
            let mut forged = [&header[..], &[0x5A; 60]].concat();
            let (before, sequence) = (forged.clone(), pair.number + 5000);
            assert!(pair.receiver.open(pair.now, ahead(sequence), &mut forged).is_err());
            assert_eq!(forged, before);
            pair.pass().expect("the true next frame still opens");
        }
    }
}

#[test]
fn what_forged_resets_cost_is_metered() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Linux);
    let mut last = Discard::Late;
    for sequence in 0..5000 {
        let mut forged = [&[0x90, 0x10][..], &[0x5A; 60]].concat();
        last = pair.receiver.open(pair.now, ahead(sequence), &mut forged).unwrap_err();
    }
    assert_eq!(last, Discard::OverBudget);
    assert!(pair.receiver.stats().rekeys <= 32 * 4096, "{:?}", pair.receiver.stats());
}

#[test]
fn a_flood_does_not_keep_out_true_flag_frames() {
    for mut pair in pairs() {
        for number in 1..=600 {
            for _ in 0..20 {
                let count = u16::try_from(number % 4096).unwrap();
                let mut forged = [&(0x9000 | count).to_be_bytes()[..], &[7; 40]].concat();
                assert!(pair.receiver.open(pair.now, ahead(number), &mut forged).is_err());
            }
            assert_eq!(pair.pass(), Ok(number), "{:?}", pair.receiver.stats());
        }
        let rekeys = pair.receiver.stats().rekeys;
        assert!(rekeys <= 32 * 4096 + 2 * 12_000, "a flood of 12,000 took {rekeys} key changes");
    }
}

#[test]
fn the_next_count_opens_behind_a_forged_sequence_number() {
    for mut pair in pairs() {
        let (_, mut copy) = pair.send();
        let original = copy.clone();
        assert!(pair.receiver.open(pair.now, ahead(9_000_000), &mut copy).is_ok());
        let behind = |sequence| Arrival { sequence, order: Order::Behind };
        let mut again = original;
        assert_eq!(pair.receiver.open(pair.now, behind(1), &mut again).unwrap_err(), Discard::Late);
        let (sequence, mut next) = pair.send();
        assert!(pair.receiver.open(pair.now, behind(sequence), &mut next).is_ok());
        assert_eq!(pair.receiver.poll_timeout(), None, "nothing is missing");
    }
}

#[test]
fn late_frames_and_duplicates_are_dropped_without_a_word() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Linux);
    let (first, second) = (pair.send(), pair.send());
    pair.receive(first.clone()).unwrap();
    pair.receive(second.clone()).unwrap();
    for (sequence, mut frame) in [first, second] {
        let arrival = Arrival { sequence, order: Order::Behind };
        assert_eq!(pair.receiver.open(pair.now, arrival, &mut frame), Err(Discard::Late));
    }
    assert_eq!(pair.receiver.poll_timeout(), None);
    assert_eq!(pair.pass(), Ok(3));
}

#[test]
fn wrong_header_bits_score() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
    let mut open = |header: [u8; 2]| {
        let mut frame = [&header[..], &[0; 30]].concat();
        pair.receiver.open(pair.now, ahead(0), &mut frame).unwrap_err()
    };
    assert_eq!(open([0x20 | 0x10, 0x00]), Discard::Compressed);
    assert_eq!(open([0x50, 0x00]), Discard::Compressed);
    for _ in 0..7 {
        assert_eq!(open([0x00, 0x00]), Discard::NotEncrypted);
        assert_eq!(open([0x10, 0xFF]), Discard::NotFlushed);
    }
    assert_eq!(open([0x80, 0x00]), Discard::NotEncrypted);
    assert_eq!(open([0x00, 0x00]), Discard::ScoreLimit);
}

/// The receiver in Linux's `ppp_mppe.c`, rewritten from its behavior: its counts and its key
/// changes
struct LinuxReceiver {
    stream: Stream,
    count: u16,
    discards: bool,
}

impl LinuxReceiver {
    /// Decrypts without a check: the caller compares the result
    fn receive(&mut self, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        let header = Header::parse([frame[0], frame[1]]);
        let count = header.coherency_count;
        if !self.discards {
            self.count = (self.count + 1) % 4096;
            if count != self.count {
                self.discards = true;
                return None;
            }
        } else if header.flushed {
            while count >> 8 != self.count >> 8 {
                self.stream.rekey();
                self.count = (self.count + 256) % 4096;
            }
            (self.discards, self.count) = (false, count);
        } else {
            return None;
        }
        if header.flushed {
            self.stream.rekey();
        }
        self.stream.apply(&mut frame[2..]);
        Some(frame)
    }
}

/// The sender in Linux's `ppp_mppe.c`, rewritten from its behavior
struct LinuxSender {
    stream: Stream,
    count: u16,
    flush: bool,
}

impl LinuxSender {
    fn seal(&mut self, inner: &mut [u8]) -> [u8; 2] {
        self.count = (self.count + 1) % 4096;
        let flushed = std::mem::take(&mut self.flush) || is_flag(self.count);
        if flushed {
            self.stream.rekey();
        }
        self.stream.apply(inner);
        Header { flushed, ..Header::stateless(self.count) }.emit()
    }
}

/// Pairs of booleans for the frames: true if it arrives, and true if a Reset-Request after it is
/// delivered
fn line() -> impl Strategy<Value = Vec<(bool, bool)>> {
    prop::collection::vec((prop::bool::weighted(0.85), prop::bool::weighted(0.5)), 1..900)
}

proptest! {
    #[test]
    fn two_ends_go_on_after_any_loss(rfc: bool, weak: bool, line in line()) {
        let reset = if rfc { StatefulReset::Rfc } else { StatefulReset::Linux };
        let strength = if weak { KeyStrength::Bits40 } else { KeyStrength::Bits128 };
        let mut pair = Pair::new(strength, reset);
        for (arrives, is_told) in line {
            let (number, frame) = pair.send();
            if arrives && let Ok(opened) = pair.receive((number, frame)) {
                prop_assert_eq!(opened, number);
            }
            let asks = pair.receiver.poll_timeout().is_some();
            if asks && is_told {
                pair.now += Duration::from_secs(1);
                prop_assert!(pair.receiver.poll_reset_request(pair.now));
                pair.sender.handle_reset_request();
            }
        }
        pair.sender.handle_reset_request();
        for _ in 0..300 {
            prop_assert_eq!(pair.pass(), Ok(pair.number));
        }
    }

    #[test]
    fn linux_opens_what_is_sealed_here_after_any_loss(line in line()) {
        let reset = StatefulReset::Linux;
        let mut sender = StatefulEncryptor::new(&START_KEY, KeyStrength::Bits128, reset);
        let stream = Stream::new(&START_KEY, KeyStrength::Bits128);
        let mut receiver = LinuxReceiver { stream, count: 4095, discards: false };
        let mut opened_last = false;
        for (number, (arrives, is_told)) in (0..).zip(line.into_iter().chain([(true, true); 8])) {
            let frame = sealed(|inner| sender.seal(inner), number);
            if arrives {
                let opened = receiver.receive(frame);
                opened_last = opened.is_some();
                if let Some(frame) = opened {
                    prop_assert_eq!(&frame[2..], &packet(number)[..]);
                }
            }
            if receiver.discards && is_told {
                sender.handle_reset_request();
            }
        }
        prop_assert!(opened_last);
    }

    #[test]
    fn what_linux_seals_is_opened_after_any_loss(line in line()) {
        let stream = Stream::new(&START_KEY, KeyStrength::Bits128);
        let mut sender = LinuxSender { stream, count: 4095, flush: false };
        let reset = StatefulReset::Linux;
        let mut receiver = StatefulDecryptor::new(&START_KEY, KeyStrength::Bits128, reset);
        let mut now = epoch();
        for (sequence, (arrives, is_told)) in (0..).zip(line.into_iter().chain([(true, true); 8])) {
            let mut frame = sealed(|inner| sender.seal(inner), sequence);
            if arrives && let Ok(opened) = receiver.open(now, ahead(sequence), &mut frame) {
                prop_assert_eq!(number(opened.payload), sequence);
            }
            now += Duration::from_secs(1);
            if is_told && receiver.poll_reset_request(now) {
                sender.flush = true;
            }
        }
        prop_assert_eq!(receiver.poll_timeout(), None);
    }

    #[test]
    fn any_octets_are_read_without_a_panic_and_stay(
        frames: Vec<(u32, bool, Vec<u8>)>,
        flushed: bool,
    ) {
        let mut pair = Pair::new(KeyStrength::Bits56, StatefulReset::Linux);
        for (sequence, ahead, mut frame) in frames {
            if let Some(first) = frame.first_mut() {
                *first = if flushed { 0x90 } else { 0x10 } | *first & 0x0F;
            }
            let before = frame.clone();
            let order = if ahead { Order::Ahead } else { Order::Behind };
            let arrival = Arrival { sequence, order };
            prop_assert!(pair.receiver.open(pair.now, arrival, &mut frame).is_err());
            prop_assert_eq!(frame, before);
        }
    }
}

#[test]
fn the_two_readings_part_after_the_first_reset_outside_a_flag_frame() {
    let mut sender = StatefulEncryptor::new(&START_KEY, KeyStrength::Bits128, StatefulReset::Rfc);
    let mut receiver =
        StatefulDecryptor::new(&START_KEY, KeyStrength::Bits128, StatefulReset::Linux);
    sealed(|inner| sender.seal(inner), 0);
    sender.handle_reset_request();
    let mut frame = sealed(|inner| sender.seal(inner), 1);
    let opened = receiver.open(epoch(), ahead(1), &mut frame);
    assert_eq!(opened, Err(Discard::Implausible));
}

#[test]
fn a_stateless_frame_is_none_of_a_stateful_session() {
    let mut sender = Encryptor::stateless(&START_KEY, KeyStrength::Bits128);
    let mut receiver = StatefulDecryptor::new(&START_KEY, KeyStrength::Bits128, StatefulReset::Rfc);
    let mut frame = sealed(|inner| sender.seal(inner), 0);
    assert!(receiver.open(epoch(), ahead(0), &mut frame).is_err());
}

#[test]
fn no_key_is_printed() {
    let pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
    let printed = format!("{:?} {:?}", pair.sender, pair.receiver);
    assert_eq!(printed.matches("SessionKey([redacted])").count(), 4);
    assert_eq!(printed.matches("Rc4([redacted])").count(), 2);
    assert!(!printed.contains("115, 116"), "{printed}");
}
