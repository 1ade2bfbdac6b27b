//! A packet's way in one of many tunnels, against the same in one alone

use std::time::Duration;

use crate::{
    Figure, Goal,
    measure::{Ratio, Rounds},
    path::{BATCHES, Direction, Path, ROUND, Road, round, runtime},
};

/// How many tunnels there are, and the name of the figure
pub const TUNNELS: [(usize, &str); 4] = [
    (10, "per_tunnel_throughput/10"),
    (100, "per_tunnel_throughput/100"),
    (1_000, "per_tunnel_throughput/1000"),
    (10_000, "per_tunnel_throughput/10000"),
];

/// All figures of many tunnels and many sockets
pub fn figures() -> Vec<Figure> {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut road = Road::new();
    let mut one = Tunnels::new(&mut road, 1);
    let mut many = Tunnels::new(&mut road, 0);
    let mut figures = Vec::new();
    for (count, name) in TUNNELS {
        many.dial(&mut road, count);
        figures.push(figure(name, 1.15, compare(&mut road, &mut one, &mut many)));
    }
    let mut crowded = Tunnels::with_idle_sockets(&mut road, IDLE_SOCKETS);
    let ratio = compare(&mut road, &mut one, &mut crowded);
    figures.push(figure("per_tunnel_throughput/100-idle-sockets", 1.10, ratio));
    figures
}

/// Tunnels that get a batch each in turn
#[derive(Debug)]
pub struct Tunnels {
    paths: Vec<Path>,
    next: usize,
}

impl Tunnels {
    /// So many, each with a socket; needs a tokio runtime around it
    pub fn new(road: &mut Road, count: usize) -> Self {
        let mut tunnels = Self { paths: Vec::new(), next: 0 };
        tunnels.dial(road, count);
        tunnels
    }

    /// One tunnel with many sockets, of which one is used
    fn with_idle_sockets(road: &mut Road, count: usize) -> Self {
        Self { paths: vec![Path::with_idle_sockets(road, BUFFER, count)], next: 0 }
    }

    fn dial(&mut self, road: &mut Road, count: usize) {
        self.paths.resize_with(count, || Path::new(road, BUFFER));
    }

    /// The CPU time of a round
    pub fn round(&mut self, road: &mut Road) -> Duration {
        let time = round(road, &mut self.paths, self.next, Direction::Download).time;
        self.next = (self.next + BATCHES) % self.paths.len();
        time
    }

    /// Rounds until each tunnel had its turn
    fn sweep(&self) -> usize {
        self.paths.len().div_ceil(BATCHES)
    }
}

/// How many times as long a packet takes in `many` as in `one`
fn compare(road: &mut Road, one: &mut Tunnels, many: &mut Tunnels) -> Ratio {
    for _ in 0..WARM_UP * many.sweep() {
        many.round(road);
    }
    let least = u32::try_from(2 * many.sweep()).unwrap_or(u32::MAX);
    let rounds = Rounds::default();
    let rounds = Rounds { count: least.max(4 * rounds.count), ..rounds };
    let road = std::cell::RefCell::new(road);
    let of_one = || one.round(&mut road.borrow_mut()).as_secs_f64();
    rounds.ratio_of_times(of_one, || many.round(&mut road.borrow_mut()).as_secs_f64())
}

fn figure(name: &'static str, most: f64, Ratio { ratio, a, b }: Ratio) -> Figure {
    let packet = 1e9 / f64::from(ROUND);
    let detail = format!("{:.0} ns a packet, alone {:.0} ns", b * packet, a * packet);
    Figure { name, value: ratio, goal: Goal::AtMost(most), detail }
}

/// Three batches, so that the window need not be told after each read, and ten thousand fit
const BUFFER: usize = 32 << 10;
/// Batches of each tunnel until its buffers have been used to their end
const WARM_UP: usize = 4;
const IDLE_SOCKETS: usize = 100;
