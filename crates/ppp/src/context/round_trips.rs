//! The round trips of a negotiation, counted by cause

use std::time::{Duration, Instant};

/// The count so far, and the shortest round trip met
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrips {
    count: u16,
    shortest: Option<Duration>,
}

/// The time at which a packet was sent, and the round trips that had passed by then
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    at: Instant,
    count: u16,
}

impl Sent {
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }
}

impl RoundTrips {
    pub(crate) const fn new() -> Self {
        Self { count: 0, shortest: None }
    }

    pub(crate) const fn count(&self) -> u16 {
        self.count
    }

    pub(crate) const fn shortest(&self) -> Option<Duration> {
        self.shortest
    }

    /// Stamps a packet that goes out and wants an answer
    pub(crate) const fn stamp(&self, now: Instant) -> Sent {
        Sent { at: now, count: self.count }
    }

    /// Notes that the answer to `sent` came in
    pub(crate) fn answered(&mut self, now: Instant, sent: Sent) {
        let took = now.saturating_duration_since(sent.at);
        self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
        self.count = self.count.max(sent.count.saturating_add(1));
    }

    /// Returns true if an answer that came in now can be one to `sent`: a round trip has passed since
    ///
    /// A quarter of slack: round trips vary.
    pub(crate) fn may_be_answered(&self, now: Instant, sent: Sent) -> bool {
        let shortest = self.shortest.unwrap_or(Duration::MAX);
        let least = shortest.saturating_sub(shortest.checked_div(4).unwrap_or_default());
        sent.age(now) >= least
    }

    /// Notes an answer to one of several transmissions of the same request
    ///
    /// It cannot be an answer to one sent less than a round trip ago, and of the others the peer
    /// may have dropped all but the last: pppd and accel-ppp are deaf to IPCP until their CCP is
    /// open.
    pub(crate) fn answered_one_of(&mut self, now: Instant, transmissions: &[Sent]) {
        let is_old = |sent: &&Sent| self.may_be_answered(now, **sent);
        let cause = transmissions.iter().rev().find(is_old).or_else(|| transmissions.first());
        if let Some(sent) = cause {
            self.answered(now, *sent);
        }
    }
}

/// Round-trip times of one kind of question: the last, the least and the smoothed one
///
/// Kept in microseconds, up to 71 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTripTime {
    last: u32,
    least: u32,
    smoothed: u32,
}

impl Default for RoundTripTime {
    fn default() -> Self {
        Self::NONE
    }
}

impl RoundTripTime {
    /// No measurement yet: the least one is larger than the last
    pub(crate) const NONE: Self = Self { last: 0, least: u32::MAX, smoothed: 0 };

    const fn is_measured(self) -> bool {
        self.least <= self.last
    }

    /// The latest round trip; `None` before the first
    pub fn last(&self) -> Option<Duration> {
        self.value(self.last)
    }

    /// The shortest round trip
    pub fn least(&self) -> Option<Duration> {
        self.value(self.least)
    }

    /// The smoothed round trip, each new one with a weight of one eighth (RFC 6298 §2)
    pub fn smoothed(&self) -> Option<Duration> {
        self.value(self.smoothed)
    }

    fn value(&self, micros: u32) -> Option<Duration> {
        self.is_measured().then(|| Duration::from_micros(micros.into()))
    }

    /// Takes a new measurement
    pub fn measured(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let eighth = |micros: u32| micros.checked_div(8).unwrap_or_default();
        *self = if self.is_measured() {
            let smoothed = self.smoothed.saturating_sub(eighth(self.smoothed));
            Self {
                last: micros,
                least: self.least.min(micros),
                smoothed: smoothed.saturating_add(eighth(micros)),
            }
        } else {
            Self { last: micros, least: micros, smoothed: micros }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::epoch;

    const RTT: Duration = Duration::from_millis(40);

    #[test]
    fn answers_to_requests_sent_together_are_one_round_trip() {
        let now = epoch();
        let mut round_trips = RoundTrips::new();
        let (one, two) = (round_trips.stamp(now), round_trips.stamp(now));
        round_trips.answered(now + RTT, one);
        round_trips.answered(now + RTT, two);
        assert_eq!(round_trips.count(), 1);
        let three = round_trips.stamp(now + RTT);
        round_trips.answered(now + 2 * RTT, three);
        assert_eq!((round_trips.count(), round_trips.shortest()), (2, Some(RTT)));
    }

    #[test]
    fn an_answer_belongs_to_the_youngest_transmission_a_round_trip_old() {
        let now = epoch();
        let mut round_trips = RoundTrips::new();
        let first = round_trips.stamp(now);
        round_trips.answered(now + RTT, first);
        let (dropped, heard, fresh) = (
            Sent { at: now + RTT, count: 1 },
            Sent { at: now + 2 * RTT, count: 2 },
            Sent { at: now + 3 * RTT, count: 3 },
        );
        round_trips.answered_one_of(now + 3 * RTT, &[dropped, heard, fresh]);
        assert_eq!(round_trips.count(), 3);
    }

    #[test]
    fn round_trip_times_are_smoothed() {
        let mut times = RoundTripTime::default();
        assert_eq!((times.last(), times.least(), times.smoothed()), (None, None, None));
        times.measured(Duration::from_millis(80));
        times.measured(Duration::from_millis(160));
        assert_eq!(times.last(), Some(Duration::from_millis(160)));
        assert_eq!(times.least(), Some(Duration::from_millis(80)));
        assert_eq!(times.smoothed(), Some(Duration::from_millis(90)));
    }

    #[test]
    fn without_a_measure_the_first_transmission_counts() {
        let now = epoch();
        let mut round_trips = RoundTrips::new();
        let sent = [round_trips.stamp(now), Sent { at: now, count: 5 }];
        round_trips.answered_one_of(now + RTT, &sent);
        assert_eq!(round_trips.count(), 1);
    }
}
