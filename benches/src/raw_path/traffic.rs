//! The datagrams of a transfer, and the way that they go

/// The datagrams of a transfer, as the client's own counters tell
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    pub(super) received: usize,
    pub(super) sent: usize,
    /// Of `sent`, those without a packet
    pub(super) acknowledgments: usize,
    /// Octets of a full IP packet
    pub(super) mtu: usize,
}

impl Traffic {
    /// Full packets, whichever way they went
    pub(super) fn packets(&self) -> f64 {
        count(self.received.max(self.sent))
    }

    /// Datagrams the other way for each
    pub(super) fn back(&self) -> f64 {
        count(self.received.min(self.sent)) / self.packets()
    }
}

/// The way that the full packets go
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Download,
    Upload,
}

/// A number of datagrams, for a ratio
pub(super) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
