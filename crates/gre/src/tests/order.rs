//! The reorder buffer over a bad network, compared with a simple model

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{
    network::{DEPTH, Stream, stream},
    start,
};
use crate::{Placed, ReorderBuffer, Reordering};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A simple model: the places in the stream that wait, with the time of their arrival
struct Naive {
    next: usize,
    waiting: BTreeMap<usize, Instant>,
    reordering: Reordering,
}

impl Naive {
    fn arrive(&mut self, now: Instant, place: usize) -> Vec<usize> {
        let mut out = Vec::new();
        if place == self.next || place > self.next && self.reordering.depth == 0 {
            self.next = place + 1;
            out.push(place);
        } else if place > self.next {
            self.waiting.entry(place).or_insert(now);
        }
        out.extend(self.wait(now));
        out
    }

    /// Hands out the next frame, frames that have waited too long with all before them, and the
    /// oldest of too many
    fn wait(&mut self, now: Instant) -> Vec<usize> {
        let mut out = Vec::new();
        while let Some(first) = self.waiting.first_key_value().map(|(place, _)| *place) {
            let is_tired = |since: &Instant| now - *since >= self.reordering.max_wait;
            let may_go = first == self.next
                || self.waiting.values().any(is_tired)
                || self.waiting.len() > self.reordering.depth.into();
            if !may_go {
                break;
            }
            self.waiting.remove(&first);
            self.next = first + 1;
            out.push(first);
        }
        out
    }
}

fn drain(buffer: &mut ReorderBuffer, now: Instant) -> Vec<usize> {
    let frames = std::iter::from_fn(|| buffer.poll(now));
    frames.map(|(_, frame)| usize::from_be_bytes(frame.try_into().unwrap())).collect()
}

fn place(buffer: &mut ReorderBuffer, now: Instant, stream: &Stream, place: usize) -> Vec<usize> {
    let placed = buffer.place(now, stream.number(place), &place.to_be_bytes());
    let mut out = if placed == Placed::Next { vec![place] } else { Vec::new() };
    out.extend(drain(buffer, now));
    out
}

fn follow(stream: &Stream, depth: u16, step: Duration) -> Result<(), TestCaseError> {
    let reordering = Reordering { depth, ..Reordering::default() };
    let mut buffer = ReorderBuffer::new(reordering, Some(stream.start.wrapping_sub(1)));
    let mut naive = Naive { next: 0, waiting: BTreeMap::new(), reordering };
    let (mut now, mut time, mut all) = (start(), 0, Vec::new());
    for (at, arrival) in stream.arrivals() {
        while time < at {
            (now, time) = (now + step, time + 1);
            let out = drain(&mut buffer, now);
            prop_assert_eq!(&out, &naive.wait(now));
            all.extend(out);
        }
        let out = place(&mut buffer, now, stream, arrival);
        prop_assert_eq!(&out, &naive.arrive(now, arrival), "{} arrives", arrival);
        all.extend(out);
        prop_assert!(naive.waiting.len() <= depth.into());
        let first = naive.waiting.values().min().map(|since| *since + reordering.max_wait);
        prop_assert_eq!(buffer.poll_timeout(), first);
    }
    all.extend(drain(&mut buffer, now + reordering.max_wait));
    prop_assert_eq!(buffer.poll_timeout(), None, "nothing waits for ever");
    prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "in order, and nothing twice");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 20_000 }))]

    #[test]
    fn what_comes_out_and_when_is_what_a_naive_buffer_gives(
        stream in stream(400), depth in 0..=u16::try_from(DEPTH).unwrap(), step in 0..20_u64,
    ) {
        follow(&stream, depth, Duration::from_millis(step))?;
    }

    /// No frame is lost if it is at most as far behind as the buffer is deep, and not too slow
    #[test]
    fn what_is_delayed_within_the_depth_all_comes_out(stream in stream(300)) {
        let depth = u16::try_from(DEPTH).unwrap();
        let reordering = Reordering { depth, max_wait: Duration::from_secs(1) };
        let mut buffer = ReorderBuffer::new(reordering, Some(stream.start.wrapping_sub(1)));
        let (began, mut out, mut sent) = (start(), Vec::new(), Vec::new());
        for (at, arrival) in stream.arrivals() {
            let now = began + u32::try_from(at).unwrap() * MILLISECOND;
            out.extend(drain(&mut buffer, now));
            out.extend(place(&mut buffer, now, &stream, arrival));
            sent.push(arrival);
        }
        out.extend(drain(&mut buffer, began + 10_000 * MILLISECOND));
        sent.sort_unstable();
        sent.dedup();
        prop_assert_eq!(out, sent);
    }
}
