//! A site as the supervisor has it, and its state for its owner

use std::{sync::Arc, time::Instant as StdInstant};

use pptp::Password;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::counters::Counters;
use crate::{
    Secret, SiteConfig, SiteFailure, SiteState,
    decide::{
        dial::ServerKey,
        health::Health,
        login::LoginKey,
        phase::{HangUp, Phase, Then},
        site::SiteMachine,
        twins::Stage,
    },
    keeper::Keeper,
    site::SiteShared,
};

/// A site as the supervisor has it
pub(super) struct Entry {
    pub(super) shared: Arc<SiteShared>,
    pub(super) config: Arc<SiteConfig>,
    pub(super) machine: SiteMachine,
    pub(super) keeper: Option<Keeper>,
    /// The password of the next dial, once it has been fetched
    pub(super) password: Option<Password>,
    /// The number of the fetch that counts; an earlier one is of no use any more
    pub(super) fetch: u64,
    pub(super) login: Option<LoginKey>,
    /// The server as the scheduler knows it
    pub(super) server: ServerKey,
    /// The server that the tunnel that is up was counted for
    pub(super) up_at: Option<ServerKey>,
    pub(super) phase: pptp::error::Phase,
    /// The time at which the dial came to this phase
    pub(super) phase_since: StdInstant,
    pub(super) counters: Counters,
    pub(super) health: Health,
    /// Ends the latest probe's task
    pub(super) probing: Option<DropGuard>,
    pub(super) timer: Option<StdInstant>,
    /// Remembered for the next dial: quirks, inner address
    pub(super) resume: Option<Arc<pptp::Info>>,
}

impl Entry {
    /// Returns the login of the next dial; `None` while its password has to be fetched first
    pub(super) fn next_login(&self, secret: &[u8; 16]) -> Option<LoginKey> {
        let password = match &self.config.secret {
            Secret::Literal(password) => password,
            Secret::Source(_) | Secret::Invalid(_) => {
                self.password.as_ref().filter(|_| self.machine.has_secret())?
            }
        };
        Some(self.config.login(secret, password))
    }
}

/// Returns true if a change of state is worth an event: another state, or another failure
pub(super) fn is_news(before: &SiteState, after: &SiteState) -> bool {
    let failure = |state: &SiteState| state.failure().map(SiteFailure::name);
    before.name() != after.name() || failure(before) != failure(after)
}

/// The stage of a site's session for its twins
pub(super) fn stage_of(entry: &Entry) -> Stage {
    match entry.machine.phase() {
        Phase::Dialling if entry.phase >= pptp::error::Phase::Authentication => Stage::LoggingIn,
        Phase::Dialling => Stage::Dialling,
        Phase::Up { since, .. } => Stage::Up(*since),
        Phase::HangingUp { .. } => Stage::Leaving,
        _ => Stage::Down,
    }
}

/// The state of a site by its machine
pub(super) fn state_of(entry: &Entry) -> SiteState {
    let machine = &entry.machine;
    match machine.phase() {
        Phase::Resting if !machine.is_enabled() => SiteState::Disabled,
        Phase::Resting => match machine.down_by() {
            Some(by) => SiteState::Down { by: by.clone() },
            None => SiteState::Idle,
        },
        Phase::Queued { .. } => SiteState::Queued,
        Phase::Fetching { .. } => SiteState::FetchingSecret,
        Phase::Dialling => SiteState::Dialling { phase: entry.phase },
        Phase::Up { since, is_renegotiating: false, .. } => {
            SiteState::Up { since: Instant::from_std(*since) }
        }
        Phase::Up { since, .. } => SiteState::Renegotiating { since: Instant::from_std(*since) },
        Phase::HangingUp { why: HangUp::Failed, then: Then::Wait { until, failure, .. } }
        | Phase::Waiting { until, failure, .. } => {
            SiteState::Waiting { until: Instant::from_std(*until), failure: failure.clone() }
        }
        Phase::HangingUp { why, .. } => SiteState::HangingUp { why: *why },
        Phase::Stopped { failure } => SiteState::Stopped { failure: failure.clone() },
        Phase::Gone => SiteState::Removed,
    }
}
