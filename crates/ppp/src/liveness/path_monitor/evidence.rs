//! The complaints of a peer that cannot open our packets

use std::{
    fmt,
    time::{Duration, Instant},
};

use pptp_packet::Counter;

/// One sign that the peer cannot open what we send
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// A CCP Reset-Request, although the encryption is stateless
    ResetRequest,
    /// An LCP Protocol-Reject of MPPE itself
    MppeRejected,
    /// An LCP Protocol-Reject of a protocol that was never sent
    UnsentProtocol,
}

/// The evidence that no packet passes inside a link that is up
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NothingPasses {
    /// The peer says that it cannot open our packets, and answers no proof
    NotOpened {
        /// CCP Reset-Requests
        reset_requests: u32,
        /// Protocol-Rejects of MPPE itself
        mppe_rejects: u32,
        /// Protocol-Rejects of protocols that were never sent
        unsent_protocols: u32,
        /// Proofs that it did not answer meanwhile
        pings: u8,
    },
    /// Users send and nothing comes back; pings through the link are not answered, and LCP echoes are
    Silence {
        /// Pings without an answer
        pings: u8,
        /// LCP Echo-Requests beside them that were answered
        echoes: u8,
    },
}

impl fmt::Display for NothingPasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened { reset_requests, mppe_rejects, unsent_protocols, pings } => write!(
                f,
                "the peer cannot open our packets: {reset_requests} Reset-Requests, \
                 {mppe_rejects} rejects of MPPE and {unsent_protocols} of protocols that were \
                 never sent, and {pings} pings through the tunnel without an answer"
            ),
            Self::Silence { pings, echoes } => write!(
                f,
                "{pings} pings through the tunnel without an answer, while the peer answered \
                 {echoes} LCP echoes beside them"
            ),
        }
    }
}

/// The complaints since the last proof
#[derive(Debug)]
pub(crate) struct Evidence {
    since: Instant,
    latest: Instant,
    reset_requests: u32,
    mppe_rejects: u32,
    unsent_protocols: u32,
}

impl Evidence {
    pub(crate) const fn new(now: Instant) -> Self {
        let (reset_requests, mppe_rejects, unsent_protocols) = (0, 0, 0);
        Self { since: now, latest: now, reset_requests, mppe_rejects, unsent_protocols }
    }

    pub(crate) fn count(&mut self, now: Instant, complaint: Complaint) {
        self.latest = now;
        let counter = match complaint {
            Complaint::ResetRequest => &mut self.reset_requests,
            Complaint::MppeRejected => &mut self.mppe_rejects,
            Complaint::UnsentProtocol => &mut self.unsent_protocols,
        };
        counter.increment();
    }

    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    /// The time from the first complaint to the latest
    pub(crate) fn lasted(&self) -> Duration {
        self.latest.saturating_duration_since(self.since)
    }

    /// Returns true if these are enough complaints, over a time in which a peer recovers by itself if it can
    ///
    /// A Linux peer drops everything from its Reset-Request to our Reset-Ack, a round trip.
    pub(crate) fn is_enough(&self, least: Duration, round_trip: Duration) -> bool {
        let rejects = self.mppe_rejects.saturating_add(self.unsent_protocols);
        let count = self.reset_requests.saturating_add(rejects);
        count >= MIN_COMPLAINTS && self.lasted() >= least.max(round_trip.saturating_mul(3))
    }

    pub(crate) const fn verdict(&self, pings: u8) -> NothingPasses {
        let Self { reset_requests, mppe_rejects, unsent_protocols, .. } = *self;
        NothingPasses::NotOpened { reset_requests, mppe_rejects, unsent_protocols, pings }
    }
}

/// Complaints, each after a frame of ours, that are no accident
const MIN_COMPLAINTS: u32 = 3;
