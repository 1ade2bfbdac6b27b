//! A site and a server as the watch has seen them

use std::{fmt, time::Duration};

use pptp::{Class, error::Layer};
use pptp_fleet::{HangUp, SiteFailure, SiteState};
use tokio::time::Instant;

use crate::plan::{is_disabled, is_manual, is_on_demand};

/// A site as the watch has seen it
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) state: SiteState,
    /// The time of its latest event
    pub(crate) at: Instant,
    /// The building that it is dialled to
    pub(crate) server: usize,
    pub(crate) is_on_demand: bool,
    /// It is dialled only if a person asks
    pub(crate) is_manual: bool,
    /// A person has asked for it since it is there
    pub(crate) is_asked: bool,
    /// It is not to be dialled at all
    pub(crate) is_disabled: bool,
    /// The latest pause, until the next dial
    pub(crate) pause: Option<Pause>,
    /// A person wants it down, and every event so far was told
    pub(crate) is_down: bool,
    pub(crate) may: May,
    /// The latest time at which an owner or a person did something by which its pauses end
    pub(crate) asked: Option<Instant>,
    /// The latest time at which a client shortened a pause of it
    pub(crate) hurried: Option<Instant>,
    /// The time until which a client wants it
    pub(crate) wanted_until: Option<Instant>,
    /// The latest time at which a client used it
    pub(crate) used: Option<Instant>,
    /// The clients that use it now
    pub(crate) users: usize,
    /// The time until which it may be lost
    pub(crate) disturbed_until: Instant,
}

/// A pause that was told
#[derive(Debug, Clone)]
pub(crate) struct Pause {
    pub(crate) since: Instant,
    pub(crate) until: Instant,
    pub(crate) failure: SiteFailure,
}

/// The hang-ups that somebody has asked for, until the next dial
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct May {
    pub(crate) be_down: bool,
    pub(crate) be_removed: bool,
    pub(crate) be_restarted: bool,
    pub(crate) be_redialled: bool,
}

/// One line, with times as they are from now on
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, at, server, may, users, .. } = self;
        write!(f, "{state} for {:?}, server {server}, {may:?}, {users} users", at.elapsed())?;
        if let Some(pause) = &self.pause {
            let left = pause.until.saturating_duration_since(Instant::now());
            write!(f, ", pauses for {left:?} after {}", pause.failure.name())?;
        }
        Ok(())
    }
}

impl May {
    /// Returns true if a hang-up is asked for
    pub(crate) const fn be_hung_up(self) -> bool {
        self.be_down || self.be_removed || self.be_restarted || self.be_redialled
    }
}

/// A server as the watch has seen it
#[derive(Debug)]
pub(crate) struct Server {
    /// It is known by a name, and by its address: a dial by the one says nothing about the other
    pub(crate) has_name: bool,
    /// Dials that have failed in a row for the server's own sake
    pub(crate) failures: u32,
    pub(crate) failed: Instant,
    /// The latest time at which a site of it was dialled
    pub(crate) dialled: Instant,
    /// The latest time at which a login was accepted, or somebody asked for one of its sites
    pub(crate) opened: Instant,
    /// The time until which its tunnels may be lost
    pub(crate) disturbed_until: Instant,
}

impl Seen {
    pub(crate) const fn new(state: SiteState, at: Instant, server: usize, number: usize) -> Self {
        Self {
            state,
            at,
            server,
            is_on_demand: is_on_demand(number),
            is_manual: is_manual(number),
            is_asked: false,
            is_disabled: is_disabled(number),
            pause: None,
            is_down: false,
            may: May {
                be_down: false,
                be_removed: false,
                be_restarted: false,
                be_redialled: false,
            },
            asked: None,
            hurried: None,
            wanted_until: None,
            used: None,
            users: 0,
            disturbed_until: at,
        }
    }

    /// Returns true if it has a tunnel
    pub(crate) const fn has_tunnel(&self) -> bool {
        matches!(self.state, SiteState::Up { .. } | SiteState::Renegotiating { .. })
    }

    /// Returns true if the site is to be dialled without a client
    pub(crate) const fn is_wanted(&self) -> bool {
        !self.is_down
            && !self.is_disabled
            && !self.is_on_demand
            && (!self.is_manual || self.is_asked)
    }

    /// Returns true if the site may be dialled for nobody
    pub(crate) const fn rests(&self) -> bool {
        self.is_down || self.is_disabled || self.is_manual && !self.is_asked
    }

    /// Returns true if somebody has asked for this hang-up
    pub(crate) fn may_hang_up(&self, why: HangUp, at: Instant, idle: Duration) -> bool {
        match why {
            HangUp::Down => self.may.be_down || self.is_down || self.is_disabled,
            HangUp::Removed => self.may.be_removed,
            HangUp::Restart => self.may.be_restarted,
            // one that is removed and added again is hung up for its new configuration
            HangUp::Config => self.may.be_redialled || self.may.be_removed,
            HangUp::Idle => {
                let is_unused = self.used.is_none_or(|used| at - used + SLACK >= idle);
                self.is_on_demand && self.users == 0 && is_unused
            }
            HangUp::Failed => true,
            HangUp::ShutDown => false,
        }
    }

    /// Returns true if its pause ends with this state
    ///
    /// That is the wish for a dial. Behind a server that waits the wish is not told; and a site that waits since its server
    /// refuses logins is told to be queued while another one is tried.
    pub(crate) fn ends_pause(&self, next: &SiteState) -> bool {
        let is_login = |pause: &Pause| pause.failure.class() == Class::Credentials;
        match next {
            SiteState::Dialling { .. } => true,
            SiteState::Queued | SiteState::HangingUp { why: HangUp::Failed } => {
                !self.pause.as_ref().is_some_and(is_login)
            }
            _ => false,
        }
    }

    /// Takes the end of a pause; returns the reason if it comes too early
    pub(crate) fn end_pause(&mut self, at: Instant, server: &Server) -> Result<(), String> {
        let Some(pause) = self.pause.take().filter(|pause| pause.until > at) else {
            return Ok(());
        };
        let since = |event: Instant| event >= pause.since;
        let is_asked = self.asked.is_some_and(since);
        // A server that waits is opened for all by its scout; it may also have been doubted for its refusals. One with a
        // name has an entry by that and one by its address, and a dial by the one ends the doubt of the other.
        let is_login = pause.failure.class() == Class::Credentials;
        let is_opened =
            is_of_server(&pause.failure) || is_login && (since(server.opened) || server.has_name);
        // the daemon itself looks if a password can be had again
        let is_there = matches!(pause.failure, SiteFailure::Secret { .. });
        if is_asked || is_opened || is_there {
            return Ok(());
        }
        let is_recent = self.hurried.is_some_and(|hurried| at - hurried < HURRY);
        let has_client = self.wanted_until.is_some_and(since);
        if pause.failure.class() == Class::Network && has_client && !is_recent {
            self.hurried = Some(at);
            return Ok(());
        }
        let left = pause.until - at;
        Err(format!("is dialled {left:?} too early after: {}", pause.failure))
    }
}

/// Returns true if a failure is the server's: all its sites wait for it
pub(crate) fn is_of_server(failure: &SiteFailure) -> bool {
    let SiteFailure::Tunnel(error) = failure else { return false };
    matches!(error.layer(), Layer::Name | Layer::Tcp) || error.name() == "NoControlReply"
}

/// Returns the longest pause after a failure
pub(crate) fn max_pause(failure: &SiteFailure) -> Duration {
    let most = match failure.class() {
        Class::Credentials => Duration::from_hours(24),
        Class::Operator | Class::Configuration => Duration::from_hours(1),
        Class::OwnDeed | Class::Network | Class::Busy | Class::Host => Duration::from_mins(5),
    };
    // chance makes it longer by up to a half
    most * 3 / 2 + SLACK
}

/// Clients shorten the pauses of a site this often at most
const HURRY: Duration = Duration::from_secs(10);

/// Tokio's clock has whole milliseconds, and so have the times of messages
pub(crate) const SLACK: Duration = Duration::from_secs(1);
