//! Limits of a stateful receiver

use super::*;

/// A frame of noise that says that it begins a new stream, one behind the next
fn forged(pair: &mut Pair, sequence: u32) -> Discard {
    let mut frame = [&[0x90, 0x01][..], &[0x5A; 60]].concat();
    pair.receiver.open(pair.now, ahead(sequence), &mut frame).unwrap_err()
}

/// The 64th flag frame, and the 65th: each loses all before it
#[test]
fn a_new_stream_is_looked_for_up_to_64_key_changes_on() {
    for (flag_frame, opens) in [(63, true), (64, true), (65, false)] {
        let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
        let number = flag_frame * 256;
        pair.lose(number - 1);
        let opened =
            if opens { Ok(u32::try_from(number).unwrap()) } else { Err(Discard::Implausible) };
        assert_eq!(pair.pass(), opened, "flag frame {flag_frame}");
    }
}

#[test]
fn a_new_stream_is_looked_for_where_the_meter_has_all_that_this_may_cost() {
    // 64 at 4096 a second
    for (micros, discard) in [(15_624, Discard::OverBudget), (15_625, Discard::Implausible)] {
        let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
        for sequence in 0..2048 {
            assert_eq!(forged(&mut pair, sequence), Discard::Implausible);
        }
        assert_eq!(forged(&mut pair, 2048), Discard::OverBudget);
        pair.now += Duration::from_micros(micros);
        assert_eq!(forged(&mut pair, 2049), discard);
    }
}

/// The carrier alone is not enough: its numbers may have begun anew, and frames that are not MPPE
/// have numbers too
#[test]
fn a_frame_is_late_only_if_both_the_carrier_and_our_own_number_say_so() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
    let places = [
        (50, Order::Behind),          // the first one
        (0, Order::Ahead),            // the numbers began anew
        (1, Order::Behind),           // behind an echo
        (0x8000_0000, Order::Behind), // half of the numbers on
    ];
    for (sequence, order) in places {
        let (number, mut frame) = pair.send();
        let opened = pair.receiver.open(pair.now, Arrival { sequence, order }, &mut frame);
        assert_eq!(opened.map(|it| self::number(it.payload)), Ok(number), "{sequence}");
    }
    // the next one opens with any sequence number
    pair.lose(1);
    let (_, mut frame) = pair.send();
    for sequence in [0x8000_0000, 0x7FFF_FFFF, 0] {
        let arrival = Arrival { sequence, order: Order::Behind };
        assert_eq!(pair.receiver.open(pair.now, arrival, &mut frame), Err(Discard::Late));
    }
}

#[test]
fn a_good_frame_halves_the_score() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
    let wrong = |pair: &mut Pair| {
        let mut frame = [0; 32];
        pair.receiver.open(pair.now, ahead(0), &mut frame).unwrap_err()
    };
    for _ in 0..10 {
        assert_eq!(wrong(&mut pair), Discard::NotEncrypted);
    }
    pair.pass().unwrap(); // 1000 becomes 500
    for _ in 0..10 {
        assert_eq!(wrong(&mut pair), Discard::NotEncrypted);
    }
    assert_eq!(wrong(&mut pair), Discard::ScoreLimit);
}

#[test]
fn two_octets_and_less_are_too_short() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
    for octets in [&[][..], &[0x90], &[0x90, 0]] {
        let opened = pair.receiver.open(pair.now, ahead(0), &mut octets.to_vec()).map(drop);
        assert_eq!(opened, Err(Discard::TooShort));
    }
    assert_eq!((pair.receiver.stats().too_short, pair.receiver.poll_timeout()), (3, None));
}

/// A flag frame that is further on opens by itself, so that its number decides alone
#[test]
fn a_flag_frame_opens_where_the_numbers_began_anew_and_a_late_one_costs_nothing() {
    let mut pair = Pair::new(KeyStrength::Bits128, StatefulReset::Rfc);
    pair.pass().unwrap();
    pair.lose(254);
    let (number, mut frame) = pair.send();
    let rekeys = pair.receiver.stats().rekeys;
    let late = Arrival { sequence: 0, order: Order::Behind };
    assert_eq!(pair.receiver.open(pair.now, late, &mut frame.clone()), Err(Discard::Late));
    assert_eq!(pair.receiver.stats().rekeys, rekeys, "no key was looked for");
    let opened = pair.receiver.open(pair.now, ahead(0), &mut frame);
    assert_eq!(opened.map(|it| self::number(it.payload)), Ok(number));
}
