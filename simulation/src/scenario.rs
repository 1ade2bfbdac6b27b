//! Scenarios: plain data, all of it from one number

use std::{num::NonZeroU32, time::Duration};

use pptp::config::EchoPolicy;
use pptp_testkit::{ServerOrder, memory::Impairment};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    Fault, Job, Polling, ServerKind,
    draw::{impairment, milliseconds, one_of, seconds},
};

/// A client, a server, the path between them, the faults, and the client's jobs
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The seed of all other fields, and of every random choice of the run
    pub seed: u64,
    /// The path, without the faults
    pub path: Path,
    /// The real server that is copied
    pub order: ServerOrder,
    /// The kind of the server: its lasting faults
    pub server: ServerKind,
    /// The rule by which the client takes the server for dead
    pub echo: EchoPolicy,
    /// The time limit of a connect
    pub connect_timeout: Duration,
    /// The jobs of each of the client's tunnels, one after the other, over and over
    pub tunnels: Vec<Vec<Job>>,
    /// The questions of each tunnel's user beside the jobs
    pub pollings: Vec<Option<Polling>>,
    /// Faults, each with its time
    pub faults: Vec<TimedFault>,
    /// The way in which it ends
    pub ending: Ending,
}

/// The path between client and server
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// The time from client to server
    pub there: Duration,
    /// The time from server to client, no less than `there`
    pub back: Duration,
    /// Impairment of GRE on the path
    pub impairment: Impairment,
    /// The rate of each host's line in octets a second
    pub rate: Option<NonZeroU32>,
    /// True if a NAT hides the client, and rewrites its Call IDs
    pub nat: bool,
}

/// A fault that lasts for a while
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimedFault {
    /// Its begin, after that of the scenario
    pub at: Duration,
    /// The time for which it lasts
    pub lasts: Duration,
    /// The fault
    pub fault: Fault,
}

/// Ways in which a scenario ends
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Each tunnel is closed, and the client waits for that
    Close,
    /// The handles of all tunnels are dropped
    Drop,
    /// The server hangs up all clients
    ServerHangsUp,
}

impl Scenario {
    /// The scenario with this number
    pub fn random(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rng = &mut rng;
        let calm = rng.random_bool(0.1);
        let faults = if calm { 0 } else { rng.random_range(0..=4) };
        let mut scenario = Self {
            seed,
            path: Path::random(rng, calm),
            order: one_of(rng, &[ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras]),
            server: ServerKind::Ordinary,
            echo: echo(rng),
            connect_timeout: seconds(rng, 5..=60),
            tunnels: (0..rng.random_range(1..=3)).map(|_| jobs(rng)).collect(),
            pollings: Vec::new(),
            faults: (0..faults).map(|_| TimedFault::random(rng)).collect(),
            ending: one_of(rng, &[Ending::Close, Ending::Drop, Ending::ServerHangsUp]),
        };
        scenario.draw_insides(calm);
        scenario
    }

    /// Draws the parts that concern the inside of the tunnels, from a generator of their own
    fn draw_insides(&mut self, calm: bool) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ INSIDE_SEED);
        let rng = &mut rng;
        self.server = ServerKind::random(rng);
        if self.path.there + self.path.back < MIN_ROUND_TRIP && self.server == ServerKind::SlowStart
        {
            self.server = ServerKind::Ordinary;
        }
        self.pollings = self.tunnels.iter().map(|_| Polling::random(rng)).collect();
        if !calm && rng.random_bool(0.5) {
            let faults = (0..rng.random_range(1..=2)).map(|_| TimedFault::inside(rng));
            self.faults.extend(faults);
        }
    }

    /// Returns true if the scenario has no faults and no losses, so that nothing may go wrong
    pub fn is_calm(&self) -> bool {
        let Impairment { loss_per_mille, corrupt_per_mille, .. } = self.path.impairment;
        self.faults.is_empty() && loss_per_mille == 0 && corrupt_per_mille == 0
    }

    /// Returns true if datagrams arrive in the order in which they are sent, and once
    ///
    /// Otherwise the first packet may overtake the answer that lets the server take it.
    pub fn keeps_order(&self) -> bool {
        let Impairment { jitter, held_per_mille, duplicate_per_mille, .. } = self.path.impairment;
        jitter.is_zero() && held_per_mille == 0 && duplicate_per_mille == 0
    }

    /// Returns true if octets change on the way
    pub fn corrupts(&self) -> bool {
        let impairments = self.faults.iter().filter_map(|timed| match timed.fault {
            Fault::Impair(impairment) => Some(impairment),
            _ => None,
        });
        let mut all = impairments.chain([self.path.impairment]);
        all.any(|impairment| impairment.corrupt_per_mille > 0)
    }

    /// The largest share of datagrams that is lost or damaged each way
    fn worst_loss(&self) -> f64 {
        let impairments = self.faults.iter().filter_map(|timed| match timed.fault {
            Fault::Impair(impairment) => Some(impairment),
            _ => None,
        });
        let all = impairments.chain([self.path.impairment]);
        let lost = all.map(|it| it.loss_per_mille + it.corrupt_per_mille).max();
        f64::from(lost.unwrap_or_default()) / 1000.0
    }

    /// Returns true if it may take more than 20 s to tell a dead server from a dead line: more than
    /// one in fifty datagrams is lost, or some are damaged
    pub(crate) fn is_lossy(&self) -> bool {
        self.worst_loss() > 0.02 || self.corrupts()
    }

    /// Returns true if the path loses all echoes of the policy in more than one of a million
    /// silences
    pub(crate) fn may_lose_all_echoes(&self) -> bool {
        let lost = 2.0 * self.worst_loss();
        lost.powi(i32::from(self.echo.unanswered)) > 1e-6
    }

    /// The end of the last fault
    pub fn calms_down_at(&self) -> Duration {
        let over = self.faults.iter().map(|timed| timed.at + timed.lasts);
        over.max().unwrap_or_default().max(MIN_DURATION)
    }

    /// The longest time in which a server that is gone may go unnoticed
    ///
    /// It is noticed by LCP's echoes, or by those of the control connection: a minute of silence,
    /// and another one.
    pub fn detection(&self) -> Duration {
        let by_control = Duration::from_mins(2);
        let EchoPolicy { silence, interval, unanswered, .. } = self.echo;
        let by_link = silence + interval * u32::from(unanswered);
        let has_echoes = !silence.is_zero() && self.server.answers_echoes();
        let detection = if has_echoes { by_control.min(by_link) } else { by_control };
        // a frame on its way when the server went, a repeated one behind it, and whole milliseconds
        detection
            + self.path.back
            + self.path.impairment.jitter
            + self.path.impairment.hold.1
            + QUEUE_TIME
    }
}

impl Path {
    fn random(rng: &mut StdRng, calm: bool) -> Self {
        let there = milliseconds(rng, &[0, 1, 5, 20, 50, 100, 250]);
        Self {
            there,
            back: there + milliseconds(rng, &[0, 0, 1, 10, 50]),
            impairment: impairment(rng, calm),
            rate: one_of(rng, &[None, NonZeroU32::new(125_000), NonZeroU32::new(1_000_000)]),
            nat: rng.random_bool(0.25),
        }
    }
}

impl TimedFault {
    /// A fault inside the tunnels, for a while or nearly until the end
    fn inside(rng: &mut StdRng) -> Self {
        let at = Duration::from_millis(rng.random_range(0..120_000));
        let lasts = one_of(rng, &[5000, 20_000, 60_000, 200_000]);
        Self { at, lasts: Duration::from_millis(lasts), fault: Fault::inside(rng) }
    }

    fn random(rng: &mut StdRng) -> Self {
        let at = Duration::from_millis(rng.random_range(0..120_000));
        let lasts = one_of(rng, &[100, 1000, 5000, 20_000, 60_000, 200_000]);
        Self { at, lasts: Duration::from_millis(lasts), fault: Fault::random(rng) }
    }
}

fn echo(rng: &mut StdRng) -> EchoPolicy {
    let default = EchoPolicy::default();
    match rng.random_range(0..4) {
        0 => default.silence(Duration::ZERO),
        1 => {
            let (silence, interval) = (seconds(rng, 2..=10), seconds(rng, 2..=5));
            EchoPolicy::DEFAULT
                .silence(silence)
                .interval(interval)
                .unanswered(rng.random_range(1..=5))
        }
        _ => default,
    }
}

fn jobs(rng: &mut StdRng) -> Vec<Job> {
    (0..rng.random_range(1..=4)).map(|_| Job::random(rng)).collect()
}

/// The shortest round trip with a busy accel-ppp; over a shorter one it is deaf to nearly all dials
const MIN_ROUND_TRIP: Duration = Duration::from_millis(2);

/// Makes another random generator of a scenario's seed
const INSIDE_SEED: u64 = 0x1951_DE5A_11E5_0F17;

/// The shortest scenario, in which its tunnels are used
const MIN_DURATION: Duration = Duration::from_mins(1);

/// Time for datagrams in the queue of a slow line
const QUEUE_TIME: Duration = Duration::from_secs(5);
