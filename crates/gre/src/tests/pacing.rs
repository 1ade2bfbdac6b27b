//! Size of the window to the peer

use super::*;

/// Seals until a pause is asked for; how many that were
fn fill(lab: &mut Lab) -> u32 {
    let mut sealed = 0;
    while lab.session.may_send(lab.now).is_none() {
        assert!(sealed < 100, "no window");
        lab.seal();
        sealed += 1;
    }
    sealed
}

/// Fills the window and has all of it acknowledged 10 ms later; how much fitted into it
fn round(lab: &mut Lab) -> u32 {
    let sealed = fill(lab);
    lab.pass(ms(10));
    let latest = u32::try_from(lab.session.stats().sealed).unwrap() - 1;
    lab.acknowledge(latest);
    sealed
}

#[test]
fn each_full_window_that_is_acknowledged_widens_it_by_one_up_to_the_offer() {
    let mut lab = Lab::new(8);
    let rounds: Vec<_> = (0..7).map(|_| round(&mut lab)).collect();
    assert_eq!(rounds, [4, 5, 6, 7, 8, 8, 8]);
}

#[test]
fn a_timeout_halves_the_window_of_a_peer_that_has_acknowledged() {
    let mut lab = Lab::new(8);
    assert_eq!([round(&mut lab), round(&mut lab)], [4, 5]);
    assert_eq!(fill(&mut lab), 6);
    let (at, _) = lab.session.poll_timeout().unwrap();
    lab.pass(at - lab.now);
    assert_eq!(round(&mut lab), 3);
    assert_eq!(fill(&mut lab), 4, "and it grows on from there");
}

#[test]
fn a_timeout_before_the_first_acknowledgment_was_a_guess_too_short() {
    let mut lab = Lab::new(8);
    lab.seal();
    lab.pass(ms(100));
    assert_eq!(lab.session.stats().timeouts, 1);
    lab.acknowledge(0);
    assert_eq!(fill(&mut lab), 4, "the window that it began with");
}

#[cfg(feature = "server")]
#[test]
fn a_window_counts_from_the_first_number_wherever_that_is() {
    for first in [0, 1, 7, u32::MAX] {
        let mut lab = Lab::new(8);
        lab.session = lab.session.starting_at(first);
        assert_eq!(fill(&mut lab), 4, "half the offer");
    }
}
