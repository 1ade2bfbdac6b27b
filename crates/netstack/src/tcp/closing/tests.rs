//! Tests of the records of connections that are over

use pptp_packet::VecEgress;

use super::{
    record::{FIN_WAIT_2, TIME_WAIT},
    *,
};
use crate::{engine::Datagram, ip::Endpoint};

fn flow() -> Flow {
    Flow { local: "10.0.0.1:50000".parse().unwrap(), peer: "10.0.0.2:80".parse().unwrap() }
}

fn segment() -> Segment {
    Segment {
        local: flow().local,
        peer: flow().peer,
        syn: false,
        acknowledges: true,
        fin: false,
        rst: false,
        octets: 0,
        sequence: 1000,
        acknowledgment: -5,
        window: 0,
        scale: None,
        most: None,
        sacks: false,
    }
}

/// The peer's next number is 1000
const NUMBERS: FinalNumbers = FinalNumbers { sent: -5, received: 1000, window: 500 };

fn closing(time_wait: bool) -> Closing {
    let mut closing = Closing::default();
    closing.insert(flow(), NUMBERS, time_wait, 0);
    closing
}

const CHALLENGE: Answer = Answer::Acknowledgment(NUMBERS);

#[test]
fn a_fin_is_acknowledged_again_and_again() {
    let mut closing = closing(false);
    let fin = Segment { fin: true, octets: 3, ..segment() };
    let acknowledgment = Answer::Acknowledgment(FinalNumbers { received: 1004, ..NUMBERS });
    assert_eq!(closing.handle(&fin, 0), acknowledgment);
    assert_eq!(closing.handle(&fin, 5), acknowledgment);
    assert_eq!(closing.next(), 5 + TIME_WAIT);
    let mut out = VecEgress::new(1);
    assert!(compose(acknowledgment, &fin, &mut out));
    let answer = Datagram::parse(&out.packets[0]).unwrap().tcp().unwrap();
    assert_eq!((answer.sequence, answer.acknowledgment), (-5, 1004));
    assert!(answer.acknowledges && !answer.rst);
}

#[test]
fn a_fin_with_another_number_moves_nothing() {
    let fin = Segment { fin: true, ..segment() };
    for time_wait in [false, true] {
        for sequence in [998, 1001, 1200, 70_000] {
            let mut closing = closing(time_wait);
            assert_eq!(closing.handle(&Segment { sequence, ..fin }, 0), CHALLENGE);
            assert_eq!(closing.handle(&Segment { sequence, ..fin }, 9), Answer::Nothing, "at once");
            let wait = if time_wait { TIME_WAIT } else { FIN_WAIT_2 };
            assert_eq!(closing.next(), wait);
        }
    }
    let mut closing = closing(true);
    let again = Segment { sequence: 999, ..fin };
    assert_eq!(closing.handle(&again, 5), CHALLENGE, "the FIN itself, once more");
    assert_eq!(closing.next(), 5 + TIME_WAIT);
}

#[test]
fn an_acknowledgment_of_what_was_never_sent_moves_nothing() {
    let fin = Segment { fin: true, ..segment() };
    for acknowledgment in [-4, i32::MAX, i32::MIN] {
        let mut closing = closing(false);
        assert_eq!(closing.handle(&Segment { acknowledgment, ..fin }, 0), CHALLENGE);
        assert_eq!(closing.next(), FIN_WAIT_2);
    }
    assert_eq!(closing(false).handle(&Segment { acknowledges: false, ..fin }, 0), CHALLENGE);
}

#[test]
fn a_reset_ends_with_the_expected_number_only() {
    for time_wait in [false, true] {
        let reset = |sequence| {
            let mut closing = closing(time_wait);
            let segment = Segment { rst: true, acknowledges: false, sequence, ..segment() };
            (closing.handle(&segment, 0), closing.holds(&flow()))
        };
        assert_eq!(reset(1000), (Answer::Nothing, false));
        assert_eq!(reset(1499), (CHALLENGE, true));
        assert_eq!(reset(1500), (Answer::Nothing, true));
        assert_eq!(reset(999), (Answer::Nothing, true));
    }
}

#[test]
fn data_that_nobody_can_read_is_answered_with_a_reset() {
    let mut closing = closing(false);
    let data = Segment { octets: 1, ..segment() };
    assert_eq!(closing.handle(&data, 0), Answer::Reset);
    assert_eq!(closing.handle(&data, 0), Answer::NotOurs, "the record is gone");
    closing.insert(flow(), NUMBERS, true, 0);
    assert_eq!(closing.handle(&data, 0), Answer::Nothing, "data behind the FIN");
}

#[test]
fn a_peer_that_asks_is_answered() {
    let keepalive = Segment { sequence: 999, ..segment() };
    assert_eq!(closing(false).handle(&keepalive, 0), CHALLENGE);
    assert_eq!(closing(false).handle(&segment(), 0), Answer::Nothing);
}

#[test]
fn data_that_came_before_is_acknowledged_once_more() {
    for time_wait in [false, true] {
        let old = Segment { octets: 10, sequence: 990, ..segment() };
        assert_eq!(closing(time_wait).handle(&old, 0), CHALLENGE);
    }
    let beyond = Segment { octets: 10, sequence: 1500, ..segment() };
    assert_eq!(closing(false).handle(&beyond, 0), CHALLENGE, "out of the window");
}

#[test]
fn a_syn_makes_way_for_another_connection() {
    let mut closing = closing(true);
    let syn = Segment { syn: true, acknowledges: false, sequence: 1001, ..segment() };
    assert_eq!(closing.handle(&syn, 0), Answer::Reopens);
    assert_eq!(closing.take(&flow()), Some(-5));
    assert!(!closing.holds(&flow()));
}

#[test]
fn an_old_syn_and_one_before_the_peers_fin_are_challenged() {
    let syn = Segment { syn: true, acknowledges: false, ..segment() };
    for (time_wait, sequence) in [(true, 1000), (true, 5), (false, 1001), (false, 5)] {
        let mut closing = closing(time_wait);
        assert_eq!(closing.handle(&Segment { sequence, ..syn }, 0), CHALLENGE);
        assert!(closing.holds(&flow()));
    }
    let both = Segment { acknowledges: true, sequence: 1001, ..syn };
    assert_eq!(closing(true).handle(&both, 0), CHALLENGE);
}

#[test]
fn challenges_are_a_second_apart() {
    let mut closing = closing(true);
    let syn = Segment { syn: true, acknowledges: false, ..segment() };
    let mut answers = (0..=25).map(|tenth| closing.handle(&syn, tenth * 100_000));
    assert_eq!(answers.by_ref().filter(|answer| *answer == CHALLENGE).count(), 3);
}

#[test]
fn records_are_bounded_and_leave_no_memory() {
    let mut closing = Closing::default();
    for port in 0..1000 {
        let peer = Endpoint::new(flow().peer.address(), port);
        closing.insert(Flow { peer, ..flow() }, NUMBERS, true, 0);
    }
    assert_eq!(closing.records.len(), MAX_RECORDS);
    closing.sweep(TIME_WAIT);
    assert_eq!((closing.records.capacity(), closing.next()), (0, NEVER));
}
