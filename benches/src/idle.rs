//! What tunnels cost that do nothing: memory, and the processor for their signs of life
//!
//! Over real sockets, the client in a process of its own, in a network of its own: needs root.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use pptp_testkit::EchoPolicy;
use rustix::time::{ClockId, clock_gettime};

use crate::{Figure, Goal, process::Part, servers};

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
    control: Duration::from_secs(60),
    lcp: Duration::from_secs(60),
    interval: LCP_INTERVAL,
};

/// 2,000 tunnels, and LCP's echoes three times as often
const QUICK: Scale = Scale {
    tunnels: 2000,
    control: Duration::from_secs(60),
    lcp: Duration::from_secs(20),
    interval: Duration::from_secs(10),
};

const GOAL: u32 = 10_000;
const LCP_INTERVAL: Duration = Duration::from_secs(30);
const MIB: f64 = 1024.0 * 1024.0;

/// All figures of idle tunnels
pub fn figures() -> Vec<Figure> {
    measure(FULL)
}

/// The same in less than two minutes, with a fifth of the tunnels
pub fn quick_figures() -> Vec<Figure> {
    measure(QUICK)
}

fn measure(scale: Scale) -> Vec<Figure> {
    match try_measure(scale) {
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
    let times = f64::from(GOAL) / f64::from(scale.tunnels);
    let scaled = if scale.tunnels == GOAL {
        String::new()
    } else {
        format!("; measured with {} tunnels and scaled", scale.tunnels)
    };
    let each = (silent.up - silent.before) / f64::from(scale.tunnels);
    let rss = silent.before + each * f64::from(GOAL);
    let cpu = silent.cpu * times;
    // control echoes are rare enough for those of a short window to count as a part of them
    let rate = scale.interval.as_secs_f64() / LCP_INTERVAL.as_secs_f64();
    let lcp_cpu = echoing.cpu * times * rate;
    Ok(vec![
        Figure {
            name: "idle/rss-10000",
            value: rss / MIB,
            goal: Goal::AtMost(64.0),
            detail: format!(
                "MiB resident; {:.1} MiB without a tunnel, {each:.0} octets for each{scaled}",
                silent.before / MIB
            ),
        },
        Figure {
            name: "idle/cpu",
            value: cpu * 100.0,
            goal: Goal::AtMost(1.0),
            detail: format!("% of a core; control echoes each 60 s, no LCP echoes{scaled}"),
        },
        Figure {
            name: "idle/cpu-lcp-echoes",
            value: lcp_cpu * 100.0,
            goal: Goal::AtMost(2.0),
            detail: format!("% of a core; LCP echoes each 30 s{scaled}"),
        },
    ])
}

/// Of one client process
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Octets resident before the first tunnel, and with all
    before: f64,
    up: f64,
    /// Seconds of processor time in a second
    cpu: f64,
}

impl Sample {
    fn take(tunnels: u32, window: Duration, interval: Duration) -> io::Result<Self> {
        let (window, interval) = (window.as_secs(), interval.as_secs());
        let mut part = Part::start_apart(&format!("idle {tunnels} {window} {interval}"))?;
        let [before, up, cpu] = part.numbers()?;
        Ok(Self { before, up, cpu })
    }
}

/// Starts servers, connects, and says what that and a time of doing nothing took
pub(crate) fn play(tunnels: u32, window: u32, interval: u32) {
    let servers = servers::start(tunnels).expect("servers");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let interval = Duration::from_secs(interval.into());
        let echo = EchoPolicy { silence: interval, interval, ..EchoPolicy::default() };
        let client = servers::client();
        let before = resident();
        let all = servers::connect(&client, tunnels, AT_A_TIME, echo).await;
        tokio::time::sleep(SETTLED).await;
        let up = resident();
        let begin = (Instant::now(), process_time());
        tokio::time::sleep(Duration::from_secs(window.into())).await;
        let cpu = (process_time() - begin.1).as_secs_f64() / begin.0.elapsed().as_secs_f64();
        let lost = all.iter().filter(|tunnel| tunnel.state().borrow().is_down()).count();
        assert_eq!(lost, 0, "tunnels ended");
        println!("{before} {up} {cpu}");
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
