//! Sessions in virtual time, and compared with simple models

mod arithmetic;
mod first_words;
mod network;
mod order;
mod window;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use pptp_packet::PacketBuf;
use proptest::{collection::vec, prelude::*};

use crate::{Discard, Header, Order, Requirement, Session, Timer, transmit::Transmit};

mod facts;
mod pacing;

const PEER_CALL_ID: u16 = 0x1234;
const WINDOW: u16 = 64;

/// A session and its clock
struct Lab {
    session: Session,
    now: Instant,
}

impl Lab {
    fn new(window: u16) -> Self {
        let now = start();
        Self { session: Session::new(PEER_CALL_ID, window, now), now }
    }

    /// A session that committed `sequence`, and acknowledged it
    fn with_highest(sequence: u32) -> Self {
        let mut lab = Self::new(WINDOW);
        lab.accept(sequence);
        lab.pass(ms(100));
        assert_eq!(lab.acknowledgment(), Some(sequence));
        lab
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
    }

    fn check(&mut self, sequence: u32) -> Result<(Order, Requirement), Discard> {
        let verdict = self.session.check(&numbered(sequence))?;
        assert_eq!(verdict.sequence, sequence);
        Ok((verdict.order, verdict.requirement))
    }

    /// Handles a datagram like a tunnel whose payload is accepted, but not by MPPE
    fn accept(&mut self, sequence: u32) {
        if let Ok(verdict) = self.session.check(&numbered(sequence))
            && verdict.requirement == Requirement::AcceptedPayload
        {
            self.session.commit(self.now, verdict);
        }
    }

    /// Handles a datagram like a tunnel in which MPPE opened the payload
    fn decrypt(&mut self, sequence: u32) {
        if let Ok(verdict) = self.session.check(&numbered(sequence)) {
            self.session.commit(self.now, verdict);
        }
    }

    fn seal(&mut self) -> Header {
        let mut packet = PacketBuf::new();
        packet.reset(3).copy_from_slice(b"ppp");
        self.session.seal(self.now, &mut packet);
        let (header, payload) = Header::parse(packet.as_slice()).unwrap();
        assert_eq!((&packet.as_slice()[payload], header.call_id), (&b"ppp"[..], PEER_CALL_ID));
        header
    }

    fn acknowledgment(&mut self) -> Option<u32> {
        let octets = self.session.poll_acknowledgment(self.now)?;
        let (header, payload) = Header::parse(&octets).unwrap();
        assert_eq!((header.call_id, header.sequence), (PEER_CALL_ID, None));
        assert!(payload.is_empty());
        header.acknowledgment
    }

    fn acknowledge(&mut self, sequence: u32) {
        self.session.handle_acknowledgment(self.now, sequence);
    }
}

pub(crate) fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant can come from nowhere else")]
    Instant::now()
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn numbered(sequence: u32) -> Header {
    Header { call_id: 0x4321, sequence: Some(sequence), acknowledgment: None }
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 200, "{} octets", size_of::<Session>());
}

#[test]
fn any_first_sequence_number_is_adopted_and_ours_starts_at_0() {
    for first in [0, 1, 0x8000_0000, u32::MAX] {
        let mut lab = Lab::new(WINDOW);
        assert_eq!(lab.check(first), Ok((Order::Ahead, Requirement::AcceptedPayload)));
        lab.accept(first);
        assert_eq!(lab.check(first), Err(Discard::Duplicate));
        let second = first.wrapping_add(1);
        assert_eq!(lab.check(second), Ok((Order::Ahead, Requirement::AcceptedPayload)));
        assert_eq!(lab.seal().sequence, Some(0));
        assert_eq!(lab.seal().sequence, Some(1));
    }
}

#[test]
fn what_was_not_committed_is_neither_known_nor_acknowledged() {
    let mut lab = Lab::with_highest(10);
    for _ in 0..3 {
        assert_eq!(lab.check(11), Ok((Order::Ahead, Requirement::AcceptedPayload)));
    }
    lab.pass(ms(1000));
    assert_eq!((lab.acknowledgment(), lab.seal().acknowledgment), (None, None));
}

#[test]
fn late_and_duplicate_datagrams_do_not_move_the_highest_number() {
    let mut lab = Lab::with_highest(10);
    lab.accept(13);
    assert_eq!(lab.session.stats().missing, 2);
    assert_eq!(lab.check(11), Ok((Order::Behind, Requirement::AcceptedPayload)));
    lab.accept(11);
    assert_eq!(lab.check(11), Err(Discard::Duplicate));
    assert_eq!(lab.check(12), Ok((Order::Behind, Requirement::AcceptedPayload)));
    assert_eq!(lab.seal().acknowledgment, Some(13));
    let stats = lab.session.stats();
    assert_eq!((stats.missing, stats.late, stats.duplicates), (1, 1, 1));
}

#[test]
fn the_reach_ends_at_6000() {
    let highest = 20_000;
    let mut lab = Lab::with_highest(highest);
    assert_eq!(lab.check(highest + 6000), Ok((Order::Ahead, Requirement::AcceptedPayload)));
    assert_eq!(lab.check(highest + 6001), Ok((Order::Ahead, Requirement::DecryptedPayload)));
    assert_eq!(lab.check(highest - 6000), Ok((Order::Behind, Requirement::AcceptedPayload)));
    assert_eq!(lab.check(highest - 6001), Ok((Order::Behind, Requirement::DecryptedPayload)));
}

#[test]
fn a_forged_number_beyond_the_reach_moves_nothing() {
    let mut lab = Lab::with_highest(10);
    for forged in [1 << 20, 1 << 30, 0x8000_0000, u32::MAX - 7000] {
        lab.accept(forged);
        assert_eq!(lab.acknowledgment(), None);
    }
    lab.accept(11);
    assert_eq!(lab.seal().acknowledgment, Some(11));
    assert_eq!(lab.session.stats().beyond_guard, 4);
}

#[test]
fn eight_in_sequence_beyond_the_reach_are_a_new_base() {
    let mut lab = Lab::with_highest(10);
    let base = 1 << 20;
    for sequence in base..base + 7 {
        assert_eq!(lab.check(sequence), Ok((Order::Ahead, Requirement::DecryptedPayload)));
    }
    assert_eq!(lab.check(base + 7), Ok((Order::Ahead, Requirement::AcceptedPayload)));
    assert_eq!(
        lab.check(11),
        Ok((Order::Ahead, Requirement::AcceptedPayload)),
        "nothing is committed yet"
    );
    lab.accept(base + 8);
    assert_eq!(lab.seal().acknowledgment, Some(base + 8));
    assert_eq!(lab.check(base + 9), Ok((Order::Ahead, Requirement::AcceptedPayload)));
    assert_eq!(lab.session.stats().jumps, 1);
}

#[test]
fn a_gap_starts_the_count_of_eight_anew() {
    let mut lab = Lab::with_highest(10);
    let base = 1 << 20;
    for sequence in (base..base + 7).chain(base + 8..base + 15) {
        assert_eq!(lab.check(sequence), Ok((Order::Ahead, Requirement::DecryptedPayload)));
    }
    assert_eq!(lab.check(base + 15), Ok((Order::Ahead, Requirement::AcceptedPayload)));
}

#[test]
fn one_decrypted_beyond_the_reach_is_a_new_base() {
    let mut lab = Lab::with_highest(10);
    lab.decrypt(1 << 20);
    assert_eq!(lab.seal().acknowledgment, Some(1 << 20));
    assert_eq!(lab.check((1 << 20) + 1), Ok((Order::Ahead, Requirement::AcceptedPayload)));
}

#[test]
fn a_new_base_knows_no_number_behind_it() {
    let mut lab = Lab::new(WINDOW);
    (0..64).for_each(|sequence| lab.accept(sequence));
    lab.decrypt(1 << 20);
    assert_eq!(lab.check(1 << 20), Err(Discard::Duplicate));
    assert_eq!(lab.check((1 << 20) - 1), Ok((Order::Behind, Requirement::AcceptedPayload)));
}

#[test]
fn a_forged_first_number_is_outlived() {
    let mut lab = Lab::with_highest(0x7000_0000);
    (0..20).for_each(|sequence| lab.accept(sequence));
    assert_eq!(lab.seal().acknowledgment, Some(19));
    assert_eq!(lab.session.stats().jumps, 1);
}

#[test]
fn a_forged_control_frame_within_reach_is_outlived() {
    let mut lab = Lab::with_highest(10);
    lab.accept(5000);
    for sequence in 11..18 {
        assert_eq!(lab.check(sequence), Ok((Order::Behind, Requirement::AcceptedPayload)));
    }
    assert_eq!(
        lab.check(18),
        Ok((Order::Ahead, Requirement::AcceptedPayload)),
        "MPPE opened none of them"
    );
    lab.accept(19);
    assert_eq!(lab.check(20), Ok((Order::Ahead, Requirement::AcceptedPayload)));
    assert_eq!(lab.seal().acknowledgment, Some(19));
}

#[test]
fn late_datagrams_that_are_committed_are_no_new_base() {
    let mut lab = Lab::with_highest(10);
    lab.accept(100);
    (11..60).for_each(|sequence| lab.accept(sequence));
    assert_eq!(lab.check(60), Ok((Order::Behind, Requirement::AcceptedPayload)));
    assert_eq!((lab.session.stats().late, lab.seal().acknowledgment), (49, Some(100)));
}

#[test]
fn a_damaged_number_is_outlived_although_what_follows_is_accepted() {
    let mut lab = Lab::with_highest(10);
    lab.decrypt(1010);
    (12..19).for_each(|sequence| lab.decrypt(sequence));
    assert_eq!((lab.session.stats().late, lab.seal().acknowledgment), (7, Some(1010)));
    assert_eq!(lab.check(19), Ok((Order::Ahead, Requirement::AcceptedPayload)), "the eighth");
    lab.accept(20);
    lab.accept(21);
    assert_eq!(lab.seal().acknowledgment, Some(21));
}

#[test]
fn a_verdict_committed_after_a_later_one_does_not_move_the_highest_number_back() {
    let mut lab = Lab::with_highest(10);
    let [first, second] = [11, 12].map(|sequence| lab.session.check(&numbered(sequence)).unwrap());
    lab.session.commit(lab.now, second);
    lab.session.commit(lab.now, first);
    assert_eq!(lab.seal().acknowledgment, Some(12));
    assert_eq!(lab.check(11), Err(Discard::Duplicate));
}

#[test]
fn a_batch_gets_one_acknowledgment() {
    let mut lab = Lab::new(WINDOW);
    (0..64).for_each(|sequence| lab.accept(sequence));
    assert_eq!(lab.acknowledgment(), Some(63));
    assert_eq!(lab.acknowledgment(), None);
    assert_eq!(lab.session.poll_timeout(), None);
}

#[test]
fn an_acknowledgment_rides_on_data_if_there_is_some() {
    let mut lab = Lab::new(WINDOW);
    lab.accept(0);
    lab.accept(1);
    assert_eq!(lab.seal().acknowledgment, Some(1));
    assert_eq!(lab.seal().acknowledgment, None);
    assert_eq!(lab.acknowledgment(), None);
}

#[test]
fn a_single_datagram_is_acknowledged_after_100_ms() {
    let mut lab = Lab::new(WINDOW);
    lab.accept(0);
    assert_eq!(lab.acknowledgment(), None);
    let due = lab.now + ms(100);
    assert_eq!(lab.session.poll_timeout(), Some((due, Timer::Acknowledgment)));
    lab.pass(ms(99));
    assert_eq!(lab.acknowledgment(), None);
    lab.pass(ms(1));
    assert_eq!(lab.acknowledgment(), Some(0));
    assert_eq!(lab.session.poll_timeout(), None);
}

#[cfg(feature = "server")]
#[test]
fn as_pptp_ko_does_it_numbers_begin_with_1_and_acknowledgments_wait_for_data() {
    let mut lab = Lab::new(WINDOW);
    lab.session = lab.session.starting_at(1).acknowledging_only_with_data();
    lab.accept(7);
    lab.accept(8);
    lab.pass(ms(1000));
    assert_eq!((lab.acknowledgment(), lab.session.poll_timeout()), (None, None));
    let header = lab.seal();
    assert_eq!((header.sequence, header.acknowledgment), (Some(1), Some(8)));
    lab.acknowledge(1);
    assert_eq!(lab.session.poll_timeout(), None, "it is that one which was sent");
}

#[test]
fn an_acknowledgment_is_never_acknowledged() {
    let mut lab = Lab::new(WINDOW);
    lab.seal();
    let bare = Header { call_id: 1, sequence: None, acknowledgment: Some(0) };
    assert_eq!(lab.session.check(&bare), Err(Discard::Unsequenced));
    lab.acknowledge(0);
    assert_eq!(lab.session.poll_timeout(), None, "all is acknowledged: no deadline");
    lab.pass(ms(1000));
    assert_eq!(lab.acknowledgment(), None);
}

#[test]
fn acknowledgments_of_what_was_never_sent_or_long_acknowledged_are_ignored() {
    let mut lab = Lab::new(WINDOW);
    for forged in [0, 1, u32::MAX] {
        lab.acknowledge(forged);
    }
    (0..4).for_each(|_| _ = lab.seal());
    for forged in [4, 0x8000_0000, u32::MAX] {
        lab.acknowledge(forged);
    }
    assert_eq!(lab.session.stats().acknowledgments_ignored, 6);
    assert_eq!(lab.session.round_trip_time(), None);
    lab.acknowledge(2);
    lab.acknowledge(2);
    lab.acknowledge(1);
    let stats = lab.session.stats();
    assert_eq!((stats.acknowledgments_taken, stats.acknowledgments_ignored), (1, 8));
}

#[test]
fn a_full_window_pauses_for_50_ms_at_most() {
    let mut lab = Lab::new(8);
    for _ in 0..4 {
        assert_eq!(lab.session.may_send(lab.now), None);
        lab.seal();
    }
    let until = lab.now + ms(50);
    assert_eq!(lab.session.may_send(lab.now), Some(until));
    lab.pass(ms(49));
    assert_eq!(lab.session.may_send(lab.now), Some(until));
    lab.pass(ms(1));
    assert_eq!(lab.session.may_send(lab.now), None, "and then sends anyway");
}

#[test]
fn an_acknowledgment_ends_the_pause_and_a_full_window_widens_it() {
    let mut lab = Lab::new(8);
    (0..4).for_each(|_| _ = lab.seal());
    lab.pass(ms(10));
    lab.acknowledge(3);
    for _ in 0..5 {
        assert_eq!(lab.session.may_send(lab.now), None);
        lab.seal();
    }
    assert!(lab.session.may_send(lab.now).is_some());
    // 100 ms less an eighth of the 90 ms that the first guess was off
    assert_eq!(lab.session.round_trip_time(), Some(Duration::from_micros(88_750)));
}

#[test]
fn the_window_never_exceeds_the_offer_and_halves_at_a_timeout() {
    let mut lab = Lab::new(4);
    for round in 0..40 {
        lab.seal();
        lab.acknowledge(round);
    }
    (0..4).for_each(|_| _ = lab.seal());
    let (at, timer) = lab.session.poll_timeout().unwrap();
    assert_eq!(timer, Timer::AdaptiveTimeout);
    assert!(lab.session.may_send(lab.now).is_some());
    lab.pass(at - lab.now);
    assert_eq!((lab.session.stats().timeouts, lab.session.poll_timeout()), (1, None));
    (0..2).for_each(|_| _ = lab.seal());
    assert!(lab.session.may_send(lab.now).is_some(), "4 became 2");
}

#[test]
fn each_datagram_is_timed_by_its_own_acknowledgment() {
    let mut lab = Lab::new(WINDOW);
    for round in 0..2 {
        lab.seal();
        lab.pass(ms(20));
        lab.acknowledge(round);
        lab.pass(ms(5000));
    }
    // 100 ms less an eighth of 80 ms, less an eighth of 70 ms
    assert_eq!(lab.session.round_trip_time(), Some(Duration::from_micros(81_250)));
}

#[test]
fn the_nearest_deadline_comes_first() {
    let mut lab = Lab::new(WINDOW);
    lab.seal();
    let adaptive = (lab.now + ms(100), Timer::AdaptiveTimeout);
    lab.pass(ms(50));
    lab.accept(0);
    assert_eq!(lab.session.poll_timeout(), Some(adaptive));
    lab.pass(ms(50));
    assert_eq!(lab.session.poll_timeout(), Some((lab.now + ms(50), Timer::Acknowledgment)));
}

#[test]
fn each_timeout_doubles_the_next() {
    let mut lab = Lab::new(WINDOW);
    for wait in [100, 200, 400] {
        lab.seal();
        assert_eq!(lab.session.poll_timeout(), Some((lab.now + ms(wait), Timer::AdaptiveTimeout)));
        lab.pass(ms(wait));
    }
    lab.seal();
    assert_eq!(lab.session.poll_timeout(), None, "the peer does not acknowledge");
}

/// Sends `count` datagrams with the pauses asked for; returns the time that it took
fn upload(lab: &mut Lab, count: u32) -> Duration {
    let start = lab.now;
    for _ in 0..count {
        while let Some(until) = lab.session.may_send(lab.now) {
            assert!(until > lab.now, "a pause that is over is none");
            let deadline = lab.session.poll_timeout().map_or(until, |(at, _)| at.min(until));
            lab.pass(deadline.saturating_duration_since(lab.now));
        }
        lab.seal();
        lab.pass(Duration::from_micros(100));
    }
    lab.now - start
}

#[test]
fn a_peer_that_never_acknowledges_hardly_slows_an_upload() {
    let mut lab = Lab::new(WINDOW);
    let took = upload(&mut lab, 40_000);
    assert!(lab.session.peer_never_acknowledges());
    assert_eq!((lab.session.stats().timeouts, lab.session.poll_timeout()), (3, None));
    assert!(took < Duration::from_secs(4) + ms(150), "4 s without a pause: {took:?}");
}

#[test]
fn a_peer_that_falls_silent_is_paced_again_once_it_acknowledges() {
    let mut lab = Lab::new(WINDOW);
    lab.seal();
    lab.acknowledge(0);
    let took = upload(&mut lab, 10_000);
    assert!(took < Duration::from_secs(1) + ms(150), "1 s without a pause: {took:?}");
    assert!(!lab.session.peer_never_acknowledges(), "it did once");
    assert_eq!(lab.session.may_send(lab.now), None);
    lab.acknowledge(10_000);
    for _ in 0..33 {
        assert_eq!(lab.session.may_send(lab.now), None);
        lab.seal();
    }
    assert!(
        lab.session.may_send(lab.now).is_some(),
        "half the offer again, and the one it grew by"
    );
}

#[test]
fn without_an_offer_nothing_is_paced() {
    let mut lab = Lab::new(0);
    (0..1000).for_each(|_| _ = lab.seal());
    assert_eq!(lab.session.may_send(lab.now), None);
}

/// A first number: those seen in the field, those near the wrap, and any other
fn first_number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(u32::MAX - 99), any::<u32>()]
}

/// A distance to the highest number, mostly as a network causes it
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1..=3_i64, 3 => -80..=0_i64, 1 => -6000..=6000_i64]
}

proptest! {
    /// The model counts in 64 bits, where nothing wraps, and remembers everything
    #[test]
    fn verdicts_agree_with_a_model_that_does_not_wrap(
        start in first_number(), steps in vec((step(), any::<bool>(), 0..4_u8), 1..400)
    ) {
        let mut lab = Lab::new(WINDOW);
        let mut highest = (1_i64 << 40) + i64::from(start);
        let mut committed = BTreeSet::from([highest]);
        let wire = |number: i64| u32::try_from(number & 0xFFFF_FFFF).unwrap();
        lab.accept(wire(highest));
        let mut owed = true;
        for (step, accepted, then) in steps {
            let number = highest + step;
            let expected = if committed.contains(&number) && highest - number < 64 {
                Err(Discard::Duplicate)
            } else if number > highest {
                Ok((Order::Ahead, Requirement::AcceptedPayload))
            } else {
                Ok((Order::Behind, Requirement::AcceptedPayload))
            };
            prop_assert_eq!(lab.check(wire(number)), expected);
            if accepted && expected.is_ok() {
                lab.accept(wire(number));
                committed.insert(number);
                owed |= number > highest;
                highest = highest.max(number);
            }
            let acknowledged = match then {
                0 => Some(lab.seal().acknowledgment),
                1 => {
                    lab.pass(ms(100));
                    Some(lab.acknowledgment())
                }
                _ => None,
            };
            if let Some(acknowledged) = acknowledged {
                prop_assert_eq!(acknowledged, owed.then(|| wire(highest)));
                owed = false;
            }
        }
    }

    #[test]
    fn acknowledgments_agree_with_a_model_that_does_not_wrap(
        start in first_number(), steps in vec((0..6_u32, -3..6_i64), 1..200)
    ) {
        let now = crate::tests::start();
        let mut transmit = Transmit::starting_at(WINDOW, start);
        let first = (1_i64 << 40) + i64::from(start);
        let (mut unacknowledged, mut next) = (first, first);
        for (send, distance) in steps {
            for _ in 0..send {
                prop_assert_eq!(i64::from(transmit.take_sequence(now)), next & 0xFFFF_FFFF);
                next += 1;
            }
            let acknowledgment = unacknowledged + distance;
            let valid = (unacknowledged..next).contains(&acknowledgment);
            let wire = u32::try_from(acknowledgment & 0xFFFF_FFFF).unwrap();
            prop_assert_eq!(transmit.handle_acknowledgment(now, wire), valid);
            if valid {
                unacknowledged = acknowledgment + 1;
            }
        }
    }

    #[test]
    fn no_input_panics_and_every_deadline_passes(
        inputs in vec((any::<u32>(), 0..5_u8, 0..200_u64), 1..100)
    ) {
        let mut lab = Lab::new(WINDOW);
        for (number, input, wait) in inputs {
            match input {
                0 => lab.accept(number),
                1 => lab.decrypt(number),
                2 => lab.acknowledge(number),
                3 => lab.acknowledge(number % 8),
                _ => _ = lab.seal(),
            }
            lab.pass(ms(wait));
            lab.acknowledgment();
            if let Some((at, _)) = lab.session.poll_timeout() {
                prop_assert!(at > lab.now, "a deadline that is over wakes for ever");
            }
        }
    }
}
