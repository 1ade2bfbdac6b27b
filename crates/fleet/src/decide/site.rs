//! One site: what it does when its owner, a client, the scheduler or the tunnel says something
//!
//! `dial` has what the scheduler, the ledger and the dial itself say; `transitions` the steps that inputs share.
//! The table of all states and inputs is in the tests, each cell of it.

mod dial;
mod transitions;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use pptp::Class;

use super::{
    backoff::Backoff,
    dial::Urgency,
    phase::{Action, Answer, HangUp, Phase, Reach, Then},
};
use crate::{Caller, Connect, SiteFailure};

/// One site as a machine: inputs with `now` go in, actions and the next deadline come out
///
/// At most one dial or tunnel is under way: each way out of a dial and of a tunnel passes [`Phase::HangingUp`], which
/// ends when the keeper says that nothing is left on the wire.
#[derive(Debug)]
pub(crate) struct SiteMachine {
    connect: Connect,
    is_enabled: bool,
    /// The person or the program that wants it down; lasts until [`Self::handle_up`]
    down_by: Option<Caller>,
    /// Somebody asked for it: what a manual site needs
    is_asked: bool,
    /// The time until which a client waits for it
    demand_until: Option<Instant>,
    /// The latest time at which a client's wish cut a pause short
    hurried: Option<Instant>,
    /// The password is there for the next dial
    has_secret: bool,
    /// A tunnel that is up and is to be redialled wishes for that again at this time, since the login is held
    held_until: Option<Instant>,
    /// A dial needs a password that has to be fetched
    needs_secret: bool,
    phase: Phase,
    backoff: Backoff,
    latest_failure: Option<(Instant, SiteFailure)>,
    actions: VecDeque<Action>,
}

impl SiteMachine {
    /// Makes the machine of a site that was added; it may wish for a dial at once
    pub(crate) fn new(connect: Connect, is_enabled: bool, needs_secret: bool) -> Self {
        let mut machine = Self {
            connect,
            is_enabled,
            down_by: None,
            is_asked: false,
            demand_until: None,
            hurried: None,
            has_secret: false,
            held_until: None,
            needs_secret,
            phase: Phase::Resting,
            backoff: Backoff::default(),
            latest_failure: None,
            actions: VecDeque::new(),
        };
        if machine.is_enabled && machine.connect == Connect::Always {
            machine.queue(Urgency::Start);
        }
        machine
    }

    pub(crate) const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Returns true if the tunnel is up, and was not used for its idle time
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let Phase::Up { last_use, .. } = &self.phase else { return false };
        self.idle_at(*last_use).is_some_and(|at| at <= now)
    }

    /// Returns true if the password of the next dial was fetched
    pub(crate) const fn has_secret(&self) -> bool {
        self.has_secret
    }

    pub(crate) const fn down_by(&self) -> Option<&Caller> {
        self.down_by.as_ref()
    }

    pub(crate) const fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Returns true if the site is to be up: its owner or a client wants it, and nobody wants it down
    pub(crate) fn is_wanted(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Resting | Phase::Gone | Phase::HangingUp { then: Then::Gone, .. } => false,
            Phase::HangingUp { then: Then::Rest, .. } => self.wants_up(now),
            _ => true,
        }
    }

    /// The number of failures in a row
    pub(crate) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// The latest failure and its time, also if the site came up after it
    pub(crate) const fn latest_failure(&self) -> Option<&(Instant, SiteFailure)> {
        self.latest_failure.as_ref()
    }

    /// Returns what the supervisor has to do next
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns the time of the next [`Self::handle_timeout`]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Fetching { until, .. } | Phase::Waiting { until, .. } => Some(*until),
            Phase::Up { last_use, redials, .. } => {
                let held_until = self.held_until.filter(|_| *redials);
                [self.idle_at(*last_use), held_until].into_iter().flatten().min()
            }
            _ => None,
        }
    }

    /// Takes another configuration; `reach` is against the one that the tunnel was dialled with
    ///
    /// For a site that was removed and is still hanging up, it is the configuration of the site that follows.
    pub(crate) fn handle_config(
        &mut self,
        now: Instant,
        (connect, is_enabled, needs_secret): (Connect, bool, bool),
        reach: Reach,
    ) {
        let starts = is_enabled && !self.is_enabled || connect != self.connect;
        (self.connect, self.is_enabled, self.needs_secret) = (connect, is_enabled, needs_secret);
        if reach != Reach::Nothing {
            self.has_secret = false;
            self.backoff.reset();
        }
        if !self.is_enabled {
            self.rest(HangUp::Down);
            return;
        }
        match &mut self.phase {
            Phase::Dialling if reach == Reach::Tunnel => {
                self.end(HangUp::Config, Then::Dial(Urgency::Asked));
            }
            // the fetch under way is that of the old password
            Phase::Fetching { urgency, .. } if reach != Reach::Nothing => {
                let urgency = *urgency;
                self.queue(urgency);
            }
            Phase::Up { redials, .. } => {
                let before = std::mem::replace(redials, reach == Reach::Tunnel);
                let was_held = self.held_until.take().is_some();
                match (before, reach == Reach::Tunnel) {
                    (false, true) => self.actions.push_back(Action::Wish(Urgency::Start)),
                    (true, true) if was_held => {
                        self.actions.push_back(Action::Wish(Urgency::Start));
                    }
                    (true, false) => self.actions.push_back(Action::Withdraw),
                    _ => {}
                }
            }
            // a site that is removed and added again waits for its own hang-up
            Phase::HangingUp { why: why @ HangUp::Removed, then } => {
                (*why, *then) = (HangUp::Config, Then::Rest);
            }
            Phase::HangingUp { why, then }
                if reach != Reach::Nothing && *why != HangUp::ShutDown =>
            {
                *then = Then::Rest;
            }
            Phase::Waiting { .. } | Phase::Stopped { .. } if reach != Reach::Nothing => {
                self.settle(now, Urgency::Asked);
            }
            Phase::Queued { urgency } => {
                // the server may be another
                let urgency = *urgency;
                if self.wants_up(now) { self.queue(urgency) } else { self.rest(HangUp::Down) }
            }
            Phase::Resting if starts => self.settle(now, Urgency::Start),
            _ => {}
        }
    }

    /// Removes the site: it is gone when nothing is left on the wire
    pub(crate) fn handle_remove(&mut self) {
        self.finish(HangUp::Removed);
    }

    /// Takes the wish of a person or a program to have it up
    pub(crate) fn handle_up(&mut self, now: Instant) {
        self.down_by = None;
        self.is_asked = true;
        match &mut self.phase {
            Phase::Resting | Phase::Waiting { .. } | Phase::Stopped { .. } if self.is_enabled => {
                self.backoff.reset();
                self.queue(Urgency::Asked);
            }
            Phase::Queued { urgency } if *urgency > Urgency::Asked => self.queue(Urgency::Asked),
            Phase::HangingUp { why, then }
                if *why != HangUp::ShutDown && *then != Then::Gone && self.is_enabled =>
            {
                *then = Then::Dial(Urgency::Asked);
            }
            Phase::Up { last_use, .. } => *last_use = now,
            _ => {}
        }
    }

    /// Takes the wish of a person or a program to have it down, until [`Self::handle_up`]
    pub(crate) fn handle_down(&mut self, by: Caller) {
        self.down_by = Some(by);
        self.is_asked = false;
        self.rest(HangUp::Down);
    }

    /// Hangs up, if there is something to hang up, and dials again
    pub(crate) fn handle_restart(&mut self, now: Instant) {
        match self.phase {
            Phase::Dialling | Phase::Up { .. } | Phase::Fetching { .. } => {
                self.down_by = None;
                self.is_asked = true;
                self.backoff.reset();
                self.end(HangUp::Restart, Then::Dial(Urgency::Asked));
            }
            _ => self.handle_up(now),
        }
    }

    /// Notes that somebody used the tunnel at this time; now, if somebody uses it now
    ///
    /// To be called before [`Self::handle_timeout`], so that a tunnel in use is never hung up.
    pub(crate) fn handle_use(&mut self, at: Instant) {
        if let Phase::Up { last_use, .. } = &mut self.phase {
            *last_use = at.max(*last_use);
        }
    }

    /// Takes a client that wants to use the site, and waits for `patience` at most
    pub(crate) fn handle_client(&mut self, now: Instant, patience: Duration) -> Answer {
        let is_open = self.is_enabled && self.down_by.is_none();
        let by = now.checked_add(patience).unwrap_or(now);
        if !is_open || (self.connect == Connect::Manual && !self.is_asked) {
            return Answer::Refuse;
        }
        let answer = self.answer(now, by);
        if answer == Answer::Wait {
            self.demand_until = self.demand_until.max(Some(by));
        }
        answer
    }

    fn answer(&mut self, now: Instant, by: Instant) -> Answer {
        match &self.phase {
            Phase::Resting => self.queue(Urgency::Waited),
            Phase::Queued { urgency } if *urgency > Urgency::Waited => self.queue(Urgency::Waited),
            Phase::HangingUp { why: HangUp::ShutDown | HangUp::Removed, .. }
            | Phase::HangingUp { then: Then::Gone | Then::Stop(_), .. }
            | Phase::Stopped { .. }
            | Phase::Gone => return Answer::Refuse,
            Phase::HangingUp { then: Then::Wait { until, failure, .. }, .. }
            | Phase::Waiting { until, failure, .. } => {
                let (until, is_network) = (*until, failure.class() == Class::Network);
                if is_network && self.may_hurry(now) {
                    self.hurry(now);
                } else if !is_network || until > by {
                    return Answer::Refuse;
                }
            }
            Phase::Queued { .. }
            | Phase::Fetching { .. }
            | Phase::Dialling
            | Phase::Up { .. }
            | Phase::HangingUp { .. } => {}
        }
        Answer::Wait
    }

    /// Notes that the password may be another than before
    pub(crate) fn handle_secret_changed(&mut self, now: Instant) {
        self.has_secret = false;
        match self.phase {
            Phase::Waiting { .. } | Phase::Stopped { .. } => {
                self.backoff.reset();
                self.settle(now, Urgency::Asked);
            }
            Phase::Fetching { urgency, .. } => self.queue(urgency),
            _ => {}
        }
    }

    /// Notes that the machine was asleep: tunnels may be dead, and pauses for the network are over
    pub(crate) fn handle_clock_jump(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Up { .. } => self.actions.push_back(Action::Look),
            Phase::Waiting { until, failure, .. } if failure.class() == Class::Network => {
                *until = now;
            }
            _ => {}
        }
    }

    /// Hangs up for good: the program ends
    pub(crate) fn handle_shut_down(&mut self) {
        self.finish(HangUp::ShutDown);
    }

    /// Takes the step whose time has come, if any
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match &self.phase {
            Phase::Waiting { urgency, .. } => self.settle(now, *urgency),
            Phase::Up { .. } if self.is_idle(now) => {
                self.is_asked = false;
                self.end(HangUp::Idle, Then::Rest);
            }
            Phase::Up { .. } => {
                self.held_until = None;
                self.actions.push_back(Action::Wish(Urgency::Start));
            }
            Phase::Fetching { .. } => {
                let failure = SiteFailure::Secret {
                    source: "its source".to_owned(),
                    error: format!("no answer within {} s", MAX_FETCH_TIME.as_secs()),
                };
                self.handle_secret(now, Err(failure), 0.0);
            }
            _ => {}
        }
    }
}

/// The time within which a password has to be had
pub(crate) const MAX_FETCH_TIME: Duration = Duration::from_secs(5);

/// The least time between two pauses of a site that clients cut short
const HURRY_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
