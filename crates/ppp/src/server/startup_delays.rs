//! accel-ppp's start of the network phase: deaf at first, then with a decryptor that comes late

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use crate::{authentication::Keys, context::random::Random};

/// Times of a server that starts its network phase as accel-ppp does
///
/// Each time is drawn from its range, for each link anew, by the link's seed. accel-ppp sends its CHAP Success,
/// and discards CCP and IPCP until it has started them itself. It sends its CCP Configure-Request, and tells its
/// kernel of CCP only afterwards: a Configure-Ack that is faster is not seen, the decryptor stays off, and each
/// encrypted packet of the client is answered by a Protocol-Reject of 0x00FD, as long as the link lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupDelays {
    /// Time from the CHAP Success to the start of CCP: packets that come meanwhile are discarded
    pub deaf: RangeInclusive<Duration>,
    /// Time from the server's CCP Configure-Request on within which a Configure-Ack is not seen
    pub unready: RangeInclusive<Duration>,
}

/// The progress of such a start
#[derive(Debug, Default)]
pub(super) struct Start {
    /// The start of the network phase, the keys for it, and how long the kernel is unready from then on
    waiting: Option<(Instant, Keys, Duration)>,
    /// The time before which the kernel does not see a Configure-Ack of CCP
    ready_at: Option<Instant>,
    /// True if the decryptor stayed off
    pub(super) missed_ack: bool,
}

impl Start {
    /// Keeps the keys until the start, which is `times.deaf` from now
    pub(super) fn postpone(
        &mut self,
        now: Instant,
        keys: Keys,
        times: &StartupDelays,
        random: &mut Random,
    ) {
        let at = now.checked_add(draw(&times.deaf, random)).unwrap_or(now);
        let unready = draw(&times.unready, random);
        (self.ready_at, self.missed_ack) = (None, false);
        self.waiting = Some((at, keys, unready));
    }

    /// The keys, once the network phase is to begin
    pub(super) fn due(&mut self, now: Instant) -> Option<Keys> {
        let (_, keys, unready) = self.waiting.take_if(|(at, ..)| *at <= now)?;
        self.ready_at = now.checked_add(unready);
        Some(keys)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(at, ..)| *at)
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Notes a Configure-Ack of CCP; only the first one counts
    pub(super) fn note_ack(&mut self, now: Instant) {
        self.missed_ack |= self.ready_at.take().is_some_and(|ready_at| now < ready_at);
    }
}

/// A time in the range, each as likely as any other
fn draw(range: &RangeInclusive<Duration>, random: &mut Random) -> Duration {
    let span = range.end().saturating_sub(*range.start());
    let part = f64::from(u32::from_be_bytes(random.draw())) / f64::from(u32::MAX);
    range.start().saturating_add(span.mul_f64(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::epoch;

    const MS: Duration = Duration::from_millis(1);

    fn started(now: Instant, seed: u8) -> (Instant, Start) {
        let times = StartupDelays { deaf: 5 * MS..=20 * MS, unready: MS..=4 * MS };
        let mut start = Start::default();
        start.postpone(now, Keys::None, &times, &mut Random::new([seed; 32]));
        (start.deadline().unwrap(), start)
    }

    #[test]
    fn the_times_lie_within_their_ranges_and_follow_from_the_seed() {
        let now = epoch();
        let all: Vec<_> = (0..50).map(|seed| started(now, seed).0 - now).collect();
        assert!(all.iter().all(|time| (5 * MS..=20 * MS).contains(time)), "{all:?}");
        assert!(all.iter().any(|time| *time < 9 * MS) && all.iter().any(|time| *time > 16 * MS));
        assert_eq!(started(now, 7).0, started(now, 7).0);
    }

    #[test]
    fn an_ack_before_the_decryptor_is_there_is_missed_for_good() {
        let now = epoch();
        let (at, mut start) = started(now, 1);
        assert!(start.due(now).is_none() && start.is_waiting());
        assert!(start.due(at).is_some() && !start.is_waiting());
        start.note_ack(at + MS / 2);
        start.note_ack(at + 50 * MS);
        assert!(start.missed_ack, "the second one was not the first");
        let (at, mut start) = started(now, 1);
        start.due(at);
        start.note_ack(at + 4 * MS);
        assert!(!start.missed_ack);
    }
}
