//! A network that loses, doubles and delays the datagrams of a numbered stream

use proptest::{collection::vec, prelude::*};

/// The farthest that a datagram is delayed, in datagrams
pub(super) const DEPTH: usize = 128;

/// The arrival of each copy of a datagram, counted in datagrams sent after it
type Copies = Vec<usize>;

/// A stream: its first number, and the copies of each datagram
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) start: u32,
    fates: Vec<Copies>,
}

/// Loses up to 30 %, doubles up to a tenth, delays up to a third by up to [`DEPTH`]
pub(super) fn stream(datagrams: usize) -> impl Strategy<Value = Stream> {
    let rates = (0..=30_u32, 0..=10_u32, 0..=33_u32, 1..=DEPTH);
    let fates = rates.prop_flat_map(move |rates| vec(fate(rates), datagrams));
    (super::first_number(), fates).prop_map(|(start, fates)| Stream { start, fates })
}

fn fate((lost, doubled, delayed, depth): (u32, u32, u32, usize)) -> impl Strategy<Value = Copies> {
    let draw = (0..100_u32, 0..100_u32, [0..100_u32, 0..100_u32], [0..=depth, 0..=depth]);
    draw.prop_map(move |(loss, double, delay, delays)| {
        let copies = if loss < lost { 0 } else { 1 + usize::from(double < doubled) };
        let when = delay.into_iter().zip(delays);
        let when = when.map(|(draw, delay)| if draw < delayed { delay } else { 0 });
        when.take(copies).collect()
    })
}

impl Stream {
    /// The datagrams as they arrive, with the time in datagrams sent and their place in the stream
    pub(super) fn arrivals(&self) -> Vec<(usize, usize)> {
        let copies = self.fates.iter().enumerate();
        let copies = copies.flat_map(|(n, copies)| copies.iter().map(move |delay| (n + delay, n)));
        let mut arrivals: Vec<_> = copies.collect();
        arrivals.sort_by_key(|(at, _)| *at);
        arrivals
    }

    /// The number that the datagram at this place in the stream carries
    pub(super) fn number(&self, place: usize) -> u32 {
        self.start.wrapping_add(u32::try_from(place).unwrap())
    }
}
