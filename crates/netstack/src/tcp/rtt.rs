//! The round-trip time of a connection, measured where our own congestion controller (Westwood) is at work

use crate::shared::time::Time;

/// The round-trip time (RFC 6298), in microseconds
#[derive(Debug, Clone, Copy)]
pub(super) struct Rtt {
    min: u32,
    /// The last two measurements; the smaller one counts, in case one packet was delayed
    last: [u32; 2],
    srtt: u32,
    rttvar: u32,
}

impl Rtt {
    /// No measurement yet
    pub(super) const NONE: Self = Self { min: u32::MAX, last: [u32::MAX; 2], srtt: 0, rttvar: 0 };

    /// Takes a measurement (RFC 6298 §2)
    pub(super) fn sample(&mut self, took: Time) {
        let took = u32::try_from(took).unwrap_or(u32::MAX);
        if self.min == u32::MAX {
            (self.srtt, self.rttvar) = (took, took / 2);
        } else {
            let error = self.srtt.abs_diff(took);
            self.rttvar = self.rttvar.saturating_sub(self.rttvar / 4);
            self.rttvar = self.rttvar.saturating_add(error / 4);
            self.srtt = self.srtt.saturating_sub(self.srtt / 8);
            self.srtt = self.srtt.saturating_add(took / 8);
        }
        self.min = self.min.min(took).max(1);
        self.last = [took, self.last[0]];
    }

    fn recent(&self) -> u32 {
        self.last[0].min(self.last[1]).max(self.min)
    }

    /// The share of cwnd that the path holds without its queue, in [`WHOLE_WINDOW`]ths
    pub(super) fn share_without_queue(&self) -> u32 {
        let whole = self.min.saturating_mul(WHOLE_WINDOW);
        let share = whole.checked_div(self.recent()).unwrap_or(WHOLE_WINDOW);
        share.clamp(MIN_SHARE, WHOLE_WINDOW)
    }

    /// Returns true if the RTT has grown by a queue (RFC 9406 §4.2)
    pub(super) fn has_queue(&self) -> bool {
        self.recent() > self.min.saturating_add((self.min / 8).clamp(4_000, 16_000))
    }

    /// RTO (RFC 6298 §2), with a margin of 200 ms in place of the minimum of 1 s
    pub(super) fn rto(&self) -> Option<Time> {
        let margin = self.rttvar.saturating_mul(4).max(RTO_MARGIN);
        (self.min != u32::MAX).then(|| self.srtt.saturating_add(margin).into())
    }
}

/// The number of parts that cwnd is counted in
pub(super) const WHOLE_WINDOW: u32 = 64;

/// The share of cwnd that a loss leaves at least: 0.7 (RFC 9438 §4.6)
pub(super) const MIN_SHARE: u32 = 45;

/// The margin of RTO in microseconds
///
/// It is longer than acknowledgments are delayed: RFC 9293 §3.8.6.3 allows 500 ms, hosts take 40 to 200.
const RTO_MARGIN: u32 = 200_000;
