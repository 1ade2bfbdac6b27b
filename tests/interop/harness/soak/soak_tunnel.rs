//! The tunnels of a soak run, each with its use

use std::time::Duration;

use pptp::{
    TunnelConfig,
    config::{EchoPolicy, EncryptionDemand, KeyStrength, StatefulReset},
};

use crate::dial::config;
use crate::lab::Building;

/// So many tunnels to each building
pub(super) const TUNNELS: usize = Use::ALL.len();

/// A tunnel that is dialled again whenever it has ended
#[derive(Debug, Clone, Copy)]
pub(super) struct SoakTunnel {
    pub(super) building: Building,
    pub(super) policy: EchoPolicy,
    pub(super) usage: Use,
}

/// The use of a tunnel
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing: only the detector speaks
    Idle,
    /// A ping now and then
    Sparse,
    /// Transfers both ways, one after the other
    Busy,
    /// Questions to a host that is dead, and to nobody else
    DeadHost,
}

impl Use {
    const ALL: [Self; 4] = [Self::Idle, Self::Sparse, Self::Busy, Self::DeadHost];
}

/// Dead 33 s after the last frame, and not before the server was unreachable for 28 s: what the
/// injected faults just do not exceed
const SHARP: EchoPolicy = EchoPolicy::DEFAULT
    .silence(Duration::from_secs(5))
    .interval(Duration::from_secs(7))
    .unanswered(4);

impl SoakTunnel {
    /// Those of `building`: in the buildings of even numbers the idle one has the default policy
    pub(super) fn of(building: Building) -> impl Iterator<Item = Self> {
        Use::ALL.into_iter().map(move |usage| {
            let is_patient = usage == Use::Idle && building.number().is_multiple_of(2);
            let policy = if is_patient { EchoPolicy::default() } else { SHARP };
            Self { building, policy, usage }
        })
    }

    /// Another for each tunnel
    pub(super) fn number(&self) -> u64 {
        u64::from(self.building.number()) << 8 | self.usage as u64
    }

    pub(super) fn name(&self) -> String {
        format!("building {}, {:?}", self.building.number(), self.usage)
    }

    /// The configuration of its tunnel
    pub(super) fn config(&self) -> TunnelConfig {
        use Building as B;
        let config = config(self.building).echo(self.policy);
        let in_the_clear = EncryptionDemand::InsecureAllow;
        match self.building {
            B::STATEFUL => config.insecure_stateful_mppe_first(StatefulReset::Linux),
            B::MSCHAP2_PLAIN => config.insecure_encryption(in_the_clear),
            B::MPPE40 => config.insecure_least_key(KeyStrength::Bits40),
            B::PAP_PLAIN => config.insecure_encryption(in_the_clear).insecure_pap(),
            B::CHAP_MD5_PLAIN => config.insecure_encryption(in_the_clear).insecure_chap_md5(),
            B::MSCHAP1 => config.insecure_mschap_v1(),
            _ => config,
        }
    }

    /// A message with its name
    pub(super) fn told(&self, message: Option<&str>) -> String {
        format!("{}: {}", self.name(), message.unwrap_or("failed"))
    }
}
