//! Tests of the congestion control

use super::{window::INITIAL_WINDOW, *};

const SEGMENT: u32 = 1000;
const MS: Time = 1_000;

/// A connection whose round trip was `least` once and is `last` now, with a window full of
/// segments under way
fn sender(segments: u32, min: Time, last: Time) -> Congestion {
    let mut sender = Congestion::new();
    sender.start(FIRST);
    sender.set_smss(SEGMENT);
    for took in [min, last, last] {
        sender.rtt.sample(took);
    }
    sender.window.set_cwnd(segments * SEGMENT);
    send(&mut sender, segments, 0);
    sender
}

/// Begins shortly before sequence numbers wrap
const FIRST: i32 = i32::MAX - 5_500;

fn at(smss: u32) -> i32 {
    FIRST.wrapping_add(i32::try_from(smss * SEGMENT).unwrap())
}

fn send(sender: &mut Congestion, segments: u32, now: Time) {
    for _ in 0..segments {
        sender.on_sent(sender.next, SEGMENT, false, now);
    }
}

/// Gives duplicates of an acknowledgment of so many segments; returns true if the next is retransmitted
fn dup_acks(sender: &mut Congestion, count: u32, segments: u32) -> bool {
    for _ in 0..count {
        sender.on_acknowledgment(at(segments), true, 0);
    }
    sender.take_retransmit()
}

/// Gives an acknowledgment of so many segments; returns true if the next is retransmitted
fn acknowledge(sender: &mut Congestion, segments: u32, now: Time) -> bool {
    sender.on_acknowledgment(at(segments), false, now);
    sender.take_retransmit()
}

#[test]
fn a_loss_in_front_of_an_empty_queue_leaves_the_window() {
    let mut sender = sender(20, 20 * MS, 20 * MS);
    assert!(!dup_acks(&mut sender, 2, 0));
    assert!(dup_acks(&mut sender, 1, 0), "the third is a loss");
    assert_eq!(sender.allowance(), 23 * SEGMENT, "three have left");
    assert!(!dup_acks(&mut sender, 16, 0), "once");
    assert!(!acknowledge(&mut sender, 20, 20 * MS));
    assert_eq!((sender.allowance(), sender.window.ssthresh()), (20 * SEGMENT, u32::MAX));
}

#[test]
fn a_loss_in_front_of_a_queue_shrinks_the_window_by_it_but_no_more_than_rfc_9438() {
    for (last, kept) in [(25 * MS, 20 * 51 / 64), (28 * MS, 14), (200 * MS, 14)] {
        let mut sender = sender(20, 20 * MS, last);
        assert!(dup_acks(&mut sender, 3, 0));
        assert_eq!(sender.window.cwnd() / SEGMENT, kept, "{last}");
        assert_eq!(sender.window.ssthresh(), sender.window.cwnd(), "slow start is over");
    }
}

#[test]
fn each_round_trip_repairs_a_loss_of_the_same_window() {
    let mut sender = sender(10, 20 * MS, 20 * MS);
    assert!(dup_acks(&mut sender, 8, 0));
    assert!(acknowledge(&mut sender, 4, 20 * MS), "the fifth was lost as well");
    assert_eq!(sender.allowance(), 15 * SEGMENT, "five behind it have arrived");
    assert!(!acknowledge(&mut sender, 10, 40 * MS));
    assert_eq!(sender.allowance(), 10 * SEGMENT);
}

#[test]
fn many_losses_of_one_window_are_congestion() {
    let mut sender = sender(10, 20 * MS, 20 * MS);
    assert!(dup_acks(&mut sender, 3, 0));
    assert!((1..3).all(|smss| acknowledge(&mut sender, smss, 20 * MS)));
    assert_eq!(sender.window.cwnd() / SEGMENT, 10);
    assert!(acknowledge(&mut sender, 3, 40 * MS), "the fourth");
    assert_eq!(sender.window.cwnd() / SEGMENT, 7);
    assert!(acknowledge(&mut sender, 4, 60 * MS));
    assert_eq!(sender.window.cwnd() / SEGMENT, 7, "they are one event");
}

#[test]
fn what_was_sent_before_a_timeout_is_no_loss_again() {
    let mut sender = sender(10, 20 * MS, 20 * MS);
    sender.on_sent(FIRST, SEGMENT, false, MIN_ENGINE_RTO);
    assert_eq!(sender.allowance(), SEGMENT);
    assert_eq!(sender.window.ssthresh(), 5 * SEGMENT);
    assert!(!dup_acks(&mut sender, 9, 0), "the peer had them");
    assert!(!acknowledge(&mut sender, 10, 1_000 * MS));
    assert_eq!(sender.allowance(), 3 * SEGMENT, "slow start");
}

#[test]
fn an_overdue_acknowledgment_is_a_loss_before_a_second_has_passed() {
    let mut sender = sender(20, 20 * MS, 20 * MS);
    let due = sender.deadline();
    assert!((20 * MS + 200 * MS..260 * MS).contains(&due), "{due}");
    sender.check_time(due - 1);
    assert!(!sender.take_retransmit());
    sender.check_time(due);
    assert!(sender.take_retransmit());
    assert_eq!((sender.window.cwnd() / SEGMENT, sender.deadline()), (INITIAL_WINDOW, NEVER));
    sender.on_sent(FIRST, SEGMENT, true, due);
    assert!(!acknowledge(&mut sender, 20, due + 20 * MS));
    assert_eq!(sender.deadline(), NEVER, "nothing is under way");
}

#[test]
fn slow_start_doubles_the_window_until_there_is_a_queue() {
    let mut sender = sender(10, 20 * MS, 20 * MS);
    (1..=5).for_each(|pair| assert!(!acknowledge(&mut sender, 2 * pair, 20 * MS)));
    assert_eq!(sender.window.cwnd() / SEGMENT, 20);
    for _ in 0..2 {
        sender.rtt.sample(25 * MS);
    }
    send(&mut sender, 20, 20 * MS);
    (6..=15).for_each(|pair| assert!(!acknowledge(&mut sender, 2 * pair, 45 * MS)));
    assert_eq!(sender.window.cwnd() / SEGMENT, 22, "a smss every other round trip from now on");
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut sender = sender(4, 20 * MS, 20 * MS);
    sender.window.set_cwnd(10 * SEGMENT);
    assert!(!acknowledge(&mut sender, 4, 20 * MS));
    assert_eq!(sender.window.cwnd(), 10 * SEGMENT);
}

#[test]
fn after_a_pause_the_window_is_the_initial_one() {
    let mut sender = sender(40, 20 * MS, 20 * MS);
    assert!(!acknowledge(&mut sender, 40, 20 * MS));
    send(&mut sender, 1, 60 * MS);
    assert!(sender.window.cwnd() >= 40 * SEGMENT);
    assert!(!acknowledge(&mut sender, 41, 80 * MS));
    send(&mut sender, 1, 5_000 * MS);
    assert_eq!(sender.window.cwnd(), INITIAL_WINDOW * SEGMENT);
}

#[test]
fn what_acknowledges_nothing_that_was_sent_is_nothing() {
    let mut sender = sender(2, 20 * MS, 20 * MS);
    for number in [at(3), FIRST.wrapping_sub(1), FIRST.wrapping_add(i32::MIN)] {
        sender.on_acknowledgment(number, true, 0);
        assert_eq!(sender.unacknowledged(), FIRST);
    }
}
