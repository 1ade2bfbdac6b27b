use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    flapping::{MIN_UPS, SPAN},
    *,
};
use crate::decide::phase::Then;

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

const fn up(since: Instant) -> Phase {
    Phase::Up { since, is_renegotiating: false, redials: false, last_use: since }
}

const fn hanging_up(why: HangUp) -> Phase {
    Phase::HangingUp { why, then: Then::Rest }
}

/// Lets a tunnel come up, and end for this reason a second later
fn come_and_go(health: &mut Health, now: Instant, why: HangUp) {
    health.handle_timeout(now, || None);
    health.handle_phase(now, &Phase::Dialling);
    health.handle_phase(now, &up(now));
    let later = now + Duration::from_secs(1);
    health.handle_phase(later, &up(now));
    health.handle_phase(later, &hanging_up(why));
    health.handle_phase(later, &Phase::Resting);
}

#[test]
fn four_ups_within_an_hour_are_flapping_and_it_ends_when_an_hour_has_fewer() {
    let begin = start();
    let minutes = |count| begin + Duration::from_mins(count);
    let mut health = Health::default();
    for (minute, fact) in
        [(0, None), (20, None), (40, None), (58, Some(Fact::FlappingBegan)), (59, None)]
    {
        come_and_go(&mut health, minutes(minute), HangUp::Failed);
        assert_eq!(health.poll_fact(), fact, "{minute}");
    }
    // of 20, 40, 58 and 59
    assert_eq!((health.is_flapping(), health.poll_timeout()), (true, Some(minutes(80))));
    health.handle_timeout(minutes(79), || None);
    assert!(health.is_flapping());
    health.handle_timeout(minutes(80), || None);
    assert_eq!(health.poll_fact(), Some(Fact::FlappingEnded));
    assert_eq!((health.is_flapping(), health.poll_timeout()), (false, None));
    come_and_go(&mut health, minutes(90), HangUp::Failed);
    assert_eq!(health.poll_fact(), Some(Fact::FlappingBegan), "with 40, 58 and 59");
}

#[test]
fn an_up_after_a_hang_up_on_purpose_is_no_flapping() {
    let begin = start();
    for why in [HangUp::Idle, HangUp::Down, HangUp::Config, HangUp::Restart] {
        let mut health = Health::default();
        for minute in 0..30 {
            come_and_go(&mut health, begin + Duration::from_mins(minute), why);
        }
        assert_eq!((health.is_flapping(), health.poll_fact()), (false, None), "{why:?}");
    }
}

#[test]
fn a_tunnel_that_negotiates_anew_came_up_once() {
    let begin = start();
    let mut health = Health::default();
    for second in 0..20 {
        let phase = Phase::Up {
            since: begin,
            is_renegotiating: second % 2 == 1,
            redials: false,
            last_use: begin,
        };
        health.handle_phase(begin + Duration::from_secs(second), &phase);
    }
    assert_eq!((health.is_flapping(), health.flapping.kept()), (false, 1));
}

#[test]
fn at_random_flapping_is_what_the_ups_of_the_last_hour_say() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut health, mut now, mut ups, mut is_on) = (Health::default(), start(), vec![], false);
        for _ in 0..200 {
            now += Duration::from_secs(rng.random_range(2..2400));
            while let Some(at) = health.poll_timeout().filter(|at| *at <= now) {
                health.handle_timeout(at, || None);
                assert!(health.poll_timeout() > Some(at) || health.poll_timeout().is_none());
                assert_eq!(health.poll_fact(), Some(Fact::FlappingEnded), "seed {seed}");
                is_on = false;
            }
            come_and_go(&mut health, now, HangUp::Failed);
            ups.push(now);
            let recent = ups.iter().filter(|up| now - **up < SPAN).count();
            assert_eq!(health.is_flapping(), recent >= MIN_UPS, "seed {seed}");
            let fact = (health.is_flapping() && !is_on).then_some(Fact::FlappingBegan);
            assert_eq!((health.poll_fact(), health.poll_fact()), (fact, None), "seed {seed}");
            is_on = health.is_flapping();
            assert!(health.flapping.kept() <= MIN_UPS);
        }
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A site with a probe whose tunnel has just come up
fn probed(begin: Instant) -> Health {
    let mut health = Health::new(true);
    health.handle_phase(begin, &up(begin));
    health
}

/// Lets time pass until the next probe begins; returns its number and the time since `now`
fn next(
    health: &mut Health,
    now: Instant,
    last_received: impl Fn(Instant) -> Instant,
) -> (u64, Duration) {
    for _ in 0..100 {
        let at = health.poll_timeout().expect("a probe is to come").max(now);
        health.handle_timeout(at, || Some(last_received(at)));
        if let Some(number) = health.poll_probe() {
            health.handle_begun(at, number);
            return (number, at - now);
        }
    }
    panic!("no probe within a hundred deadlines");
}

/// Answers a probe that begins now, 100 ms later
fn answer(health: &mut Health, begun: Instant, number: u64, result: Result<(), &str>) {
    health.handle_result(begun + Duration::from_millis(100), number, result.map_err(str::to_owned));
}

#[test]
fn a_device_is_asked_at_once_each_minute_in_traffic_and_after_thirty_seconds_of_silence() {
    let mut now = start();
    let mut health = probed(now);
    let (number, first) = next(&mut health, now, |at| at);
    assert_eq!((number, first), (1, Duration::ZERO));
    answer(&mut health, now, number, Ok(()));
    let (number, busy) = next(&mut health, now, |at| at);
    assert_eq!((number, busy), (2, seconds(60)), "traffic all the time");
    now += busy;
    answer(&mut health, now, number, Ok(()));
    let answered = now + Duration::from_millis(100);
    let (number, silent) = next(&mut health, now, |_| answered);
    assert_eq!((number, silent), (3, Duration::from_millis(30_100)), "nothing since the answer");
    now += silent;
    answer(&mut health, now, number, Ok(()));
    let last = now + seconds(12);
    let (_, silent) = next(&mut health, now, |_| last);
    assert_eq!(silent, seconds(42), "something 12 s after the question");
}

#[test]
fn three_failures_in_a_row_are_told_and_one_answer_ends_it() {
    let mut now = start();
    let mut health = probed(now);
    let mut facts = Vec::new();
    let results = [
        Err("a"),
        Err("b"),
        Ok(()),
        Err("c"),
        Err("d"),
        Err("e"),
        Err("f"),
        Ok(()),
        Err("g"),
        Ok(()),
    ];
    for (turn, result) in results.into_iter().enumerate() {
        let (number, after) = next(&mut health, now, |at| at);
        let expected = match turn.checked_sub(1).map(|before| results[before]) {
            None => 0,
            Some(Ok(())) => 60,
            Some(Err(_)) => 10,
        };
        assert_eq!(after, seconds(expected), "{turn}");
        now += after;
        answer(&mut health, now, number, result);
        facts.extend(health.poll_fact().map(|fact| (turn, fact)));
        let status = health.results().unwrap();
        assert_eq!(status.is_ok, !(5..=6).contains(&turn), "{turn}");
    }
    let failed = Fact::ProbeFailed("e".to_owned());
    assert_eq!(facts, [(5, failed), (7, Fact::ProbeAnswered)]);
    let status = health.results().unwrap();
    assert_eq!((status.last_error.as_deref(), status.failures), (Some("g"), 0));
}

#[test]
fn a_tunnel_that_ends_takes_its_probe_with_it_and_a_device_that_failed_stays_so() {
    let mut now = start();
    let mut health = probed(now);
    for _ in 0..2 {
        let (number, after) = next(&mut health, now, |at| at);
        now += after;
        answer(&mut health, now, number, Err("no answer"));
    }
    let (third, after) = next(&mut health, now, |at| at);
    now += after;
    health.handle_phase(now, &hanging_up(HangUp::Failed));
    assert_eq!(health.poll_timeout(), None, "nothing is asked without a tunnel");
    answer(&mut health, now, third, Err("reset"));
    assert_eq!(health.results().unwrap().failures, 0, "it may have been the line");
    // the next tunnel is up at once, but the latest question is not so old
    health.handle_phase(now + seconds(2), &up(now + seconds(2)));
    answer(&mut health, now + seconds(2), third, Err("late"));
    assert_eq!(health.results().unwrap().failures, 0);
    for failures in 1..=3 {
        let (number, after) = next(&mut health, now, |at| at);
        assert_eq!(after, seconds(10));
        now += after;
        answer(&mut health, now, number, Err("no answer"));
        assert_eq!(health.results().unwrap().failures, failures);
    }
    assert!(matches!(health.poll_fact(), Some(Fact::ProbeFailed(_))));
    health.handle_phase(now, &hanging_up(HangUp::Failed));
    health.handle_phase(now + seconds(60), &up(now + seconds(60)));
    assert!(!health.results().unwrap().is_ok);
    let (number, after) = next(&mut health, now, |at| at);
    assert_eq!(after, seconds(60), "as soon as it is up");
    answer(&mut health, now + after, number, Ok(()));
    assert_eq!(health.poll_fact(), Some(Fact::ProbeAnswered));
}

#[test]
fn a_probe_whose_task_is_lost_has_failed() {
    let now = start();
    let mut health = probed(now);
    assert_eq!(next(&mut health, now, |at| at).0, 1);
    let (second, after) = next(&mut health, now, |at| at);
    assert_eq!((second, after, health.results().unwrap().failures), (2, seconds(10), 1));
}

#[test]
fn a_probe_may_wait_for_those_of_other_sites_and_its_time_begins_after_that() {
    let now = start();
    let mut health = probed(now);
    health.handle_timeout(now, || None);
    assert_eq!((health.poll_probe(), health.poll_probe()), (Some(1), None));
    assert_eq!(health.poll_timeout(), None, "it waits as long as it has to");
    let begun = now + seconds(40);
    health.handle_begun(begun, 1);
    assert_eq!(health.poll_timeout(), Some(begun + seconds(6)));
    answer(&mut health, begun, 1, Err("no answer"));
    let (second, after) = next(&mut health, begun, |at| at);
    assert_eq!((second, after), (2, seconds(10)));
    health.handle_begun(begun + after, 1);
    answer(&mut health, begun + after, 1, Ok(()));
    assert_eq!(health.results().unwrap().failures, 1, "the first one is over");
}

#[test]
fn another_probe_begins_anew_and_none_asks_nothing() {
    let now = start();
    let mut health = probed(now);
    let (first, _) = next(&mut health, now, |at| at);
    health.handle_probe(now + seconds(1), true);
    answer(&mut health, now + seconds(1), first, Err("of the one before"));
    assert_eq!(health.results(), None);
    let (second, after) = next(&mut health, now + seconds(1), |at| at);
    assert_eq!((second, after), (2, Duration::ZERO));
    answer(&mut health, now + seconds(1), first, Err("of the one before"));
    answer(&mut health, now + seconds(1), second, Ok(()));
    assert!(health.results().is_some_and(|results| results.last_error.is_none()));
    health.handle_probe(now + seconds(2), false);
    assert_eq!((health.poll_probe(), health.poll_timeout(), health.results()), (None, None, None));
}

/// The rules of probes, at random times
#[test]
fn at_random_probes_are_ten_seconds_apart_and_one_at_a_time_while_packets_pass() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut health, mut now) = (Health::new(true), start());
        let (mut under_way, mut latest, mut is_up) = (None, None, false);
        let mut degraded = false;
        for _ in 0..500 {
            let step = now + Duration::from_millis(rng.random_range(0..20_000));
            while let Some(at) = health.poll_timeout().filter(|at| *at <= step) {
                health.handle_timeout(at, || Some(at));
                let stays = health.poll_timeout().is_some_and(|next| next <= at);
                assert!(!stays, "seed {seed}: a deadline that stays");
                if under_way.is_some_and(|(_, begun)| at - begun >= seconds(6)) {
                    under_way = None;
                }
                if let Some(number) = health.poll_probe() {
                    health.handle_begun(at, number);
                    assert!(is_up && under_way.is_none(), "seed {seed}");
                    assert!(latest.is_none_or(|latest| at - latest >= seconds(10)), "seed {seed}");
                    (under_way, latest) = (Some((number, at)), Some(at));
                }
            }
            now = step;
            match rng.random_range(0..6) {
                0 => {
                    is_up = !is_up;
                    let phase = if is_up { up(now) } else { hanging_up(HangUp::Failed) };
                    health.handle_phase(now, &phase);
                    under_way = None;
                }
                1 => {
                    let renegotiating = Phase::Up {
                        since: now,
                        is_renegotiating: true,
                        redials: false,
                        last_use: now,
                    };
                    (is_up, under_way) = (false, None);
                    health.handle_phase(now, &renegotiating);
                }
                _ => {
                    if let Some((number, _)) = under_way.take() {
                        let result = if rng.random() { Ok(()) } else { Err("no".to_owned()) };
                        health.handle_result(now, number, result);
                    }
                }
            }
            while let Some(fact) = health.poll_fact() {
                let failed = matches!(fact, Fact::ProbeFailed(_));
                if failed || fact == Fact::ProbeAnswered {
                    assert_ne!(failed, degraded, "seed {seed}: told twice");
                    degraded = failed;
                }
            }
            assert_eq!(health.results().is_some_and(|it| !it.is_ok), degraded, "seed {seed}");
        }
    }
}
