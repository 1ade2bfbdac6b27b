//! Frames that do not open: the effects that they may have

use super::*;

/// Leaves this many key changes in the meter
fn leave(receiver: &mut Receiver, tokens: u64) {
    let saved = receiver.decryptor.meter.tokens(receiver.now);
    receiver.decryptor.meter.spend(saved - tokens);
}

/// After three consistent frames the chain is followed, and after sixteen it is followed to its
/// end. Only there the link is known to be beyond recovery.
#[test]
fn forged_frames_that_agree_do_not_end_the_link() {
    let (mut sender, mut receiver) = pair();
    for ahead in 600..700 {
        let frame = forged(sender.sequence + ahead, sender.number + ahead);
        let discard = receiver.receive(&frame).unwrap_err();
        assert!(!discard.is_fatal(), "{ahead}: {discard:?}");
        if ahead == 602 {
            assert_eq!(discard, Discard::Implausible, "the third has a key tried");
        }
    }
    let frame = sender.send();
    assert_eq!(receiver.receive(&frame), Ok(frame.number));
}

/// The carrier decides if a frame is ahead; our own numbers count only if the carrier says it is
/// behind
#[test]
fn an_outage_is_followed_although_the_sequence_numbers_begin_anew() {
    for begin in [0, 1, 0x9000_0000] {
        let (mut sender, mut receiver) = pair();
        sender.lose(1000);
        sender.sequence = begin;
        receiver.highest = None;
        let discards = [(); 2].map(|()| {
            let discard = receiver.receive(&sender.send()).unwrap_err();
            (receiver.highest, discard)
        });
        assert_eq!(discards, [(None, Discard::TooFarAhead); 2]);
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(frame.number), "from {begin}");
    }
}

#[test]
fn a_gap_near_by_takes_as_many_tokens_as_it_has_frames() {
    for (tokens, opens) in [(99, false), (100, true)] {
        let (mut sender, mut receiver) = pair();
        // a frame that does not open leaves its key there, so that this is not the undisturbed path
        assert!(receiver.receive(&forged(sender.sequence, sender.number)).is_err());
        leave(&mut receiver, tokens);
        let before = receiver.decryptor.stats().rekeys;
        sender.lose(100);
        let frame = sender.send();
        let opened = if opens { Ok(frame.number) } else { Err(Discard::OverBudget) };
        assert_eq!(receiver.receive(&frame), opened);
        let rekeys = receiver.decryptor.stats().rekeys - before;
        assert_eq!(rekeys, if opens { 100 } else { 0 }, "the first of 101 keys is there");
    }
}

#[test]
fn a_gap_that_could_not_be_paid_for_is_followed_once_time_has_earned_it() {
    let (mut sender, mut receiver) = pair();
    leave(&mut receiver, 0);
    sender.lose(40);
    let frame = sender.send();
    assert_eq!(receiver.receive(&frame), Err(Discard::OverBudget));
    receiver.now += Duration::from_millis(10);
    assert_eq!(receiver.receive(&frame), Err(Discard::OverBudget), "40 of 41");
    receiver.now += Duration::from_millis(1);
    assert_eq!(receiver.receive(&frame), Ok(frame.number));
}

#[test]
fn nothing_opens_twice_behind_a_pursuit() {
    let (mut sender, mut receiver) = pair();
    let last = sender.send();
    assert_eq!(receiver.receive(&last), Ok(last.number));
    leave(&mut receiver, 0);
    sender.lose(1);
    let near = [sender.send(), sender.send()];
    for frame in &near {
        assert_eq!(receiver.receive(frame), Err(Discard::OverBudget));
    }
    let third = sender.send();
    assert_eq!(
        receiver.receive(&third),
        Ok(third.number),
        "by what each agreeing frame has for free"
    );
    assert_eq!(receiver.receive(&last), Err(Discard::Late));
    for frame in &near {
        assert_eq!(receiver.receive(frame), Ok(frame.number), "which is late now");
        assert_eq!(receiver.receive(frame), Err(Discard::Late));
    }
}

/// Consistent forged frames may make the pursuit pass the genuine ones
#[test]
fn a_frame_behind_where_forged_ones_led_the_chain_opens() {
    let (mut sender, mut receiver) = pair();
    for ahead in 1000..1003 {
        let frame = forged(sender.sequence + 300 + ahead, sender.number + ahead);
        assert!(receiver.receive(&frame).is_err());
    }
    sender.lose(995);
    let opened = [(); 3].map(|()| receiver.receive(&sender.send()));
    let last = sender.number - 1;
    assert_eq!(opened[2], Ok(last), "{opened:?}");
    let frame = sender.send();
    assert_eq!(receiver.receive(&frame), Ok(frame.number), "and so does the next");
}

#[test]
fn each_key_that_is_tried_counts() {
    let (mut sender, mut receiver) = pair();
    let before = receiver.decryptor.stats().keys_tried;
    for tried in 1..=3 {
        receiver.receive(&sender.send()).unwrap();
        assert_eq!(receiver.decryptor.stats().keys_tried, before + tried);
    }
}
