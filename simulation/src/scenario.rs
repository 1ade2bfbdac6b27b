//! What a scenario is: plain data, all of it from one number

use std::{num::NonZeroU32, time::Duration};

use pptp::config::EchoPolicy;
use pptp_testkit::{ServerOrder, memory::Impairment};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{Errand, Fault, ServerKind, Talk};

/// A client, a server, the path between them, what befalls both, and what the client is after
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What all the rest follows from, and every random choice of the run
    pub seed: u64,
    /// The path, but for what befalls it
    pub path: Path,
    /// Whose manners the server has
    pub order: ServerOrder,
    /// What the server never does
    pub server: ServerKind,
    /// When the client takes the server for dead
    pub echo: EchoPolicy,
    /// How long a connect may take
    pub connect_timeout: Duration,
    /// What each of the client's tunnels is used for, one errand after the other, over and over
    pub tunnels: Vec<Vec<Errand>>,
    /// What the user of each tunnel asks beside the errands
    pub talks: Vec<Option<Talk>>,
    /// What goes wrong
    pub mishaps: Vec<Mishap>,
    /// How it ends
    pub farewell: Farewell,
}

/// The path between client and server
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// The time from client to server
    pub there: Duration,
    /// The time from server to client, no less than `there`
    pub back: Duration,
    /// What happens to GRE in between
    pub impairment: Impairment,
    /// The rate of each host's line in octets a second
    pub rate: Option<NonZeroU32>,
    /// Whether a NAT hides the client, and rewrites its Call IDs
    pub nat: bool,
}

/// Something that goes wrong for a while
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mishap {
    /// When it begins, after the scenario does
    pub at: Duration,
    /// How long it takes
    pub lasts: Duration,
    /// What it is
    pub fault: Fault,
}

/// How a scenario ends
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// Each tunnel is closed, and that is waited for
    Close,
    /// All handles are dropped
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
        let mishaps = if calm { 0 } else { rng.random_range(0..=4) };
        let mut scenario = Self {
            seed,
            path: Path::random(rng, calm),
            order: one_of(rng, &[ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras]),
            server: ServerKind::Ordinary,
            echo: echo(rng),
            connect_timeout: seconds(rng, 5..=60),
            tunnels: (0..rng.random_range(1..=3)).map(|_| errands(rng)).collect(),
            talks: Vec::new(),
            mishaps: (0..mishaps).map(|_| Mishap::random(rng)).collect(),
            farewell: one_of(rng, &[Farewell::Close, Farewell::Drop, Farewell::ServerHangsUp]),
        };
        scenario.draw_insides(calm);
        scenario
    }

    /// What concerns the inside of the tunnels, by choices of their own
    fn draw_insides(&mut self, calm: bool) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ INSIDES);
        let rng = &mut rng;
        self.server = ServerKind::random(rng);
        if self.path.there + self.path.back < NEAR && self.server == ServerKind::SlowStart {
            self.server = ServerKind::Ordinary;
        }
        self.talks = self.tunnels.iter().map(|_| Talk::random(rng)).collect();
        if !calm && rng.random_bool(0.5) {
            let mishaps = (0..rng.random_range(1..=2)).map(|_| Mishap::inside(rng));
            self.mishaps.extend(mishaps);
        }
    }

    /// Whether nothing can go wrong: then nothing may
    pub fn is_calm(&self) -> bool {
        let Impairment { loss_per_mille, corrupt_per_mille, .. } = self.path.impairment;
        self.mishaps.is_empty() && loss_per_mille == 0 && corrupt_per_mille == 0
    }

    /// Whether datagrams arrive in the order in which they are sent, and once
    ///
    /// Else the first packet may overtake the answer that lets the server take it.
    pub fn keeps_order(&self) -> bool {
        let Impairment { jitter, held_per_mille, duplicate_per_mille, .. } = self.path.impairment;
        jitter.is_zero() && held_per_mille == 0 && duplicate_per_mille == 0
    }

    /// Whether octets change on the way
    pub fn corrupts(&self) -> bool {
        let weathers = self.mishaps.iter().filter_map(|mishap| match mishap.fault {
            Fault::Weather(impairment) => Some(impairment),
            _ => None,
        });
        let mut all = weathers.chain([self.path.impairment]);
        all.any(|impairment| impairment.corrupt_per_mille > 0)
    }

    /// The largest share of datagrams that is lost or damaged each way
    fn worst_loss(&self) -> f64 {
        let weathers = self.mishaps.iter().filter_map(|mishap| match mishap.fault {
            Fault::Weather(impairment) => Some(impairment),
            _ => None,
        });
        let all = weathers.chain([self.path.impairment]);
        let lost = all.map(|it| it.loss_per_mille + it.corrupt_per_mille).max();
        f64::from(lost.unwrap_or_default()) / 1000.0
    }

    /// Whether a dead server may be told from the line only after 20 s: more than one in fifty datagrams
    /// is lost, or some have other numbers than they were sent with
    pub(crate) fn is_lossy(&self) -> bool {
        self.worst_loss() > 0.02 || self.corrupts()
    }

    /// Whether the path takes all echoes of the policy more often than in one of a million silences
    pub(crate) fn may_lose_all_echoes(&self) -> bool {
        let lost = 2.0 * self.worst_loss();
        lost.powi(i32::from(self.echo.unanswered)) > 1e-6
    }

    /// When the last mishap is over
    pub fn calms_down_at(&self) -> Duration {
        let over = self.mishaps.iter().map(|mishap| mishap.at + mishap.lasts);
        over.max().unwrap_or_default().max(LEAST)
    }

    /// How long a server that is gone may go unnoticed
    ///
    /// By LCP's echoes, or those of the control connection: a minute of silence, and another one.
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
            + SLACK
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

impl Mishap {
    /// For a while, or as good as for good
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

/// What happens to GRE, now and then nothing
pub(crate) fn impairment(rng: &mut StdRng, calm: bool) -> Impairment {
    let mut sometimes = |most: &[u16]| if rng.random_bool(0.5) { 0 } else { one_of(rng, most) };
    let (loss, corrupt) = (sometimes(&[1, 10, 50, 100]), sometimes(&[0, 0, 1, 10]));
    let (duplicate, held) = (sometimes(&[1, 10, 50]), sometimes(&[1, 10, 50]));
    Impairment {
        jitter: milliseconds(rng, &[0, 0, 1, 5, 30]),
        loss_per_mille: if calm { 0 } else { loss },
        duplicate_per_mille: duplicate,
        held_per_mille: held,
        hold: (Duration::from_millis(1), milliseconds(rng, &[3, 20, 200])),
        corrupt_per_mille: if calm { 0 } else { corrupt },
    }
}

fn echo(rng: &mut StdRng) -> EchoPolicy {
    let default = EchoPolicy::default();
    match rng.random_range(0..4) {
        0 => EchoPolicy { silence: Duration::ZERO, ..default },
        1 => {
            let (silence, interval) = (seconds(rng, 2..=10), seconds(rng, 2..=5));
            EchoPolicy { silence, interval, unanswered: rng.random_range(1..=5) }
        }
        _ => default,
    }
}

fn errands(rng: &mut StdRng) -> Vec<Errand> {
    (0..rng.random_range(1..=4)).map(|_| Errand::random(rng)).collect()
}

pub(crate) fn one_of<T: Copy>(rng: &mut StdRng, all: &[T]) -> T {
    all[rng.random_range(0..all.len())]
}

fn milliseconds(rng: &mut StdRng, all: &[u64]) -> Duration {
    Duration::from_millis(one_of(rng, all))
}

fn seconds(rng: &mut StdRng, range: std::ops::RangeInclusive<u64>) -> Duration {
    Duration::from_secs(rng.random_range(range))
}

/// A busy accel-ppp is deaf to nearly all dials over a round trip that is shorter
const NEAR: Duration = Duration::from_millis(2);

/// Makes another generator of a scenario's seed
const INSIDES: u64 = 0x1951_DE5A_11E5_0F17;

/// A scenario takes so long at least, in which its tunnels are used
const LEAST: Duration = Duration::from_mins(1);

/// For what waits its turn on a slow line
const SLACK: Duration = Duration::from_secs(5);
