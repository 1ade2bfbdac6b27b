//! Facts that a session reports about itself

use super::*;

#[test]
fn the_highest_number_is_the_highest_one_committed() {
    let mut lab = Lab::new(WINDOW);
    assert_eq!(lab.check(7), Ok((Order::Ahead, Requirement::AcceptedPayload)));
    assert_eq!(lab.session.highest(), None, "a verdict alone counts for nothing");
    for (sequence, highest) in [(7, 7), (9, 9), (8, 9), (u32::MAX, 9)] {
        lab.accept(sequence);
        assert_eq!(lab.session.highest(), Some(highest));
    }
}

#[test]
fn the_peers_call_id_is_the_one_that_our_datagrams_carry() {
    let mut lab = Lab::new(WINDOW);
    assert_eq!((lab.session.peer_call_id(), lab.seal().call_id), (PEER_CALL_ID, PEER_CALL_ID));
}

#[test]
fn only_a_number_that_the_others_are_counted_from_is_a_new_base() {
    let mut lab = Lab::with_highest(10);
    let base = 1 << 20;
    let mut is_new_base =
        |sequence| lab.session.check(&numbered(sequence)).is_ok_and(|it| it.is_new_base());
    assert!(![11, 9, 10 - 6001_i32].into_iter().any(|it| is_new_base(it.cast_unsigned())));
    assert!(is_new_base(base), "if MPPE opens it");
    assert!((base + 1..base + 8).all(&mut is_new_base));
}

/// Some real servers never acknowledge anything
#[cfg(feature = "server")]
#[test]
fn an_acknowledgment_that_was_forgotten_is_owed_no_longer() {
    let mut lab = Lab::new(WINDOW);
    lab.accept(0);
    lab.accept(1);
    lab.session.forget_acknowledgment();
    assert_eq!((lab.acknowledgment(), lab.session.poll_timeout()), (None, None));
    assert_eq!(lab.seal().acknowledgment, None);
    lab.accept(2);
    assert_eq!(lab.seal().acknowledgment, Some(2), "the next one is owed as ever");
}

#[test]
fn a_number_that_is_spent_may_be_checked_again_and_counts_once() {
    let mut lab = Lab::new(WINDOW);
    for sequence in [0, 1, 3] {
        lab.accept(sequence);
    }
    let missing = lab.session.stats().missing;
    let verdict = Session::check_again(1);
    assert_eq!(verdict.sequence, 1);
    assert_eq!(
        (verdict.order, verdict.requirement),
        (Order::Behind, Requirement::DecryptedPayload)
    );
    lab.session.commit(lab.now, verdict);
    assert_eq!((lab.session.stats().late, lab.session.stats().missing), (0, missing));
    assert_eq!(lab.session.highest(), Some(3));
}
