//! Some random scenarios, one of which is repeated
//!
//! `.ci/run` lives a thousand of them, released: `cargo run --release --example simulate`.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use pptp_simulation::{Fault, Job, PolledHost, Polling, Scenario, ServerKind, TimedFault};
use pptp_testkit::{Deafness, Muteness};

#[test]
fn scenarios_hold_what_is_promised() {
    for seed in 0..SCENARIOS {
        let run = Scenario::random(seed).run();
        let violations = run.violations.join("\n");
        assert!(run.violations.is_empty(), "seed {seed}:\n{violations}\n{}", replay(seed));
    }
}

#[test]
fn a_seed_is_the_same_run_each_time_and_another_is_another() {
    let digest = |seed| Scenario::random(seed).run().digest;
    let digests = (0..10).map(digest).collect::<Vec<_>>();
    assert_eq!(digests, (0..10).map(digest).collect::<Vec<_>>());
    assert_eq!(digests.iter().collect::<BTreeSet<_>>().len(), 10);
}

/// The checks can fail: a line on which no client can connect within a minute, though there is no
/// fault
#[test]
fn a_promise_that_is_not_kept_is_told() {
    let mut scenario = Scenario::random(0);
    scenario.faults.clear();
    scenario.path.rate = NonZeroU32::new(20);
    let run = scenario.run();
    let told = run.violations.iter().any(|it| it.contains("no connect although all is well"));
    assert!(told, "{:?}", run.violations);
}

/// A calm scenario but for a server that breaks one direction inside the tunnel after half a minute
fn broken_inside(server: ServerKind, fault: Fault, host: PolledHost) -> Scenario {
    let mut scenario = Scenario::random(0);
    scenario.path.impairment = pptp_testkit::memory::Impairment::default();
    scenario.path.rate = None;
    scenario.server = server;
    scenario.tunnels = vec![vec![Job::Rest(60 * SECOND)]];
    scenario.pollings = vec![Some(Polling { every: SECOND, host })];
    scenario.faults = vec![TimedFault { at: 30 * SECOND, lasts: 100 * SECOND, fault }];
    scenario
}

#[test]
fn a_server_that_breaks_inside_is_left_in_time() {
    let faults = [
        Fault::GoesDeaf(Deafness::ResetRequests),
        Fault::GoesDeaf(Deafness::RejectsMppe),
        Fault::GoesDeaf(Deafness::RejectsRandom),
        Fault::GoesDeaf(Deafness::Silent),
        Fault::GoesMute(Muteness::Silent),
        Fault::GoesMute(Muteness::Garbled),
    ];
    for fault in faults {
        for server in [ServerKind::Ordinary, ServerKind::AnswersNoPing, ServerKind::EchoesOurMagic]
        {
            let run = broken_inside(server, fault, PolledHost::Device).run();
            assert_eq!(run.violations, Vec::<String>::new(), "{fault:?} {server:?}");
            assert!(run.tally.found > 0, "{fault:?} {server:?}");
            assert!(run.tally.longest <= 15 * SECOND, "{fault:?} {server:?} {:?}", run.tally);
        }
    }
}

#[test]
fn a_server_that_cannot_be_proven_is_counted_when_it_breaks_inside() {
    let deaf = Fault::GoesDeaf(Deafness::Silent);
    let run = broken_inside(ServerKind::AnswersNoProof, deaf, PolledHost::Device).run();
    assert_eq!(run.violations, Vec::<String>::new());
    assert_eq!((run.tally.found, run.tally.silent_unproven), (0, 1));
    let run = broken_inside(ServerKind::AnswersNoEcho, deaf, PolledHost::Device).run();
    assert_eq!(run.violations, Vec::<String>::new());
    assert!(run.tally.silent_without_echoes > 0 && run.tally.silent_unproven == 0);
}

#[test]
fn a_user_who_asks_the_dead_ends_no_tunnel() {
    for server in [
        ServerKind::Ordinary,
        ServerKind::AnswersNoPing,
        ServerKind::AnswersNoProof,
        ServerKind::HostsAreDead,
        ServerKind::AnswersNoEcho,
        ServerKind::EchoesOurMagic,
    ] {
        let mut scenario = broken_inside(server, Fault::ClockJump, PolledHost::DeadHost);
        scenario.faults = vec![TimedFault {
            at: 600 * SECOND,
            lasts: SECOND,
            fault: Fault::Impair(scenario.path.impairment),
        }];
        let run = scenario.run();
        assert_eq!((run.violations, run.up), (Vec::new(), 1), "{server:?}");
    }
}

/// The checks can fail: the device is there, but its packets are dropped
#[test]
fn a_silence_that_is_too_long_is_told() {
    let mut scenario =
        broken_inside(ServerKind::AnswersNoProof, Fault::ClockJump, PolledHost::Device);
    // LCP's echoes pass, and no question
    scenario.faults[0].fault = Fault::BlackHole(60);
    let run = scenario.run();
    let told = run.violations.iter().any(|it| it.contains("up and silent for"));
    assert!(told, "{:?}", run.violations);
}

fn replay(seed: u64) -> String {
    format!("cargo run --release --example simulate -- --scenarios 1 --seed {seed} --show")
}

const SCENARIOS: u64 = 25;

const SECOND: Duration = Duration::from_secs(1);
