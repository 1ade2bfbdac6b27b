//! A packet's whole way, against the cipher alone

use std::{cell::RefCell, time::Duration};

use crate::{
    Figure, Goal,
    measure::{Ratio, Rounds},
    path::{CipherOnly, Direction, Path, ROUND, Road, Traffic, round, runtime},
};

/// All figures of one tunnel
pub fn figures() -> Vec<Figure> {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut bench = Bench::new();
    let download = bench.compare(Direction::Download);
    let upload = bench.compare(Direction::Upload);
    let (a, b) = (download.a + upload.a, download.b + upload.b);
    vec![
        figure("tunnel_path/download", download),
        figure("tunnel_path/upload", upload),
        figure("tunnel_path/both", Ratio { ratio: b / a, a, b }),
    ]
}

/// A tunnel for each direction, and their bound
#[derive(Debug)]
pub struct Bench {
    road: Road,
    download: [Path; 1],
    upload: [Path; 1],
    cipher: CipherOnly,
}

impl Bench {
    /// Dials both; needs a tokio runtime around it
    pub fn new() -> Self {
        let mut road = Road::new();
        let download = [Path::new(&mut road, BUFFER)];
        let upload = [Path::new(&mut road, BUFFER)];
        let cipher = CipherOnly::new(road.now);
        Self { road, download, upload, cipher }
    }

    /// The CPU time of so many rounds
    pub fn time(&mut self, direction: Direction, rounds: u64) -> Duration {
        let (road, paths) = self.paths(direction);
        (0..rounds).map(|_| round(road, paths, 0, direction).time).sum()
    }

    fn paths(&mut self, direction: Direction) -> (&mut Road, &mut [Path]) {
        let paths = match direction {
            Direction::Download => &mut self.download,
            Direction::Upload => &mut self.upload,
        };
        (&mut self.road, paths)
    }

    /// How many times as long the cipher alone takes as the path: less than 1
    fn compare(&mut self, direction: Direction) -> Ratio {
        let Self { road, download, upload, cipher } = self;
        let paths = match direction {
            Direction::Download => download,
            Direction::Upload => upload,
        };
        let traffic = RefCell::new(warm_up(road, paths, direction));
        let path = || {
            let round = round(road, paths, 0, direction);
            traffic.replace(round.traffic);
            round.time.as_secs_f64()
        };
        let rounds = Rounds { count: 4 * Rounds::default().count, ..Rounds::default() };
        rounds.ratio_of_times(path, || cipher.round(&traffic.borrow()).as_secs_f64())
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// Until TCP's window is as large as it gets
fn warm_up(road: &mut Road, paths: &mut [Path], direction: Direction) -> Traffic {
    (0..64).map(|_| round(road, paths, 0, direction).traffic).last().unwrap_or_default()
}

fn figure(name: &'static str, Ratio { ratio, a, b }: Ratio) -> Figure {
    let packet = 1e9 / f64::from(ROUND);
    let detail =
        format!("cipher alone {:.0} ns a packet, the path {:.0} ns", b * packet, a * packet);
    Figure { name, value: ratio, goal: Goal::AtLeast(0.8), detail }
}

/// More than is under way, so that a full window is what limits an upload
const BUFFER: usize = 256 << 10;
