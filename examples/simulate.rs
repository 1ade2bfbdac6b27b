//! Lives random scenarios in the simulated internet, in virtual time
//!
//!     cargo run --release --example simulate -- --scenarios 1000
//!     cargo run --release --example simulate -- --scenarios 1 --seed 42 --show
//!
//! Scenario N is the same wherever and whenever it runs: a failing one is printed with its number, which
//! replays it exactly. Every tenth is run twice, and both runs must have sent the same octets at the same
//! time. After each the heap must hold no more than before.

use std::{alloc::System, process::ExitCode, time::Instant};

use clap::Parser;
use pptp_simulation::{Run, Scenario, Tally};
use pptp_test_support::heap;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Debug, Parser)]
struct Arguments {
    /// How many scenarios to live
    #[arg(long, default_value_t = 1000)]
    scenarios: u64,
    /// The first one's number
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Prints each scenario, and what happened in it
    #[arg(long)]
    show: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let (mut failed, mut up, mut done, mut hours) = (0, 0, 0, 0.0);
    let mut tally = Tally::default();
    // what a first run leaves in the thread is no leak
    Scenario::random(arguments.seed).run();
    for seed in (arguments.seed..).take(usize::try_from(arguments.scenarios).unwrap_or(usize::MAX))
    {
        let scenario = Scenario::random(seed);
        let run = run_scenario(&scenario);
        (up, done) = (up + run.up, done + run.done);
        tally += run.tally;
        hours += run.took.as_secs_f64() / 3600.0;
        if arguments.show || !run.violations.is_empty() {
            print(&scenario, &run);
        }
        failed += u64::from(!run.violations.is_empty());
    }
    println!(
        "{} scenarios from {} on, {failed} failed; {up} tunnels, {done} jobs, {hours:.0} hours in {:.1} s",
        arguments.scenarios,
        arguments.seed,
        began.elapsed().as_secs_f64()
    );
    println!(
        "nothing passed: {} tunnels ended for it, the latest after {:.1} s; silent for more than 20 s: {} never proven, \
         {} without LCP echoes, {} in loss; {} living tunnels lost all echoes of their policy to a lossy path",
        tally.found,
        tally.longest.as_secs_f64(),
        tally.silent_unproven,
        tally.silent_without_echoes,
        tally.silent_in_loss,
        tally.lost_echoes
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A run, and whether it leaves anything and can be repeated
fn run_scenario(scenario: &Scenario) -> Run {
    let before = held();
    let mut run = scenario.run();
    let notes = run.notes.iter().map(|(_, note)| note.capacity()).sum::<usize>();
    let lists = run.notes.capacity() * size_of_val(&run.notes[0])
        + run.violations.iter().map(String::capacity).sum::<usize>()
        + run.violations.capacity() * size_of::<String>();
    let left = held().saturating_sub(before + notes + lists);
    if left > 0 {
        run.violations.push(format!("{left} octets are left on the heap"));
    }
    if scenario.seed.is_multiple_of(10) && scenario.run().digest != run.digest {
        run.violations.push("another run of it was another one".to_owned());
    }
    run
}

/// Octets on the heap
fn held() -> usize {
    heap::held(HEAP)
}

fn print(scenario: &Scenario, run: &Run) {
    println!("{scenario:#?}");
    for (at, note) in &run.notes {
        println!("{:10.3} s  {note}", at.as_secs_f64());
    }
    for violation in &run.violations {
        println!("seed {}: {violation}", scenario.seed);
    }
    println!(
        "replay: cargo run --release --example simulate -- --scenarios 1 --seed {} --show\n",
        scenario.seed
    );
}
