//! Thousands of hours of faults and commands over all deciders at once, by seed, without a task and a clock
//!
//! | module | content |
//! |---|---|
//! | this one | the tests |
//! | `world` | the servers as they are: what fails, who is logged in, which password is right |
//! | `fleet` | the deciders put together as the supervisor has them, with dials that are entries of a queue |
//! | `fleet::dials` | how dials and tunnels begin, pass and end |
//! | `failures` | what they fail by |
//! | `weather` | what happens: faults, commands, clients, by chance |
//! | `checks` | the promises, checked at each step |

mod checks;
mod failures;
mod fleet;
mod weather;
mod world;

use std::time::Duration;

use self::fleet::Fleet;

/// Runs the hours of one seed; all is well again at the end, and then all sites are as they are wanted
fn hours(seed: u64) -> u64 {
    let mut fleet = Fleet::new(seed);
    let hours = if fleet.has_farm() { HOURS / 50 } else { HOURS };
    fleet.run(Duration::from_hours(hours));
    fleet.recover();
    assert!(fleet.ups() > hours, "seed {seed}: {} tunnels came up", fleet.ups());
    fleet.pauses()
}

#[test]
fn whatever_happens_each_promise_is_kept() {
    let pauses: u64 = (0..SEEDS).map(hours).sum();
    assert!(pauses > SEEDS, "{pauses} rollouts paused");
}

#[test]
#[ignore = "twenty times as long"]
fn whatever_happens_for_years_each_promise_is_kept() {
    for seed in SEEDS..SEEDS * 21 {
        hours(seed);
    }
}

const SEEDS: u64 = 6;
const HOURS: u64 = 200;
