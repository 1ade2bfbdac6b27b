//! Some random scenarios, and that a run can be repeated
//!
//! `.ci/run` lives a thousand of them, released: `cargo run --release --example simulate`.

use std::{collections::BTreeSet, num::NonZeroU32};

use pptp_simulation::Scenario;

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

/// The checks can fail: a line on which nobody can connect in a minute, though nothing is wrong
#[test]
fn a_promise_that_is_not_kept_is_told() {
    let mut scenario = Scenario::random(0);
    scenario.mishaps.clear();
    scenario.path.rate = NonZeroU32::new(20);
    let run = scenario.run();
    let told = run.violations.iter().any(|it| it.contains("no connect although all is well"));
    assert!(told, "{:?}", run.violations);
}

fn replay(seed: u64) -> String {
    format!("cargo run --release --example simulate -- --scenarios 1 --seed {seed} --show")
}

const SCENARIOS: u64 = 25;
