//! The long run in small: a minute of random faults; and one fault that is to be no other than it says.

use std::time::Duration;

use libtest_mimic::Trial;
use pptp_interop::{Lab, Outcome, Soak, trial};
use tokio::time::sleep;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_pause_of_the_guest_is_no_debt_of_a_process_in_it", pause),
        trial("fault_for_a_minute_no_living_tunnel_is_taken_for_dead", minute),
    ]
}

/// Of processes that want all of the processor each has as much as the others, though the guest stood still while one
/// of them ran. Such a debt holds a pptpctrl back for a minute: its tunnel is dead in a building that can be reached.
async fn pause(lab: &Lab) -> Outcome {
    const PAUSE: Duration = Duration::from_secs(8);
    let spin = "setsid bash -c 'while [ $SECONDS -lt 90 ]; do :; done' </dev/null >/dev/null 2>&1";
    let spins = format!("{spin} & echo $!; ").repeat(4);
    // a shell that ends before they have left its output keeps `lab sh` waiting
    let told = lab.shell(&format!("{spins} sleep 1")).await?;
    let processes = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let paused = lab.pause()?;
    sleep(PAUSE).await;
    drop(paused);
    let ask = format!("for p in {processes}; do cat /proc/$p/schedstat; done; kill {processes}");
    let told = lab.shell(&ask).await?;
    let used = told.lines().filter_map(|line| line.split(' ').next()?.parse().ok());
    let used: Vec<_> = used.map(Duration::from_nanos).collect();
    println!("  used of the processor: {used:.1?}");
    assert_eq!(used.len(), 4, "{told}");
    let (least, most) = (used.iter().min().copied(), used.iter().max().copied());
    let debt = most.unwrap_or_default().saturating_sub(least.unwrap_or_default());
    assert!(debt < PAUSE / 2, "{used:?}");
    Ok(())
}

async fn minute(lab: &Lab) -> Outcome {
    Soak::of_minutes(1).run(lab).await
}
