//! When a frame counts, and when it turns out to be forged

use super::*;
use crate::tests::epoch;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const TERMINATE: &[u8] = &[5, 7, 0, 7, b'b', b'y', b'e'];
const REQUEST: &[u8] = &[1, 9, 0, 4];

/// One confirmation in virtual time: the moments of its questions, and of what it confirmed
struct Bench {
    confirmation: Confirmation,
    start: Instant,
    now: Instant,
    id: u8,
    asked: Vec<(u128, u8)>,
    confirmed: Vec<(u128, u16, Box<[u8]>)>,
}

impl Bench {
    fn new(round_trip: u64) -> Self {
        let confirmation = Confirmation::new(Some(ms(round_trip)));
        let start = epoch();
        let (asked, confirmed) = (Vec::new(), Vec::new());
        Self { confirmation, start, now: start, id: 250, asked, confirmed }
    }

    fn hold(&mut self, protocol: u16, information: &[u8], sequence: u32) -> bool {
        let alone = protocol == frame::IPCP && information.first() == Some(&1);
        let taken = self.confirmation.hold(self.now, protocol, information, sequence, alone);
        self.settle();
        taken
    }

    /// Does what is due, and asserts that it ends and leaves nothing that is due
    fn settle(&mut self) {
        let at = (self.now - self.start).as_millis();
        for _ in 0..20 {
            match self.confirmation.handle_timeout(self.now) {
                Some(ConfirmationStep::Ask) => {
                    self.id = self.id.wrapping_add(1);
                    self.asked.push((at, self.id));
                    self.confirmation.asked(self.now, self.id);
                }
                Some(ConfirmationStep::Confirmed(frame)) => {
                    self.confirmed.push((at, frame.protocol, frame.information));
                }
                None => {
                    let due = self.confirmation.deadline();
                    assert!(due.is_none_or(|due| due > self.now), "it would be due for ever");
                    return;
                }
            }
        }
        panic!("it does not end");
    }

    /// Until so many milliseconds from the start, from deadline to deadline
    fn run(&mut self, until: u64) {
        let until = self.start + ms(until);
        while let Some(due) = self.confirmation.deadline().filter(|due| *due <= until) {
            self.now = due;
            self.settle();
        }
        self.now = until;
    }

    fn answer(&mut self, id: u8) {
        self.confirmation.answered(id);
        self.settle();
    }
}

#[test]
fn three_questions_without_an_answer_confirm_after_1500_ms() {
    let mut bench = Bench::new(20);
    assert!(bench.hold(frame::LCP, TERMINATE, 10));
    bench.run(60_000);
    assert_eq!(bench.asked, [(0, 251), (200, 252), (400, 253)]);
    assert_eq!(bench.confirmed, [(1500, frame::LCP, TERMINATE.into())]);
    assert!(bench.confirmation.is_empty());
}

#[test]
fn questions_are_two_round_trips_apart_and_each_has_that_time() {
    for (round_trip, interval) in [(150, 300), (600, 1200), (5000, 2000)] {
        let mut bench = Bench::new(round_trip);
        bench.hold(frame::LCP, TERMINATE, 10);
        bench.run(60_000);
        let times: Vec<_> = bench.asked.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [0, interval, 2 * interval], "{round_trip}");
        let confirmed: Vec<_> = bench.confirmed.iter().map(|(at, ..)| *at).collect();
        assert_eq!(confirmed, [(3 * interval).max(1500)], "{round_trip}");
    }
}

#[test]
fn the_answer_to_any_question_refutes_and_an_older_answer_does_not() {
    for answered in [251, 252, 253] {
        let mut bench = Bench::new(20);
        bench.hold(frame::LCP, TERMINATE, 10);
        bench.run(500);
        bench.answer(250);
        assert!(!bench.confirmation.is_empty(), "asked before the frame came");
        bench.answer(answered);
        assert!(bench.confirmation.is_empty(), "{answered}");
        assert_eq!(bench.confirmation.deadline(), None);
    }
}

#[test]
fn a_packet_with_a_later_number_refutes_and_an_earlier_one_does_not() {
    for (base, opened, is_refuted) in
        [(10, 11, true), (10, 10, false), (10, 9, false), (u32::MAX, 0, true), (0, u32::MAX, false)]
    {
        let mut bench = Bench::new(20);
        bench.hold(frame::LCP, REQUEST, base);
        bench.confirmation.opened(opened);
        assert_eq!(bench.confirmation.is_empty(), is_refuted, "{base} {opened}");
    }
}

#[test]
fn a_frame_that_comes_later_has_questions_of_its_own() {
    let mut bench = Bench::new(20);
    bench.hold(frame::IPCP, TERMINATE, 10);
    bench.run(1000);
    bench.hold(frame::LCP, TERMINATE, 11);
    bench.answer(253);
    bench.run(10_000);
    assert_eq!(bench.asked.len(), 6);
    let expected: (u128, u16, Box<[u8]>) = (2500, frame::LCP, TERMINATE.into());
    assert_eq!(bench.confirmed, [expected], "that answer was to a question before it");
}

#[test]
fn the_latest_copy_counts_and_the_first_one_is_timed() {
    let mut bench = Bench::new(20);
    bench.hold(frame::LCP, &[1, 9, 0, 4], 10);
    bench.run(1000);
    bench.hold(frame::LCP, &[1, 10, 0, 4], 11);
    bench.run(10_000);
    let expected: (u128, u16, Box<[u8]>) = (1500, frame::LCP, [1, 10, 0, 4].into());
    assert_eq!((bench.asked.len(), bench.confirmed), (3, vec![expected]));
}

#[test]
fn a_network_protocol_alone_begins_anew_at_the_fourth_request() {
    let mut bench = Bench::new(20);
    for round in 0..4 {
        bench.run(3000 * round);
        assert!(bench.confirmed.is_empty());
        bench.hold(frame::IPCP, REQUEST, 10 + u32::try_from(round).unwrap());
        bench.answer(251);
    }
    bench.run(20_000);
    let expected: (u128, u16, Box<[u8]>) = (9000, frame::IPCP, REQUEST.into());
    assert_eq!(bench.confirmed, [expected]);
    assert!(bench.confirmation.is_empty());
}

#[test]
fn a_network_protocol_alone_does_not_begin_anew_for_less() {
    // CCP, a burst, too few, and one behind which a packet opens
    let mut ccp = Bench::new(20);
    for round in 0..8 {
        ccp.run(3000 * round);
        ccp.hold(frame::CCP, REQUEST, 10);
        ccp.answer(ccp.id);
    }
    let mut burst = Bench::new(20);
    for _ in 0..100 {
        burst.hold(frame::IPCP, REQUEST, 10);
        burst.answer(251);
    }
    let mut few = Bench::new(20);
    for round in 0..3 {
        few.run(3000 * round);
        few.hold(frame::IPCP, REQUEST, 10);
        few.answer(251);
    }
    let mut alive = Bench::new(20);
    for round in 0..8 {
        alive.run(3000 * round);
        alive.hold(frame::IPCP, REQUEST, 10);
        alive.answer(alive.id);
        if round % 3 == 2 {
            alive.confirmation.opened(11);
        }
    }
    for mut bench in [ccp, burst, few, alive] {
        bench.run(60_000);
        assert_eq!(bench.confirmed, []);
        assert!(bench.confirmation.is_empty(), "and it is forgotten");
    }
}

#[test]
fn four_frames_wait_and_no_more() {
    let mut bench = Bench::new(20);
    let codes = [5, 6, 7, 1, 5, 6].map(|code| [code, 1, 0, 4]);
    for (number, code) in codes.iter().enumerate() {
        let protocol = if number < 4 { frame::LCP } else { frame::IPCP };
        assert_eq!(bench.hold(protocol, code, 10), number < 4);
    }
    assert!(bench.hold(frame::LCP, TERMINATE, 12), "a copy needs no room");
    bench.run(10_000);
    assert_eq!(bench.confirmed.len(), 4);
    assert_eq!(bench.asked.len(), 4, "three for all but the first, which had one before");
}

#[test]
fn the_end_of_the_call_takes_last_words_and_no_new_beginning() {
    let mut bench = Bench::new(20);
    bench.hold(frame::LCP, REQUEST, 9);
    assert!(bench.confirmation.take_ending_frame().is_none());
    bench.hold(frame::LCP, TERMINATE, 10);
    let words = bench.confirmation.take_ending_frame().unwrap();
    assert_eq!(*words.information, *TERMINATE);
}

#[test]
fn whoever_slept_asks_again() {
    let mut bench = Bench::new(20);
    bench.hold(frame::LCP, TERMINATE, 10);
    bench.run(400);
    bench.now += Duration::from_hours(1);
    bench.settle();
    assert_eq!((bench.confirmed.len(), bench.asked.len()), (0, 4));
    bench.answer(254);
    assert!(bench.confirmation.is_empty());
}
