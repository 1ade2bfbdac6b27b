//! The receive window over a bad network, against an oracle that remembers every datagram

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::{
    Lab,
    network::{Stream, stream},
};
use crate::{Discard, Order, Requirement};

/// Knows every place of the stream that was ever committed; numbers do not wrap here
#[derive(Default)]
struct Oracle {
    committed: BTreeSet<usize>,
    /// The latest datagrams, as long as nothing was committed
    refused: VecDeque<usize>,
}

impl Oracle {
    /// Returns the expected verdict for the datagram at this place, and true if it is new
    fn judge(&mut self, place: usize) -> (Result<(Order, Requirement), Discard>, bool) {
        let is_new = self.committed.insert(place);
        let highest = self.committed.last().copied();
        let is_ahead = is_new && highest == Some(place);
        if is_new {
            self.refused.clear();
            let order = if is_ahead { Order::Ahead } else { Order::Behind };
            return (Ok((order, Requirement::AcceptedPayload)), true);
        }
        if highest.is_some_and(|highest| highest - place < 64) {
            return (Err(Discard::Duplicate), false);
        }
        // older ones are not told from late ones: that is for the layer above, which has no key
        let order = if self.is_a_stream_of_its_own(place) { Order::Ahead } else { Order::Behind };
        (Ok((order, Requirement::AcceptedPayload)), false)
    }

    /// Returns true if this is the eighth datagram in sequence of which none was committed
    fn is_a_stream_of_its_own(&mut self, place: usize) -> bool {
        if self.refused.back().is_none_or(|last| last + 1 != place) {
            self.refused.clear();
        }
        self.refused.push_back(place);
        self.refused.len() >= 8
    }
}

fn follow(stream: &Stream) -> Result<(), TestCaseError> {
    let (mut lab, mut oracle) = (Lab::new(64), Oracle::default());
    for (at, place) in stream.arrivals() {
        let (expected, is_new) = oracle.judge(place);
        let number = stream.number(place);
        prop_assert_eq!(lab.check(number), expected, "place {} at {}", place, at);
        if is_new {
            lab.accept(number);
        }
        let highest = oracle.committed.last().map(|place| stream.number(*place));
        prop_assert_eq!(lab.session.highest(), highest);
    }
    prop_assert_eq!(lab.session.stats().committed, oracle.committed.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 20_000 }))]

    #[test]
    fn every_verdict_on_a_bad_network_is_that_of_one_who_remembers_everything(
        stream in stream(400),
    ) {
        follow(&stream)?;
    }
}
