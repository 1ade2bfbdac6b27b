//! What tunnels cost that do nothing: memory, and the processor for their signs of life
//!
//! Over real sockets, the client in a process of its own, in a network of its own: needs root.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use pptp_testkit::EchoPolicy;
use rustix::time::{ClockId, clock_gettime};

use crate::{Figure, Goal, heap, measure::is_quick, process::Part, servers};

/// How much is measured
#[derive(Clone, Copy, Debug)]
struct Scale {
    tunnels: u32,
    /// Of the control connection's echoes, which are a minute apart
    control: Duration,
    /// Of LCP's echoes, and their interval
    lcp: Duration,
    interval: Duration,
}

/// 10,000 tunnels, two minutes
const FULL: Scale = Scale {
    tunnels: GOAL,
    control: Duration::from_mins(1),
    lcp: Duration::from_mins(1),
    interval: LCP_INTERVAL,
};

/// 2,000 tunnels, and LCP's echoes three times as often
const QUICK: Scale = Scale {
    tunnels: 2000,
    control: Duration::from_mins(1),
    lcp: Duration::from_secs(20),
    interval: Duration::from_secs(10),
};

const GOAL: u32 = 10_000;
const LCP_INTERVAL: Duration = Duration::from_secs(30);
/// The state machine's 4 KiB, and what its owner, its task and its TCP socket take
const MOST_HEAP: f64 = 6144.0;
const MIB: f64 = 1024.0 * 1024.0;

/// All figures of idle tunnels
pub fn figures() -> Vec<Figure> {
    match try_measure(if is_quick() { QUICK } else { FULL }) {
        Ok(figures) => figures,
        Err(error) => {
            eprintln!("idle: no network of our own, which needs root: {error}");
            Vec::new()
        }
    }
}

fn try_measure(scale: Scale) -> io::Result<Vec<Figure>> {
    let silent = Sample::take(scale.tunnels, scale.control, Duration::ZERO)?;
    let echoing = Sample::take(scale.tunnels, scale.lcp, scale.interval)?;
    let tunnels = f64::from(scale.tunnels);
    let (all, of_all) = (f64::from(GOAL), f64::from(GOAL) / tunnels);
    let as_often = scale.interval.as_secs_f64() / LCP_INTERVAL.as_secs_f64();
    let each = silent.resident / tunnels;
    let figures = [
        (
            "idle/rss-10000",
            (silent.alone + each * all) / MIB,
            64.0,
            format!("MiB; {:.1} without a tunnel, {each:.0} octets for each", silent.alone / MIB),
        ),
        (
            "idle/heap-per-tunnel",
            silent.heap / tunnels,
            MOST_HEAP,
            "octets on the client's heap, what it keeps beside the state machine included".into(),
        ),
        (
            "idle/cpu",
            silent.cpu * of_all * 100.0,
            1.0,
            "% of a core for 10,000 tunnels; control echoes each 60 s, no LCP echoes".into(),
        ),
        (
            "idle/cpu-lcp-echoes",
            echoing.cpu * of_all * as_often * 100.0,
            2.0,
            "% of a core for 10,000 tunnels; LCP echoes each 30 s".into(),
        ),
    ];
    let scaled = format!("; {tunnels} tunnels measured");
    let figures = figures.into_iter().map(|(name, value, most, detail)| Figure {
        name,
        value,
        goal: Goal::AtMost(most),
        detail: detail + &scaled,
    });
    Ok(figures.collect())
}

/// A client process before and after
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Octets resident before the first tunnel
    alone: f64,
    /// Octets resident for all tunnels
    resident: f64,
    /// Octets of the heap for all tunnels
    heap: f64,
    /// Seconds of processor time in a second
    cpu: f64,
}

impl Sample {
    fn take(tunnels: u32, window: Duration, interval: Duration) -> io::Result<Self> {
        let (window, interval) = (window.as_secs(), interval.as_secs());
        let mut part = Part::start_apart(&format!("idle {tunnels} {window} {interval}"))?;
        let [alone, resident, heap, cpu] = part.numbers()?;
        Ok(Self { alone, resident, heap, cpu })
    }
}

/// Starts servers, connects, and says what that and a time of doing nothing took
pub(crate) fn play(tunnels: u32, window: u32, interval: u32) {
    let servers = servers::start(tunnels).expect("servers");
    servers::real_time().block_on(async {
        let interval = Duration::from_secs(interval.into());
        let echo = EchoPolicy::DEFAULT.silence(interval).interval(interval);
        let client = servers::client();
        let before = (resident(), heap::held());
        let all = servers::connect(&client, tunnels, AT_A_TIME, echo).await;
        tokio::time::sleep(SETTLED).await;
        let more = (resident() - before.0, heap::held() - before.1);
        let begin = (Instant::now(), process_time());
        tokio::time::sleep(Duration::from_secs(window.into())).await;
        let cpu =
            process_time().saturating_sub(begin.1).as_secs_f64() / begin.0.elapsed().as_secs_f64();
        let lost = all.iter().filter(|tunnel| tunnel.state().borrow().is_down()).count();
        assert_eq!(lost, 0, "tunnels ended");
        println!("{} {} {} {cpu}", before.0, more.0, more.1);
    });
    drop(servers);
}

/// Connects at a time
const AT_A_TIME: usize = 100;
/// After it nothing of a connect is left to do
const SETTLED: Duration = Duration::from_secs(3);

/// Octets that the process holds in memory
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.expect("a number") * 4096.0
}

/// Processor time of all threads of this process, that of the kernel included
pub(crate) fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("no process has used less than nothing")
}
