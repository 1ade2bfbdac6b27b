//! The congestion window of a connection: its growth and its reductions

use crate::tcp::rtt::{Rtt, WHOLE_WINDOW};

/// The congestion window of one connection (RFC 5681 §3.1), in octets
#[derive(Debug)]
pub(super) struct Window {
    /// SMSS: octets of a full segment
    smss: u32,
    /// cwnd: octets that may be in flight
    cwnd: u32,
    /// ssthresh: the cwnd at which slow start ends
    ssthresh: u32,
    /// Octets acknowledged since cwnd last grew
    bytes_acked: u32,
    /// `FlightSize` when a segment last left
    last_flight_size: u32,
}

impl Window {
    /// The initial window for a peer that announces no MSS
    pub(super) const fn new() -> Self {
        Self {
            smss: DEFAULT_MSS,
            cwnd: INITIAL_WINDOW * DEFAULT_MSS,
            ssthresh: u32::MAX,
            bytes_acked: 0,
            last_flight_size: 0,
        }
    }

    /// Sets SMSS, which the peer and the path allow
    pub(super) fn set_smss(&mut self, octets: u32) {
        self.smss = octets.max(1);
        self.cwnd = INITIAL_WINDOW.saturating_mul(self.smss);
    }

    /// Takes note of a segment that left, with so many octets in flight behind it
    pub(super) const fn on_sent(&mut self, flight_size: u32) {
        self.last_flight_size = flight_size;
    }

    /// Grows cwnd: in slow start by the octets acknowledged, then by SMSS each two windows
    ///
    /// That is the growth of RFC 9438 §4.3 for a sender that keeps 0.7 of cwnd after a loss. A cwnd
    /// that was not used does not grow (RFC 9438 §5.8).
    pub(super) fn grow(&mut self, acknowledged: u32, rtt: &Rtt) {
        if self.cwnd >= self.ssthresh {
            self.avoid_congestion(acknowledged);
        } else if self.cwnd < self.last_flight_size.saturating_mul(2) {
            let most = self.smss.saturating_mul(2);
            self.cwnd = self.cwnd.saturating_add(acknowledged.min(most));
            if rtt.has_queue() {
                self.ssthresh = self.cwnd;
            }
        }
    }

    /// Keeps a share of cwnd, in [`WHOLE_WINDOW`]ths, and ends slow start
    pub(super) fn shrink(&mut self, share: u32) {
        if share < WHOLE_WINDOW {
            let cwnd = (self.cwnd / WHOLE_WINDOW).saturating_mul(share);
            self.cwnd = cwnd.max(self.smss.saturating_mul(2));
            self.ssthresh = self.cwnd;
            self.bytes_acked = 0;
        }
    }

    /// Holds cwnd to the initial window, after a pause (RFC 5681 §4.1)
    pub(super) fn restart(&mut self) {
        self.cwnd = self.cwnd.min(INITIAL_WINDOW.saturating_mul(self.smss));
    }

    /// Enters slow start after a timeout (RFC 5681 §3.1)
    pub(super) fn on_timeout(&mut self) {
        self.ssthresh = (self.cwnd / 2).max(self.smss.saturating_mul(2));
        (self.cwnd, self.bytes_acked) = (self.smss, 0);
    }

    /// SMSS: octets of a full segment
    pub(super) const fn smss(&self) -> u32 {
        self.smss
    }

    /// cwnd: octets that may be in flight
    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn avoid_congestion(&mut self, acknowledged: u32) {
        if self.cwnd <= self.last_flight_size.saturating_add(self.smss) {
            self.bytes_acked = self.bytes_acked.saturating_add(acknowledged);
        }
        if self.bytes_acked >= self.cwnd.saturating_mul(2) {
            self.bytes_acked = 0;
            self.cwnd = self.cwnd.saturating_add(self.smss);
        }
    }
}

#[cfg(test)]
impl Window {
    pub(super) const fn set_cwnd(&mut self, octets: u32) {
        self.cwnd = octets;
    }

    /// ssthresh: the cwnd at which slow start ends
    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }
}

/// The MSS of a peer that does not announce one (RFC 9293 §3.7.1)
pub(in crate::tcp) const DEFAULT_MSS: u32 = 536;

/// The initial window in segments (RFC 6928)
pub(super) const INITIAL_WINDOW: u32 = 10;
