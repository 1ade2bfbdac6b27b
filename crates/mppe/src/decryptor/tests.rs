//! Tests of the stateless decryptor

mod doubt;
mod late_frames;

use std::time::Duration;

use super::*;
use crate::{Encryptor, tests::epoch};

const START_KEY: [u8; 16] = *b"start key of 128";

/// A frame on its way
#[derive(Clone)]
struct Frame {
    sequence: u32,
    /// The number of frames encrypted before it
    number: u32,
    octets: Vec<u8>,
}

/// The peer's side: counts sequence numbers as GRE does
struct Sender {
    encryptor: Encryptor,
    sequence: u32,
    number: u32,
}

impl Sender {
    fn new() -> Self {
        let encryptor = Encryptor::stateless(&START_KEY, KeyStrength::Bits128);
        Self { encryptor, sequence: 0, number: 0 }
    }

    fn send(&mut self) -> Frame {
        let mut inner = packet(self.number);
        let header = self.encryptor.seal(&mut inner);
        let octets = [&header[..], &inner[..]].concat();
        let frame = Frame { sequence: self.sequence, number: self.number, octets };
        self.sequence = self.sequence.wrapping_add(1);
        self.number += 1;
        frame
    }

    fn lose(&mut self, frames: usize) {
        for _ in 0..frames {
            self.encryptor.seal(&mut []);
            self.sequence = self.sequence.wrapping_add(1);
            self.number += 1;
        }
    }

    fn send_in_the_clear(&mut self, frames: u32) {
        self.sequence = self.sequence.wrapping_add(frames);
    }
}

/// Protocol 0021 and an IPv4 packet that carries a number
fn packet(number: u32) -> Vec<u8> {
    let mut ip = [&b"\x45\0\0\x18\0\0\x40\0\x40\x01\0\0\x0A\0\0\x01\x0A\0\0\x02"[..]].concat();
    ip.extend(number.to_be_bytes());
    ip[10..12].copy_from_slice(&[0x26, 0xE3]);
    [&[0x00, 0x21][..], &ip].concat()
}

/// Our side, with GRE's notion of the highest number
struct Receiver {
    decryptor: Decryptor,
    now: Instant,
    highest: Option<u32>,
}

impl Receiver {
    fn new() -> Self {
        let decryptor = Decryptor::stateless(&START_KEY, KeyStrength::Bits128);
        Self { decryptor, now: epoch(), highest: None }
    }

    /// The number that the frame carries
    fn receive(&mut self, frame: &Frame) -> Result<u32, Discard> {
        let ahead = self.highest.is_none_or(|highest| {
            (1..=u32::MAX / 2).contains(&frame.sequence.wrapping_sub(highest))
        });
        let order = if ahead { Order::Ahead } else { Order::Behind };
        let arrival = Arrival { sequence: frame.sequence, order };
        let mut octets = frame.octets.clone();
        let opened = self.decryptor.open(self.now, arrival, &mut octets);
        let number = opened.map(|opened| {
            assert_eq!(opened.protocol, 0x0021);
            u32::from_be_bytes(opened.payload[20..24].try_into().unwrap())
        });
        match number {
            Ok(_) if ahead => self.highest = Some(frame.sequence),
            Ok(_) => (),
            Err(_) => assert_eq!(octets, frame.octets),
        }
        number
    }

    fn is_free(&self) -> bool {
        self.decryptor.skipped.len() == 0
            && self.decryptor.lookahead.is_empty()
            && self.decryptor.poll_timeout().is_none()
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.decryptor.handle_timeout(self.now);
    }
}

/// Both sides, after some frames that arrived
fn pair() -> (Sender, Receiver) {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    for number in 0..10 {
        assert_eq!(receiver.receive(&sender.send()), Ok(number));
    }
    (sender, receiver)
}

/// Sends until a frame opens, one each `interval`, and returns how many were lost before that
fn lost_before_recovery(sender: &mut Sender, receiver: &mut Receiver, interval: Duration) -> usize {
    let lost = (0..100_000).position(|_| {
        receiver.now += interval;
        let frame = sender.send();
        receiver.receive(&frame) == Ok(frame.number)
    });
    for _ in 0..100 {
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number), "traffic must flow again");
    }
    lost.expect("traffic must flow again")
}

/// Frames lost after an outage, in which `distance` frames were sent and all but the last lost
fn lost_after(distance: usize) -> usize {
    let (mut sender, mut receiver) = pair();
    sender.lose(distance - 1);
    lost_before_recovery(&mut sender, &mut receiver, Duration::ZERO)
}

#[test]
fn an_undisturbed_session_keeps_nothing() {
    let (mut sender, mut receiver) = pair();
    for _ in 0..10_000 {
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number));
        assert!(receiver.is_free());
    }
    assert_eq!(receiver.decryptor.stats().rekeys, 10_010);
    assert_eq!(receiver.decryptor.stats().opened, 10_010);
}

#[test]
fn after_a_near_gap_no_frame_is_lost() {
    for distance in [1, 2, 255, 256, 257, 300, 511, 512] {
        assert_eq!(lost_after(distance), 0, "{distance}");
    }
}

#[test]
fn after_an_outage_two_frames_are_lost_whatever_the_count_looks_like() {
    for distance in
        [513, 514, 2048, 2049, 4095, 4096, 4097, 4098, 4096 + 513, 8191, 8192, 8193, 10_000, 16_000]
    {
        assert_eq!(lost_after(distance), 2, "{distance}");
    }
}

#[test]
fn after_a_long_outage_one_more_frame_is_lost_for_every_16384() {
    assert_eq!(lost_after(17_000), 3);
    assert_eq!(lost_after(65_536), 5);
    assert_eq!(lost_after(100_000), 8);
    assert_eq!(lost_after(130_000), 9);
}

#[test]
fn an_outage_longer_than_the_meter_has_saved_is_followed_as_it_earns() {
    let (mut sender, mut receiver) = pair();
    sender.lose(300_000);
    let lost = lost_before_recovery(&mut sender, &mut receiver, Duration::from_millis(1));
    // 170,000 more, at 4096 a second and 3 a frame, one for each frame that came meanwhile
    assert!((20_000..30_000).contains(&lost), "{lost}");
}

#[test]
fn a_peer_that_sends_faster_than_the_meter_earns_is_caught() {
    let (mut sender, mut receiver) = pair();
    sender.lose(200_000);
    let lost = lost_before_recovery(&mut sender, &mut receiver, Duration::from_micros(20));
    assert!((20_000..25_000).contains(&lost), "{lost}");
}

#[test]
fn slow_traffic_keeps_what_a_pursuit_has_reached() {
    let (mut sender, mut receiver) = pair();
    sender.lose(100_000);
    for _ in 0..8 {
        assert!(receiver.receive(&sender.send()).is_err());
        receiver.wait(Duration::from_secs(10));
    }
    let frame = sender.send();
    assert_eq!(receiver.receive(&frame), Ok(frame.number));
}

#[test]
fn frames_in_the_clear_take_no_count() {
    for clear in [1, 2, 100, 5000] {
        for distance in [1, 512, 513, 4097, 10_000] {
            let (mut sender, mut receiver) = pair();
            sender.lose(distance - 1);
            sender.send_in_the_clear(clear);
            let most = if distance <= 512 { 0 } else { 2 };
            let lost = lost_before_recovery(&mut sender, &mut receiver, Duration::ZERO);
            assert_eq!(lost, most, "{clear} {distance}");
        }
    }
}

/// Linux uses up counts in this way for packets that it has no route for
#[test]
fn counts_without_sequence_numbers_are_followed_too() {
    let (mut sender, mut receiver) = pair();
    sender.lose(9000);
    sender.sequence -= 9000;
    assert_eq!(lost_before_recovery(&mut sender, &mut receiver, Duration::ZERO), 15);
    sender.lose(3000);
    sender.sequence -= 3000;
    assert_eq!(lost_before_recovery(&mut sender, &mut receiver, Duration::ZERO), 2);
}

#[test]
fn the_first_frames_may_be_lost() {
    for lost in [1, 511, 600, 5000, 10_000] {
        for first in [0, 1, 3_000_000_000] {
            let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
            sender.sequence = first;
            sender.lose(lost);
            let most = if lost < 512 { 0 } else { 2 };
            let lost = lost_before_recovery(&mut sender, &mut receiver, Duration::ZERO);
            assert!(lost <= most, "{lost} from {first}");
        }
    }
}

#[test]
fn sequence_numbers_may_wrap_or_begin_anew() {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    sender.sequence = u32::MAX - 5;
    for _ in 0..20 {
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number));
    }
    for begin in [0x7000_0000, 0xF000_0000, 0] {
        sender.sequence = begin;
        receiver.highest = None;
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number), "GRE says that it is ahead");
    }
}

#[test]
fn a_peer_out_of_reach_ends_the_link() {
    let (mut sender, mut receiver) = pair();
    sender.encryptor = Encryptor::stateless(b"another peer's 1", KeyStrength::Bits128);
    let fatal = (0..10_000).find_map(|_| {
        receiver.now += Duration::from_millis(100);
        receiver.receive(&sender.send()).err().filter(|discard| discard.is_fatal())
    });
    assert_eq!(fatal, Some(Discard::OutOfReach));
    assert!(
        receiver.decryptor.stats().rekeys >= MAX_REACH - COUNTS,
        "not before the chain was followed"
    );
}

#[test]
fn late_frames_open_once() {
    let (mut sender, mut receiver) = pair();
    let frames: Vec<Frame> = (0..6).map(|_| sender.send()).collect();
    let order = [0, 3, 2, 5, 1, 4];
    for index in order {
        let frame = &frames[index];
        assert_eq!(receiver.receive(frame), Ok(frame.number));
    }
    assert!(receiver.is_free(), "an empty map is freed");
    for frame in &frames {
        assert_eq!(receiver.receive(frame), Err(Discard::Late));
    }
    assert_eq!(receiver.decryptor.stats().opened_late, 3);
    assert_eq!(receiver.decryptor.stats().late, 6);
}

#[test]
fn a_damaged_sequence_number_costs_nothing() {
    let (mut sender, mut receiver) = pair();
    let mut damaged = sender.send();
    damaged.sequence += 1000;
    assert_eq!(receiver.receive(&damaged), Ok(damaged.number));
    let late = sender.send();
    let frame = sender.send();
    for frame in [&frame, &late] {
        assert_eq!(receiver.receive(frame), Ok(frame.number), "though behind the damaged one");
    }
    assert_eq!(receiver.receive(&frame), Err(Discard::Late), "a second time");
    for _ in 0..2000 {
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number));
    }
}

#[test]
fn late_frames_open_behind_a_pursuit() {
    let (mut sender, mut receiver) = pair();
    sender.lose(10_000);
    let frames: Vec<Frame> = (0..300).map(|_| sender.send()).collect();
    assert_eq!(receiver.receive(&frames[270]), Err(Discard::TooFarAhead));
    assert_eq!(receiver.receive(&frames[271]), Err(Discard::TooFarAhead));
    assert_eq!(receiver.receive(&frames[299]), Ok(frames[299].number));
    assert_eq!(receiver.decryptor.stats().kept_keys, 256);
    for (index, frame) in frames.iter().enumerate().take(299) {
        let opens = if index < 299 - 256 { Err(Discard::Late) } else { Ok(frame.number) };
        assert_eq!(receiver.receive(frame), opens, "{index}");
    }
    assert!(receiver.is_free());
}

#[test]
fn keys_of_late_frames_die_after_two_seconds() {
    let (mut sender, mut receiver) = pair();
    let late = [sender.send(), sender.send()];
    assert!(receiver.receive(&sender.send()).is_ok());
    assert_eq!(receiver.decryptor.poll_timeout(), Some(receiver.now + Duration::from_secs(2)));
    receiver.now += Duration::from_millis(1999);
    assert_eq!(receiver.receive(&late[0]), Ok(late[0].number));
    receiver.now += Duration::from_millis(1);
    assert_eq!(receiver.receive(&late[1]), Err(Discard::Late), "whether or not the timer ran");
    assert!(receiver.is_free());

    sender.lose(1);
    assert!(receiver.receive(&sender.send()).is_ok());
    receiver.wait(Duration::from_secs(2));
    assert!(receiver.is_free());
    assert_eq!(receiver.decryptor.stats().kept_keys, 0);
}

#[test]
fn keys_of_late_frames_die_2048_counts_behind() {
    let (mut sender, mut receiver) = pair();
    let late = [sender.send(), sender.send()];
    for _ in 0..2047 {
        assert!(receiver.receive(&sender.send()).is_ok());
    }
    assert_eq!(receiver.receive(&late[1]), Ok(late[1].number));
    assert_eq!(receiver.decryptor.stats().kept_keys, 1, "2048 behind");
    assert!(receiver.receive(&sender.send()).is_ok());
    assert!(receiver.is_free());
    assert_eq!(receiver.receive(&late[0]), Err(Discard::Late));
}

#[test]
fn of_many_keys_the_oldest_go() {
    let (mut sender, mut receiver) = pair();
    let mut late = Vec::new();
    for _ in 0..300 {
        late.push(sender.send());
        assert!(receiver.receive(&sender.send()).is_ok());
    }
    assert_eq!(receiver.decryptor.stats().kept_keys, 256);
    for (index, frame) in late.iter().enumerate() {
        let opens = if index < 300 - 256 { Err(Discard::Late) } else { Ok(frame.number) };
        assert_eq!(receiver.receive(frame), opens, "{index}");
    }
}

#[test]
fn a_frame_behind_one_in_the_clear_is_not_late() {
    let (mut sender, mut receiver) = pair();
    let frame = sender.send();
    // GRE has committed an Echo-Request sent after it.
    receiver.highest = Some(sender.sequence);
    assert_eq!(receiver.receive(&frame), Ok(frame.number));
}

/// Octets that no key opens, with the header of a true frame
fn forged(sequence: u32, count: u32) -> Frame {
    let [.., high, low] = (0x9000 | count & 0x0FFF).to_be_bytes();
    let noise = (0_u8..60).map(|octet| octet.wrapping_mul(77) ^ low);
    let octets = [high, low].into_iter().chain(noise).collect();
    Frame { sequence, number: count, octets }
}

#[test]
fn forged_frames_move_nothing() {
    let (mut sender, mut receiver) = pair();
    for round in 0_u32..500 {
        let jump = 1 + round * 7919 % 5000;
        for _ in 0..3 {
            let frame = forged(sender.sequence + jump, sender.number + round * 31 % 4096);
            assert!(receiver.receive(&frame).is_err());
        }
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number), "{round}");
        assert_eq!(receiver.decryptor.sequence, Some(frame.sequence));
    }
}

#[test]
fn forged_frames_do_not_use_up_a_kept_key() {
    let (mut sender, mut receiver) = pair();
    let late = sender.send();
    assert!(receiver.receive(&sender.send()).is_ok());
    let frame = forged(late.sequence, late.number);
    assert_eq!(receiver.receive(&frame), Err(Discard::Implausible));
    assert_eq!(receiver.receive(&late), Ok(late.number));
}

#[test]
fn a_frame_forged_in_a_run_costs_at_most_its_beginning() {
    let (mut sender, mut receiver) = pair();
    sender.lose(3000);
    assert!(receiver.receive(&sender.send()).is_err());
    assert!(receiver.receive(&sender.send()).is_err());
    assert!(receiver.receive(&forged(sender.sequence + 9, 1234)).is_err());
    assert_eq!(lost_before_recovery(&mut sender, &mut receiver, Duration::ZERO), 2);
}

/// Sends a flood of 2000 forged frames a second; returns the key changes that they caused
fn rekeys_for(frames: u32, forge: impl Fn(u32) -> (u32, u32)) -> u64 {
    let (mut sender, mut receiver) = pair();
    let before = receiver.decryptor.stats().rekeys;
    for frame in 0..frames {
        receiver.wait(Duration::from_micros(500));
        let (sequence, count) = forge(frame);
        let frame = forged(sender.sequence + sequence, sender.number + count);
        assert!(receiver.receive(&frame).is_err());
    }
    let rekeys = receiver.decryptor.stats().rekeys - before;
    sender.lose(500);
    let frame = sender.send();
    assert_eq!(receiver.receive(&frame), Ok(frame.number), "true gaps are still followed");
    rekeys
}

#[test]
fn work_on_forged_frames_is_metered() {
    let near = rekeys_for(20_000, |frame| (frame, frame * 7919 % 512));
    assert!(near <= 512, "each near key once: {near}");
    let far = rekeys_for(20_000, |frame| (frame, 600 + frame * 7919 % 3400));
    assert_eq!(far, 0, "frames that do not agree");
    let agreeing = rekeys_for(3000, |frame| (100_000 + frame, 600 + frame));
    let (saved, earned, free) = (32 * 4096, 4096 * 3 / 2, 4 * 3000);
    assert!(agreeing <= saved + earned + free, "{agreeing}");
}

#[test]
fn true_gaps_cost_nothing_in_the_end() {
    let (mut sender, mut receiver) = pair();
    for _ in 0..50_000 {
        sender.lose(3);
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number));
    }
}

#[test]
fn a_frame_that_opens_ends_what_others_began() {
    let (mut sender, mut receiver) = pair();
    let far = |sender: &Sender, ahead| forged(sender.sequence + ahead, sender.number + ahead);
    for ahead in 600..602 {
        assert_eq!(receiver.receive(&far(&sender, ahead)), Err(Discard::TooFarAhead));
    }
    assert!(receiver.receive(&sender.send()).is_ok());
    assert_eq!(receiver.receive(&far(&sender, 602)), Err(Discard::TooFarAhead));
    for ahead in 603..606 {
        assert!(receiver.receive(&far(&sender, ahead)).is_err());
    }
    assert!(receiver.receive(&sender.send()).is_ok());
    sender.lose(1000);
    assert_eq!(lost_before_recovery(&mut sender, &mut receiver, Duration::ZERO), 2);
}

#[test]
fn an_opened_frame_does_not_open_under_a_new_sequence_number() {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    let frames: Vec<Frame> = (0..5000).map(|_| sender.send()).collect();
    for frame in &frames {
        assert!(receiver.receive(frame).is_ok());
    }
    for frame in &frames {
        let replayed = Frame { sequence: frame.sequence + 100_000, ..frame.clone() };
        assert!(receiver.receive(&replayed).is_err(), "{}", frame.number);
    }
    assert_eq!(receiver.decryptor.sequence, Some(4999));
}

#[test]
fn memory_after_forged_frames_is_bounded_and_given_back() {
    let (sender, mut receiver) = pair();
    for frame in 0..1000 {
        let far = forged(sender.sequence + 600 + frame, sender.number + 600 + frame);
        assert!(receiver.receive(&far).is_err());
        let near = forged(sender.sequence + 511, sender.number + 511);
        assert!(receiver.receive(&near).is_err());
    }
    assert_eq!(receiver.decryptor.lookahead.keys(), 512 + 256 + 1);
    receiver.wait(Duration::from_secs(2));
    assert!(receiver.is_free());
    assert_eq!(receiver.decryptor.lookahead.keys(), 1, "how far the pursuit came");
}

#[test]
fn wrong_header_bits_score_as_in_linux() {
    let wrong = |bits: u8| Frame { sequence: 0, number: 0, octets: vec![bits, 0, 1, 2, 3] };
    let (mut sender, mut receiver) = pair();
    for _ in 0..5 {
        assert_eq!(receiver.receive(&wrong(0x80)), Err(Discard::NotEncrypted));
        assert_eq!(receiver.receive(&wrong(0x10)), Err(Discard::NotFlushed));
    }
    assert!(receiver.receive(&sender.send()).is_ok()); // 1000 becomes 500
    for _ in 0..10 {
        assert_eq!(receiver.receive(&wrong(0x00)), Err(Discard::NotEncrypted));
        assert_eq!(receiver.receive(&wrong(0xD0)), Err(Discard::Compressed));
        assert_eq!(receiver.receive(&wrong(0xB0)), Err(Discard::Compressed));
    }
    assert_eq!(receiver.receive(&wrong(0x80)), Err(Discard::ScoreLimit));
    assert!(Discard::ScoreLimit.is_fatal() && !Discard::NotEncrypted.is_fatal());
    assert_eq!(receiver.decryptor.stats().not_encrypted, 15);
    assert_eq!(receiver.decryptor.stats().score_limit, 1);
}

#[test]
fn frames_of_less_than_three_octets_are_too_short() {
    let mut receiver = Receiver::new();
    for octets in [vec![], vec![0x90], vec![0x90, 0]] {
        let frame = Frame { sequence: 0, number: 0, octets };
        assert_eq!(receiver.receive(&frame), Err(Discard::TooShort));
    }
}

#[test]
fn the_other_strengths_open_what_they_sealed() {
    for strength in [KeyStrength::Bits40, KeyStrength::Bits56] {
        let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
        sender.encryptor = Encryptor::stateless(&START_KEY, strength);
        receiver.decryptor = Decryptor::stateless(&START_KEY, strength);
        for _ in 0..5000 {
            let frame = sender.send();
            assert_eq!(receiver.receive(&frame), Ok(frame.number), "{strength:?}");
        }
    }
}

#[test]
fn a_compressed_protocol_field_is_one_octet() {
    let (mut sender, mut receiver) = pair();
    let mut inner = packet(sender.number)[1..].to_vec();
    let header = sender.encryptor.seal(&mut inner);
    let octets = [&header[..], &inner[..]].concat();
    let frame = Frame { sequence: sender.sequence, number: sender.number, octets };
    assert_eq!(receiver.receive(&frame), Ok(frame.number));
}
