//! What the scheduler, the ledger and a dial or tunnel say of a site

use std::time::Instant;

use super::{MAX_FETCH_TIME, SiteMachine};
use crate::{
    SiteFailure,
    decide::{
        backoff::STABLE,
        dial::Urgency,
        phase::{Action, HangUp, Phase, Then},
    },
};

impl SiteMachine {
    /// Takes the scheduler's grant; false if it is of no use, and the place is free again
    pub(crate) fn handle_grant(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Queued { urgency } if self.needs_secret && !self.has_secret => {
                let until = now.checked_add(MAX_FETCH_TIME).unwrap_or(now);
                self.phase = Phase::Fetching { urgency, until };
                self.actions.push_back(Action::FetchSecret);
                false
            }
            Phase::Queued { .. } => {
                self.phase = Phase::Dialling;
                self.actions.push_back(Action::Dial);
                true
            }
            Phase::Up { redials: true, .. } => {
                self.end(HangUp::Config, Then::Dial(Urgency::Asked));
                false
            }
            _ => false,
        }
    }

    /// Takes the ledger's objection: the login is not to be tried before this time
    ///
    /// It is the pause of the refusal before, made longer. A tunnel that is up stays until then.
    pub(crate) fn handle_held(&mut self, now: Instant, until: Instant) {
        // the password may be another by then
        self.has_secret = false;
        match self.phase {
            Phase::Queued { urgency } => {
                self.latest_failure = Some((now, SiteFailure::LoginHeld));
                self.phase = Phase::Waiting { until, urgency, failure: SiteFailure::LoginHeld };
            }
            Phase::Up { redials: true, .. } => self.held_until = Some(until),
            _ => {}
        }
    }

    /// Takes the end of a dial whose failure is the server's: the site waits for its turn behind the server's scout
    ///
    /// [`Self::handle_left`] has to follow.
    pub(crate) fn handle_server_failed(&mut self, now: Instant, failure: SiteFailure) {
        if matches!(self.phase, Phase::Dialling) {
            self.has_secret = false;
            self.latest_failure = Some((now, failure.clone()));
            let then = Then::Wait { until: now, urgency: Urgency::Again, failure };
            self.phase = Phase::HangingUp { why: HangUp::Failed, then };
        }
    }

    /// Takes the outcome of [`Action::FetchSecret`]
    pub(crate) fn handle_secret(
        &mut self,
        now: Instant,
        outcome: Result<(), SiteFailure>,
        chance: f64,
    ) {
        let Phase::Fetching { urgency, .. } = self.phase else { return };
        match outcome {
            Ok(()) => {
                self.has_secret = true;
                self.queue(urgency);
            }
            Err(failure) => {
                let then = self.after(now, failure, Urgency::Again, (false, chance));
                self.follow(now, then);
            }
        }
    }

    /// Notes that the tunnel is up, for the first time or again
    pub(crate) fn handle_tunnel_up(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Dialling => {
                self.backoff.up();
                self.demand_until = None;
                let (is_renegotiating, redials) = (false, false);
                self.held_until = None;
                self.phase = Phase::Up { since: now, is_renegotiating, redials, last_use: now };
            }
            Phase::Up { is_renegotiating, .. } => *is_renegotiating = false,
            _ => {}
        }
    }

    /// Notes that the server negotiates anew
    pub(crate) const fn handle_renegotiating(&mut self) {
        if let Phase::Up { is_renegotiating, .. } = &mut self.phase {
            *is_renegotiating = true;
        }
    }

    /// Takes the end of the dial or of the tunnel; [`Self::handle_left`] has to follow
    ///
    /// `login` says whether the server has accepted the login before; `chance` is in 0..1.
    pub(crate) fn handle_ended(
        &mut self,
        now: Instant,
        failure: SiteFailure,
        login: bool,
        chance: f64,
    ) {
        let urgency = match self.phase {
            Phase::Dialling => Urgency::Again,
            Phase::Up { since, .. } => {
                let lasted = now.saturating_duration_since(since);
                // two sites that end each other in turns would begin with the shortest pause for ever
                if !matches!(failure, SiteFailure::LoginInUse { .. }) {
                    self.backoff.was_up(lasted);
                }
                if lasted >= STABLE { Urgency::Lost } else { Urgency::Again }
            }
            // ended on this side: no failure
            _ => return,
        };
        if let Phase::Up { redials: true, .. } = self.phase {
            self.actions.push_back(Action::Withdraw);
        }
        self.has_secret = false;
        let then = self.after(now, failure, urgency, (login, chance));
        self.phase = Phase::HangingUp { why: HangUp::Failed, then };
    }

    /// Notes that nothing of the dial or of the tunnel is left on the wire
    pub(crate) fn handle_left(&mut self, now: Instant) {
        if let Phase::HangingUp { then, .. } = &mut self.phase {
            let then = std::mem::replace(then, Then::Rest);
            self.phase = Phase::Resting;
            self.has_secret = false;
            self.follow(now, then);
        }
    }
}
