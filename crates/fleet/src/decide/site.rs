//! One site: what it does when its owner, a client, the scheduler or the tunnel says something
//!
//! The table of all states and inputs is in the tests, each cell of it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use pptp::Class;

use super::{
    backoff::{Backoff, Failed, STABLE},
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

    /// Returns true if the configuration, an earlier request or a waiting client wants the site up
    fn wants_up(&self, now: Instant) -> bool {
        let is_wanted = match self.connect {
            Connect::Always => true,
            Connect::OnDemand { .. } => {
                self.is_asked || self.demand_until.is_some_and(|until| until > now)
            }
            Connect::Manual => self.is_asked,
        };
        self.is_enabled && self.down_by.is_none() && is_wanted
    }

    fn idle_at(&self, since: Instant) -> Option<Instant> {
        match self.connect {
            Connect::OnDemand { idle } => since.checked_add(idle),
            Connect::Always | Connect::Manual => None,
        }
    }

    fn queue(&mut self, urgency: Urgency) {
        self.phase = Phase::Queued { urgency };
        self.actions.push_back(Action::Wish(urgency));
    }

    /// Wishes for a dial if the site is to be up, and rests if not
    fn settle(&mut self, now: Instant, urgency: Urgency) {
        if self.wants_up(now) { self.queue(urgency) } else { self.phase = Phase::Resting }
    }

    /// Ends what is under way, and then follows `then`
    fn end(&mut self, why: HangUp, then: Then) {
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
    fn rest(&mut self, why: HangUp) {
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
    fn finish(&mut self, why: HangUp) {
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
    fn after(
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

    fn follow(&mut self, now: Instant, then: Then) {
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

    fn may_hurry(&self, now: Instant) -> bool {
        let is_recent = |at| now.saturating_duration_since(at) < HURRY_INTERVAL;
        !self.hurried.is_some_and(is_recent)
    }

    /// Cuts a pause short, because a client waits
    fn hurry(&mut self, now: Instant) {
        self.hurried = Some(now);
        match &mut self.phase {
            Phase::HangingUp { then, .. } => *then = Then::Dial(Urgency::Waited),
            _ => self.queue(Urgency::Waited),
        }
    }
}

/// The time within which a password has to be had
pub(crate) const MAX_FETCH_TIME: Duration = Duration::from_secs(5);

/// The least time between two pauses of a site that clients cut short
const HURRY_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
