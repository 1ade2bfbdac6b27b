//! The steps from one phase to another that several inputs share

use std::time::Instant;

use pptp::Class;

use super::{HURRY_INTERVAL, SiteMachine};
use crate::{
    Connect, SiteFailure,
    decide::{
        backoff::Failed,
        dial::Urgency,
        phase::{Action, HangUp, Phase, Then},
    },
};

impl SiteMachine {
    /// Returns true if the configuration, an earlier request or a waiting client wants the site up
    pub(super) fn wants_up(&self, now: Instant) -> bool {
        let is_wanted = match self.connect {
            Connect::Always => true,
            Connect::OnDemand { .. } => {
                self.is_asked || self.demand_until.is_some_and(|until| until > now)
            }
            Connect::Manual => self.is_asked,
        };
        self.is_enabled && self.down_by.is_none() && is_wanted
    }

    pub(super) fn idle_at(&self, since: Instant) -> Option<Instant> {
        match self.connect {
            Connect::OnDemand { idle } => since.checked_add(idle),
            Connect::Always | Connect::Manual => None,
        }
    }

    pub(super) fn queue(&mut self, urgency: Urgency) {
        self.phase = Phase::Queued { urgency };
        self.actions.push_back(Action::Wish(urgency));
    }

    /// Wishes for a dial if the site is to be up, and rests if not
    pub(super) fn settle(&mut self, now: Instant, urgency: Urgency) {
        if self.wants_up(now) { self.queue(urgency) } else { self.phase = Phase::Resting }
    }

    /// Ends what is under way, and then follows `then`
    pub(super) fn end(&mut self, why: HangUp, then: Then) {
        match &self.phase {
            Phase::Dialling => {
                self.actions.push_back(Action::HangUp);
                self.phase = Phase::HangingUp { why, then };
            }
            Phase::Up { redials, .. } => {
                if *redials {
                    self.actions.push_back(Action::Withdraw);
                }
                self.actions.push_back(Action::HangUp);
                self.phase = Phase::HangingUp { why, then };
            }
            Phase::Fetching { .. } => match then {
                Then::Dial(urgency) => self.queue(urgency),
                _ => self.phase = Phase::Resting,
            },
            _ => {}
        }
    }

    /// Ends what is under way, and rests
    pub(super) fn rest(&mut self, why: HangUp) {
        match &mut self.phase {
            Phase::Queued { .. } => {
                self.actions.push_back(Action::Withdraw);
                self.phase = Phase::Resting;
            }
            Phase::Waiting { .. } | Phase::Stopped { .. } | Phase::Fetching { .. } => {
                self.phase = Phase::Resting;
            }
            Phase::HangingUp { then, .. } if *then != Then::Gone => *then = Then::Rest,
            Phase::Dialling | Phase::Up { .. } => self.end(why, Then::Rest),
            Phase::Resting | Phase::HangingUp { .. } | Phase::Gone => {}
        }
    }

    /// Ends what is under way, and the site with it
    pub(super) fn finish(&mut self, why: HangUp) {
        self.rest(why);
        match &mut self.phase {
            Phase::HangingUp { why: before, then } => (*before, *then) = (why, Then::Gone),
            Phase::Gone => {}
            _ => {
                self.phase = Phase::Gone;
                self.actions.push_back(Action::Forget);
            }
        }
    }

    /// Returns what follows a failure
    pub(super) fn after(
        &mut self,
        now: Instant,
        failure: SiteFailure,
        urgency: Urgency,
        (was_accepted, chance): (bool, f64),
    ) -> Then {
        self.latest_failure = Some((now, failure.clone()));
        if failure.is_final() {
            return Then::Stop(failure);
        }
        let class = match failure.class() {
            // learned from the wire or from DNS: anybody may have said it
            Class::Configuration => Class::Operator,
            // it was not asked for on this side, or this call would not be made
            Class::OwnDeed => Class::Network,
            class => class,
        };
        let failed = Failed { class, retry_after: failure.retry_after(), was_accepted };
        match self.backoff.failed(failed, chance).and_then(|pause| now.checked_add(pause)) {
            Some(until) => Then::Wait { until, urgency, failure },
            None => Then::Stop(failure),
        }
    }

    pub(super) fn follow(&mut self, now: Instant, then: Then) {
        match then {
            Then::Rest => self.settle(now, Urgency::Asked),
            Then::Dial(urgency) => self.queue(urgency),
            Then::Wait { until, urgency, .. } if until <= now => self.settle(now, urgency),
            Then::Wait { until, urgency, failure } => {
                self.phase = Phase::Waiting { until, urgency, failure };
            }
            Then::Stop(failure) => self.phase = Phase::Stopped { failure },
            Then::Gone => {
                self.phase = Phase::Gone;
                self.actions.push_back(Action::Forget);
            }
        }
    }

    pub(super) fn may_hurry(&self, now: Instant) -> bool {
        let is_recent = |at| now.saturating_duration_since(at) < HURRY_INTERVAL;
        !self.hurried.is_some_and(is_recent)
    }

    /// Cuts a pause short, because a client waits
    pub(super) fn hurry(&mut self, now: Instant) {
        self.hurried = Some(now);
        match &mut self.phase {
            Phase::HangingUp { then, .. } => *then = Then::Dial(Urgency::Waited),
            _ => self.queue(Urgency::Waited),
        }
    }
}
