//! The numbers near the last one that the peer has proven to be its own

use std::time::Instant;

/// A narrow window of the carrier's sequence numbers
///
/// Control frames are in the clear and prove nothing. A packet that opens proves its number, and so
/// does the answer to an Echo-Request with octets that only the peer has read. While the link is
/// encrypted, control frames count only near the last number that was proven: a sender who sees
/// nothing has to hit one of some 128 in 4,294,967,296 numbers.
///
/// An idle peer proves nothing, and its own Echo-Requests have numbers too. So the window grows
/// ahead, by [`GROWTH_PER_SECOND`] a second since the proof.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SequenceWindow {
    base: Option<(u32, Instant)>,
}

impl SequenceWindow {
    /// Notes that the peer has proven that this number is its own
    ///
    /// A late packet does not take the window back.
    pub(crate) fn prove(&mut self, now: Instant, sequence: u32) {
        let is_late = |base| (-MAX_LATE..0).contains(&distance(base, sequence));
        if !self.base.is_some_and(|(base, _)| is_late(base)) {
            self.base = Some((sequence, now));
        }
    }

    /// Notes that the peer has answered the latest question with this number
    ///
    /// An answer is not as late as a packet may be: one that lies behind the window tells that the
    /// number before it was damaged on its way, which no checksum of GRE shows.
    pub(crate) fn answered(&mut self, now: Instant, sequence: u32) {
        let is_late = |base| (-HALF_WIDTH..0).contains(&distance(base, sequence));
        if !self.base.is_some_and(|(base, _)| is_late(base)) {
            self.base = Some((sequence, now));
        }
    }

    /// Returns true if a control frame with this number may count; every one may before the first proof
    pub(crate) fn contains(&self, now: Instant, sequence: u32) -> bool {
        let Some((base, since)) = self.base else { return true };
        let seconds = now.saturating_duration_since(since).as_secs();
        let growth = i32::try_from(seconds.saturating_mul(GROWTH_PER_SECOND)).unwrap_or(i32::MAX);
        let ahead = HALF_WIDTH.saturating_add(growth).min(MAX_AHEAD);
        (-HALF_WIDTH..=ahead).contains(&distance(base, sequence))
    }
}

/// The distance of a number from another: positive ahead of it, negative behind it
const fn distance(base: u32, sequence: u32) -> i32 {
    sequence.wrapping_sub(base).cast_signed()
}

/// Numbers to each side
const HALF_WIDTH: i32 = 64;
/// Numbers more in each second: a peer that is idle sends less than one frame in a second
const GROWTH_PER_SECOND: u64 = 1;
/// The largest window, after 28 idle hours without a proof: one number in 43,000
const MAX_AHEAD: i32 = 100_000;
/// The distance behind that is late and not a new beginning: MPPE keeps keys for so many
const MAX_LATE: i32 = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests::epoch;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sixty_four_to_each_side_across_the_wrap() {
        let (mut window, now) = (SequenceWindow::default(), epoch());
        assert!(window.contains(now, 0x5EED_0000), "nothing is proven yet");
        for base in [0_u32, 3, 1_000_000, u32::MAX] {
            window.base = None;
            window.prove(now, base);
            for (offset, is_near) in [(0, true), (64, true), (65, false), (-64, true), (-65, false)]
            {
                let sequence = base.wrapping_add_signed(offset);
                assert_eq!(window.contains(now, sequence), is_near, "{base} {offset}");
            }
        }
    }

    #[test]
    fn it_grows_ahead_by_one_a_second_and_not_without_end() {
        let (mut window, now) = (SequenceWindow::default(), epoch());
        window.prove(now, 10);
        for (seconds, ahead) in [(1, 65), (30, 94), (3600, 3664), (1_000_000, 100_000)] {
            let later = now + seconds * SECOND;
            assert!(window.contains(later, 10 + ahead), "{seconds} s");
            assert!(!window.contains(later, 11 + ahead), "{seconds} s");
            assert!(!window.contains(later, 10_u32.wrapping_sub(65)), "not behind");
        }
    }

    #[test]
    fn a_late_packet_does_not_take_it_back_and_a_new_beginning_does() {
        let (mut window, now) = (SequenceWindow::default(), epoch());
        window.prove(now, 1000);
        window.prove(now, 744);
        assert!(window.contains(now, 1064), "256 behind is late");
        window.prove(now, 743);
        assert!(!window.contains(now, 1064) && window.contains(now, 743));
        window.prove(now, 500_000);
        assert!(window.contains(now, 500_000));
    }

    #[test]
    fn an_answer_takes_it_back_from_a_number_that_was_damaged() {
        let (mut window, now) = (SequenceWindow::default(), epoch());
        window.answered(now, 20 + 128);
        window.prove(now, 21);
        assert!(!window.contains(now, 22), "a late packet");
        window.answered(now, 22);
        assert!(window.contains(now, 23) && !window.contains(now, 148));
        window.answered(now, 21);
        assert!(window.contains(now, 22 + 64), "one that was overtaken does not");
    }
}
