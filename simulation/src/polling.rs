//! A user who asks again and again, beside the jobs

use std::{net::Ipv4Addr, time::Duration};

use pptp_testkit::{BLACK_HOLE, DEVICE, ROUTER};
use rand::{RngExt, rngs::StdRng};

use crate::{ServerKind, draw::one_of};

/// A user who asks by UDP, again and again, with or without answers
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polling {
    /// The time from one question to the next
    pub every: Duration,
    /// The host that is asked
    pub host: PolledHost,
}

/// Hosts that a user may ask
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolledHost {
    /// The building's device, which answers
    Device,
    /// The building's router, which answers that the port is not in use
    Router,
    /// A host that is gone
    DeadHost,
}

impl Polling {
    /// Draws the questions of one of a scenario's users; some ask none
    pub(crate) fn random(rng: &mut StdRng) -> Option<Self> {
        let every = Duration::from_millis(rng.random_range(500..=2000));
        let host = one_of(
            rng,
            &[
                PolledHost::Device,
                PolledHost::Device,
                PolledHost::Device,
                PolledHost::Router,
                PolledHost::DeadHost,
            ],
        );
        rng.random_bool(0.8).then_some(Self { every, host })
    }

    pub(crate) const fn address(self) -> Ipv4Addr {
        match self.host {
            PolledHost::Device => DEVICE,
            PolledHost::Router => ROUTER,
            PolledHost::DeadHost => BLACK_HOLE,
        }
    }

    /// Returns true if a server of this kind answers, without faults
    pub(crate) fn is_answered(self, server: ServerKind) -> bool {
        match self.host {
            PolledHost::Device => server != ServerKind::HostsAreDead,
            PolledHost::Router => true,
            PolledHost::DeadHost => false,
        }
    }
}
