//! What a session tells of itself, and of a datagram

use super::*;

#[test]
fn the_highest_number_is_the_one_committed_last_ahead() {
    let mut lab = Lab::new(WINDOW);
    assert_eq!((lab.session.highest(), lab.session.peer_call_id()), (None, PEER_CALL_ID));
    for (sequence, highest) in [(u32::MAX - 1, u32::MAX - 1), (1, 1), (0, 1), (u32::MAX, 1)] {
        lab.accept(sequence);
        assert_eq!(lab.session.highest(), Some(highest), "after {sequence}");
    }
}

#[test]
fn a_new_base_is_told_as_one_and_nothing_else_is() {
    let mut lab = Lab::with_highest(10);
    let new_base = |lab: &mut Lab, sequence| {
        lab.session.check(&numbered(sequence)).is_ok_and(|verdict| verdict.is_new_base())
    };
    assert!(!new_base(&mut lab, 11));
    assert!(!new_base(&mut lab, 9));
    let far = 1 << 20;
    for sequence in far..far + 7 {
        let _ = lab.session.check(&numbered(sequence)).unwrap();
    }
    assert!(new_base(&mut lab, far + 7), "the eighth in sequence");
}

/// Some real servers never acknowledge anything
#[cfg(feature = "server")]
#[test]
fn a_forgotten_acknowledgment_is_owed_no_longer() {
    let mut lab = Lab::new(WINDOW);
    lab.accept(0);
    lab.session.forget_acknowledgment();
    lab.pass(ms(1000));
    assert_eq!((lab.acknowledgment(), lab.session.poll_timeout()), (None, None));
    assert_eq!(lab.seal().acknowledgment, None);
    lab.accept(1);
    assert_eq!(lab.seal().acknowledgment, Some(1), "the next one is owed as ever");
}
