//! The phases of a site, and the words that its machine has for inputs and outputs

use std::{fmt, time::Instant};

use super::dial::Urgency;
use crate::SiteFailure;

/// The phase of a site
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// Nothing is under way, and nothing is to be
    Resting,
    /// It waits for the scheduler
    Queued { urgency: Urgency },
    /// Its password is fetched
    Fetching { urgency: Urgency, until: Instant },
    /// A dial is under way
    Dialling,
    /// The tunnel is up
    Up { since: Instant, is_renegotiating: bool, redials: bool, last_use: Instant },
    /// The tunnel or the dial is being ended
    HangingUp { why: HangUp, then: Then },
    /// A dial failed, or the tunnel was lost: it waits for the next dial
    Waiting { until: Instant, urgency: Urgency, failure: SiteFailure },
    /// No dial can succeed before the configuration changes
    Stopped { failure: SiteFailure },
    /// It was removed, and nothing is left of it
    Gone,
}

/// The reason for a hang-up
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// A person or a program wants the site down, or it was disabled
    Down,
    /// The site was removed
    Removed,
    /// The configuration has changed
    Config,
    /// The site was not used for its idle time
    Idle,
    /// Somebody asked for a restart
    Restart,
    /// The connect failed or the tunnel ended, and the rest of it is cleared away
    Failed,
    /// The program ends
    ShutDown,
}

/// In words, as the end of "hanging up: …"
impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "it is to be down",
            Self::Removed => "it was removed",
            Self::Config => "its configuration has changed",
            Self::Idle => "nobody uses it",
            Self::Restart => "somebody asked for a restart",
            Self::Failed => "it has failed",
            Self::ShutDown => "the program ends",
        })
    }
}

/// The step that follows a hang-up
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Then {
    /// Rest, or a dial if the owner or a client wants the site by then
    Rest,
    /// A dial
    Dial(Urgency),
    /// A pause
    Wait { until: Instant, urgency: Urgency, failure: SiteFailure },
    /// Nothing, before the configuration changes
    Stop(SiteFailure),
    /// The end of the site
    Gone,
}

/// Task of the supervisor for a site
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Wish for a dial at the scheduler, or change the wish
    Wish(Urgency),
    /// Take the wish back
    Withdraw,
    /// Fetch the password; the answer is `SiteMachine::handle_secret`
    FetchSecret,
    /// Dial
    Dial,
    /// Give the dial up, or hang up the tunnel; the answer is `SiteMachine::handle_left`
    HangUp,
    /// Have the tunnel ask its server for a sign of life now
    Look,
    /// Forget the site
    Forget,
}

/// Effect of a change of the configuration on a tunnel
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No effect
    Nothing,
    /// The next dial uses it; the tunnel stays. It is the password that has changed
    NextDial,
    /// The tunnel itself: it has to be dialled again
    Tunnel,
}

/// The answer to a client that wants to use a site
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may wait
    Wait,
    /// The site will not be up in time: the state says why
    Refuse,
}
