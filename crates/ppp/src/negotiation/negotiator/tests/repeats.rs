//! When an unanswered request goes out again, by the timer and otherwise

use super::*;

const MS: Duration = Duration::from_millis(1);
const REQUEST: (Code, u8, &[u8]) = (Code::ConfigureRequest, 1, OURS);

/// With the request sent, by a link whose round trip is this
fn requesting(negotiator: Negotiator<Two>, round_trip: Duration) -> Lab {
    let mut lab = Lab::new(negotiator);
    let sent = lab.context.round_trips.stamp(lab.now);
    lab.context.round_trips.answered(lab.now + round_trip, sent);
    lab.command(Negotiator::open);
    lab.command(Negotiator::up);
    assert_eq!(lab.sent().len(), 1);
    lab
}

/// The moments at which the timer sends the request again, in milliseconds
fn repeats(mut lab: Lab, most: usize) -> Vec<u128> {
    let (start, mut moments) = (lab.now, Vec::new());
    while let Some(at) = lab.negotiator.deadline().filter(|_| moments.len() < most) {
        lab.now = at;
        lab.negotiator.handle_timeout(at, &mut lab.context);
        if lab.sent().is_empty() {
            break;
        }
        moments.push((at - start).as_millis());
    }
    moments
}

#[test]
fn early_repeats_are_never_in_step_with_a_timer_of_3_s() {
    for early in [Negotiator::prompted_and_early, Negotiator::overdue_and_early] {
        let moments = repeats(requesting(early(Two::default()), 40 * MS), 99);
        assert_eq!(moments, [1000, 4000, 7000, 10_000, 13_000, 16_000, 19_000, 22_000, 25_000]);
    }
    let moments = repeats(requesting(Negotiator::prompted(Two::default()), 40 * MS), 3);
    assert_eq!(moments, [3000, 6000, 9000], "LCP, and every server");
}

/// Before its answer can have come, a second request would only harm
#[test]
fn a_slow_line_has_two_round_trips_for_the_answer() {
    for (round_trip, expected) in [(700, [1400, 4400]), (2000, [4000, 8000])] {
        let lab = requesting(Negotiator::overdue_and_early(Two::default()), round_trip * MS);
        assert_eq!(repeats(lab, 2), expected, "{round_trip} ms");
    }
}

#[test]
fn a_request_of_the_peer_prompts_ours_when_its_answer_is_overdue() {
    for (after, expected) in [(0, 1), (40, 1), (50, 1), (51, 2), (500, 2)] {
        let mut lab = requesting(Negotiator::overdue_and_early(Two::default()), 40 * MS);
        lab.now += after * MS;
        assert_eq!(lab.receive(Code::ConfigureRequest, 5, GOOD), Ok(None));
        let sent = lab.sent();
        assert_eq!(sent.len(), expected, "{after} ms");
        let first = (sent[0].0, sent[0].1, &sent[0].2[..]);
        assert!(expected == 1 || first == REQUEST, "before the Ack: {sent:?}");
        assert_eq!(sent.last().map(|it| it.0), Some(Code::ConfigureAck));
    }
}

#[test]
fn a_request_that_was_turned_away_is_sent_again_once_and_then_by_the_timer() {
    let mut lab = requesting(Negotiator::prompted_and_early(Two::default()), 40 * MS);
    let ask = |lab: &mut Lab| {
        lab.negotiator.ask_again_if_turned_away(lab.now, &mut lab.context);
        lab.sent().len()
    };
    assert_eq!(ask(&mut lab), 0, "it was not");
    lab.now += 40 * MS;
    assert_eq!(lab.receive(Code::TerminateAck, 77, &[]), Ok(None));
    assert_eq!(ask(&mut lab), 0, "another request was");
    assert_eq!(lab.receive(Code::TerminateAck, 1, &[]), Ok(None));
    assert_eq!((ask(&mut lab), ask(&mut lab)), (1, 0));
    lab.now += 40 * MS;
    assert_eq!(lab.receive(Code::TerminateAck, 1, &[]), Ok(None));
    assert_eq!(ask(&mut lab), 0, "a peer that stays closed is not asked without end");
    assert_eq!(repeats(lab, 1), [920], "1 s after the first time");
}

/// A Terminate-Ack does not answer a request that was sent a moment ago
#[test]
fn a_terminate_ack_to_an_earlier_transmission_says_nothing_of_the_latest() {
    let mut lab = requesting(Negotiator::prompted_and_early(Two::default()), 40 * MS);
    lab.now += 40 * MS;
    lab.receive(Code::ConfigureRequest, 5, GOOD).unwrap();
    assert_eq!(lab.sent().len(), 2, "prompted");
    lab.now += MS;
    assert_eq!(lab.receive(Code::TerminateAck, 1, &[]), Ok(None));
    lab.negotiator.ask_again_if_turned_away(lab.now, &mut lab.context);
    assert!(lab.sent().is_empty());
}

#[test]
fn nothing_is_prompted_of_a_layer_that_is_closing() {
    let mut lab = requesting(Negotiator::prompted(Two::default()), 40 * MS);
    lab.command(Negotiator::close);
    assert_eq!(lab.sent(), [(Code::TerminateRequest, 2, vec![])]);
    lab.negotiator.prompt(lab.now, &mut lab.context);
    assert!(lab.sent().is_empty());
}

#[test]
fn nothing_is_prompted_of_a_layer_that_has_given_up() {
    let mut lab = requesting(Negotiator::prompted(Two::default()), 40 * MS);
    let mut repeats = 0;
    while let Some(at) = lab.negotiator.deadline().filter(|_| repeats < 99) {
        lab.now = at;
        lab.negotiator.handle_timeout(at, &mut lab.context);
        repeats += 1;
    }
    assert_eq!((repeats, lab.sent().len()), (10, 9), "the last time it gives up");
    lab.negotiator.prompt(lab.now, &mut lab.context);
    assert!(lab.sent().is_empty());
}
