//! A round of traffic, and its cost

use std::{array::from_fn, ops::Range, time::Duration};

use super::{
    cipher::Traffic,
    one_path::Path,
    road::{Road, TURN},
    sizes::{BATCHES, Direction},
};
use crate::{heap::allocations, measure::thread_time};

/// The cost of a round, and its traffic
#[derive(Clone, Debug)]
pub struct Round {
    /// CPU time of what the clients did
    pub time: Duration,
    /// The number of their allocations
    pub allocations: usize,
    /// The work of the cipher
    pub traffic: Traffic,
}

/// Takes a round: [`BATCHES`] batches of [`PACKETS`](super::PACKETS) packets, shared out over the paths in turn
///
/// The first one is for the path at `first`.
pub fn round(road: &mut Road, paths: &mut [Path], first: usize, direction: Direction) -> Round {
    let of_batch: [usize; BATCHES] = from_fn(|batch| (first + batch) % paths.len());
    road.received.clear();
    let batches = of_batch.map(|path| {
        let from = road.received.datagrams().len();
        paths[path].prepare(road, direction);
        (path, from..road.received.datagrams().len())
    });
    let opened = road.received.datagrams().iter();
    let opened = opened.filter_map(|packet| Traffic::inner_len(packet.as_slice())).collect();
    let before = allocations();
    let begin = thread_time();
    for batches in batches.chunks(paths.len()) {
        turns(road, paths, batches, direction);
    }
    let time = thread_time().saturating_sub(begin);
    let allocations = allocations() - before;
    let mut sealed = Vec::new();
    let Road { sent, now, .. } = road;
    sent.drain(|path, datagram| {
        sealed.extend(Traffic::inner_len(datagram));
        paths[path].deliver(*now, datagram);
    });
    for path in of_batch {
        paths[path].exchange_control(*now);
    }
    Round { time, allocations, traffic: Traffic { opened, sealed } }
}

/// The measured part: a turn of each path that has a batch, with what its socket's task does
fn turns(
    road: &mut Road,
    paths: &mut [Path],
    batches: &[(usize, Range<usize>)],
    direction: Direction,
) {
    let Road { received, sent, now, octets, .. } = road;
    *now += TURN;
    for (path, datagrams) in batches {
        sent.tag = *path;
        let datagrams = &mut received.datagrams()[datagrams.clone()];
        paths[*path].inputs(*now, datagrams, sent);
    }
    for (path, _) in batches {
        paths[*path].use_socket(octets, direction);
    }
    for (path, _) in batches {
        sent.tag = *path;
        paths[*path].outputs(*now, sent);
    }
}
