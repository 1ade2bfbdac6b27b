//! The states of a site, as its owner sees them

use std::fmt;

use pptp::error::Phase;
use tokio::time::Instant;

use crate::{Caller, HangUp, SiteFailure};

/// The state of a site
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SiteState {
    /// Its configuration says that it is not to be up
    Disabled,
    /// A person or a program wants it down, until somebody wants it up
    Down {
        /// Who
        by: Caller,
    },
    /// Nobody uses it, and it is dialled when somebody does
    Idle,
    /// It waits for its turn to be dialled, or for its server to be tried again
    Queued,
    /// Its password is fetched
    FetchingSecret,
    /// It is being dialled
    Dialling {
        /// The phase of the connect
        phase: Phase,
    },
    /// Packets pass
    Up {
        /// Since when
        since: Instant,
    },
    /// The server negotiates anew, and no packet passes meanwhile
    Renegotiating {
        /// Since when the tunnel is up
        since: Instant,
    },
    /// A tunnel or a dial is being ended
    HangingUp {
        /// Why
        why: HangUp,
    },
    /// It waits after a failure
    Waiting {
        /// The time of the next dial, unless its server has to wait longer
        until: Instant,
        /// The failure
        failure: SiteFailure,
    },
    /// No dial can succeed before the configuration changes
    Stopped {
        /// The failure
        failure: SiteFailure,
    },
    /// It was removed, and nothing is left of it
    Removed,
}

impl SiteState {
    /// The words for all states that a site of a fleet can be in; one that was removed is in none
    pub const NAMES: [&'static str; 11] = [
        "disabled",
        "down",
        "idle",
        "queued",
        "fetching-secret",
        "dialling",
        "up",
        "renegotiating",
        "hanging-up",
        "waiting",
        "stopped",
    ];

    /// Returns a word for programs
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Down { .. } => "down",
            Self::Idle => "idle",
            Self::Queued => "queued",
            Self::FetchingSecret => "fetching-secret",
            Self::Dialling { .. } => "dialling",
            Self::Up { .. } => "up",
            Self::Renegotiating { .. } => "renegotiating",
            Self::HangingUp { .. } => "hanging-up",
            Self::Waiting { .. } => "waiting",
            Self::Stopped { .. } => "stopped",
            Self::Removed => "removed",
        }
    }

    /// Returns true if packets pass
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Returns the failure that keeps it from being up, if it is one
    pub const fn failure(&self) -> Option<&SiteFailure> {
        match self {
            Self::Waiting { failure, .. } | Self::Stopped { failure } => Some(failure),
            _ => None,
        }
    }
}

/// One line, without times: `waiting: TcpRefused: …`
impl fmt::Display for SiteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Down { by } => write!(f, " by {by}"),
            Self::Dialling { phase } => write!(f, ": {phase}"),
            Self::HangingUp { why } => write!(f, ": {why}"),
            Self::Waiting { failure, .. } | Self::Stopped { failure } => write!(f, ": {failure}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_all_states_but_removed() {
        let (since, failure) = (Instant::now(), SiteFailure::LoginHeld);
        let states = [
            SiteState::Disabled,
            SiteState::Down { by: Caller("anna".to_owned()) },
            SiteState::Idle,
            SiteState::Queued,
            SiteState::FetchingSecret,
            SiteState::Dialling { phase: Phase::Resolve },
            SiteState::Up { since },
            SiteState::Renegotiating { since },
            SiteState::HangingUp { why: HangUp::Idle },
            SiteState::Waiting { until: since, failure: failure.clone() },
            SiteState::Stopped { failure },
        ];
        assert_eq!(states.map(|state| state.name()), SiteState::NAMES);
        assert!(!SiteState::NAMES.contains(&SiteState::Removed.name()));
    }
}
