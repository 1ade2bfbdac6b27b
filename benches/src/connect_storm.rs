//! What a connect costs its client, many at once
//!
//! Over real sockets, the client in a process of its own, in a network of its own: needs root.

use std::{io, time::Duration};

use pptp_testkit::EchoPolicy;

use crate::{Figure, Goal, idle::process_time, process::Part, servers};

const TUNNELS: u32 = 1000;

/// All figures of connecting
pub fn figures() -> Vec<Figure> {
    match try_measure() {
        Ok(figure) => vec![figure],
        Err(error) => {
            eprintln!("connect_storm: no network of our own, which needs root: {error}");
            Vec::new()
        }
    }
}

fn try_measure() -> io::Result<Figure> {
    let [cpu, user, wall] = Part::start_apart(&format!("storm {TUNNELS}"))?.numbers()?;
    Ok(Figure {
        name: "connect_storm/cpu",
        value: cpu * 1e3,
        goal: Goal::AtMost(1.0),
        detail: format!(
            "ms of the client's processor time for each of {TUNNELS} tunnels, {:.3} of them outside the kernel; all up after {wall:.1} s",
            user * 1e3
        ),
    })
}

/// Starts servers, connects all at once, and says what each took
pub(crate) fn play(tunnels: u32) {
    let servers = servers::start(tunnels + WARM_UP).expect("servers");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let echo = EchoPolicy::default();
        let client = servers::client();
        for tunnel in servers::connect(&client, WARM_UP, 1, echo).await {
            tunnel.close().await;
        }
        let begin = (tokio::time::Instant::now(), process_time(), user_time());
        let all = servers::connect(&client, tunnels, usize::MAX >> 4, echo).await;
        let (cpu, user) = (process_time() - begin.1, user_time() - begin.2);
        let each = |time: Duration| time.as_secs_f64() / f64::from(tunnels);
        println!("{} {} {}", each(cpu), each(user), begin.0.elapsed().as_secs_f64());
        drop(all);
    });
    drop(servers);
}

/// Tunnels whose connects meet code and memory for the first time
const WARM_UP: u32 = 10;

/// What of [`process_time`] was not spent in the kernel, to a hundredth of a second
fn user_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split(' ').nth(12).and_then(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.expect("a number"))
}
