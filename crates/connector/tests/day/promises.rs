//! What the watch has seen of all sites and servers, and the promises about them

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use pptp::Class;
use pptp_fleet::{SiteFailure, SiteState};
use tokio::time::Instant;

use crate::{
    plan::{IDLE, Plan},
    seen::{May, Pause, Seen, Server, is_of_server, max_pause},
};

/// What the watch has seen
pub(crate) struct State {
    pub(crate) plan: Plan,
    /// The latest time at which one of two sites with one login has lost its tunnel to the other, by the first of them
    pub(crate) ended_for_twin: BTreeMap<usize, Instant>,
    pub(crate) sites: BTreeMap<usize, Seen>,
    pub(crate) servers: Vec<Server>,
    /// The times of the latest dials
    pub(crate) dials: VecDeque<Instant>,
    /// The time until which any tunnel may be lost
    pub(crate) disturbed_until: Instant,
    /// The time until which servers may have sessions whose client has vanished
    pub(crate) ghosts_until: Instant,
    pub(crate) is_outage: bool,
    pub(crate) outage_ended: Instant,
    /// The promises that were broken
    pub(crate) broken: Vec<String>,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl State {
    pub(crate) fn count(&mut self, what: &str) {
        match self.counts.get_mut(what) {
            Some(count) => *count += 1,
            None => _ = self.counts.insert(what.to_owned(), 1),
        }
    }

    pub(crate) fn is_disturbed(&self, seen: &Seen, now: Instant) -> bool {
        let of_server = self.servers[seen.server].disturbed_until;
        now <= self.disturbed_until.max(of_server).max(seen.disturbed_until)
    }

    /// Takes another state of a site; returns the promises that are broken
    pub(crate) fn site(
        &mut self,
        number: usize,
        at: Instant,
        next: &SiteState,
        rate: u32,
    ) -> Vec<String> {
        let mut faults = Vec::new();
        let Some(mut seen) = self.sites.remove(&number) else {
            return vec![format!("it is not to be there: {next}")];
        };
        let rests = match next {
            SiteState::HangingUp { .. } | SiteState::Down { .. } | SiteState::Disabled => true,
            SiteState::Idle => !seen.is_down,
            SiteState::Removed => seen.may.be_removed,
            _ => false,
        };
        if seen.rests() && !rests {
            faults.push(format!("nobody wants it, and it is {next}; {seen}"));
        }
        self.count(next.name());
        if seen.has_tunnel()
            && !matches!(next, SiteState::Up { .. } | SiteState::Renegotiating { .. })
        {
            let is_right = match next {
                SiteState::HangingUp { why } => seen.may_hang_up(*why, at, IDLE),
                SiteState::Waiting { failure, .. } if self.is_for_twin(number, failure) => {
                    faults.extend(self.end_for_twin(number, at).err());
                    true
                }
                _ => self.is_disturbed(&seen, at),
            };
            if !is_right {
                faults.push(format!("a healthy tunnel is torn down: {next}; {seen}"));
            }
        }
        if seen.ends_pause(next) {
            faults.extend(seen.end_pause(at, &self.servers[seen.server]).err());
        }
        match next {
            SiteState::Dialling { .. } => {
                faults.extend(self.dial(at, &mut seen).err());
                faults.extend(self.rate(at, rate).err());
                faults.extend(self.dial_beside_twin(number).err());
            }
            SiteState::Up { .. } => {
                let server = &mut self.servers[seen.server];
                (server.failures, server.opened) = (0, at);
            }
            SiteState::Waiting { until, failure } => self.fail(at, &mut seen, *until, failure),
            _ => {}
        }
        (seen.state, seen.at) = (next.clone(), at);
        self.sites.insert(number, seen);
        faults
    }

    /// Returns true if a tunnel has ended since the site with the same login came up
    fn is_for_twin(&self, number: usize, failure: &SiteFailure) -> bool {
        let SiteFailure::LoginInUse { by, .. } = failure else { return false };
        self.plan.twin_of(number) == Some(crate::plan::number(by))
    }

    /// Two sites with one login do not end each other's tunnels in quick turns, however eager their server is
    fn end_for_twin(&mut self, number: usize, at: Instant) -> Result<(), String> {
        self.count("tunnels that ended for a twin");
        let Some(twin) = self.plan.twin_of(number) else { return Ok(()) };
        let before = self.ended_for_twin.insert(number.min(twin), at);
        let asked = self.sites.get(&twin).and_then(|twin| twin.asked);
        match before {
            Some(before) if at - before < MIN_TURN && asked.is_none_or(|asked| asked < before) => {
                Err(format!("two sites with one login end each other after {:?}", at - before))
            }
            _ => Ok(()),
        }
    }

    /// Two sites with one login are not dialled at the same time
    fn dial_beside_twin(&self, number: usize) -> Result<(), String> {
        let twin = self.plan.twin_of(number).and_then(|twin| self.sites.get(&twin));
        match twin.map(|twin| &twin.state) {
            Some(state @ (SiteState::Dialling { .. } | SiteState::HangingUp { .. })) => {
                Err(format!("it is dialled while the site with the same login is {state}"))
            }
            _ => Ok(()),
        }
    }

    fn dial(&mut self, at: Instant, seen: &mut Seen) -> Result<(), String> {
        let before = seen.state.clone();
        seen.may = May { be_down: seen.may.be_down, ..Default::default() };
        let server = &mut self.servers[seen.server];
        server.dialled = at;
        if seen.has_tunnel() || matches!(before, SiteState::Dialling { .. }) {
            return Err(format!("it is dialled beside its own: {before}"));
        }
        // one with a name may have two entries: one by that, and one by its address
        if server.has_name {
            return Ok(());
        }
        let pause = Duration::from_secs(1 << server.failures.saturating_sub(1).min(9));
        let pause = pause.min(Duration::from_mins(5));
        if server.failures > 0 && at - server.failed < pause {
            return Err(format!("its server is dialled too early: {server:?}"));
        }
        Ok(())
    }

    fn rate(&mut self, at: Instant, rate: u32) -> Result<(), String> {
        self.dials.push_back(at);
        if self.dials.len() > BURST + 50 {
            self.dials.pop_front();
        }
        for beyond in [1, 10, 50] {
            let Some(first) = self.dials.len().checked_sub(BURST + beyond) else { continue };
            let took = at - self.dials[first];
            let least = Duration::from_secs(1) * u32::try_from(beyond).expect("a few") / rate;
            // the clock has whole milliseconds
            if took + Duration::from_millis(1) < least {
                return Err(format!("it is one of {} dials within {took:?}", BURST + beyond));
            }
        }
        Ok(())
    }

    fn fail(&mut self, at: Instant, seen: &mut Seen, until: Instant, failure: &SiteFailure) {
        let is_fetching = matches!(seen.state, SiteState::FetchingSecret);
        if matches!(seen.state, SiteState::Dialling { .. }) || is_fetching || seen.has_tunnel() {
            self.count(&format!("{}: {}", seen.state.name(), failure.name()));
        }
        let server = &mut self.servers[seen.server];
        match &seen.state {
            SiteState::Dialling { .. } if is_of_server(failure) => {
                server.failures += 1;
                server.failed = at;
            }
            SiteState::Dialling { .. } => server.failures = 0,
            _ => {}
        }
        seen.pause = Some(Pause { since: at, until, failure: failure.clone() });
    }

    /// Looks at a site that is to be there
    pub(crate) fn look(
        &self,
        seen: &Seen,
        site: &SiteState,
        now: Instant,
    ) -> Result<(), &'static str> {
        if site.name() != seen.state.name() {
            return Err("an event was not told");
        }
        let lasts = now - seen.at;
        if seen.rests() {
            let is_right = match site {
                SiteState::Down { .. } => seen.is_down,
                SiteState::Disabled => seen.is_disabled,
                SiteState::Idle => !seen.is_down && !seen.is_disabled,
                _ => false,
            };
            let is_right = is_right || lasts < MAX_HANG_UP;
            return if is_right { Ok(()) } else { Err("nobody wants it") };
        }
        let is_outage = self.is_outage || now - self.outage_ended < MAX_SCOUT_PAUSE;
        // its server is tried, or the network
        let is_tried = now - self.servers[seen.server].dialled < MAX_SERVER_PAUSE
            || is_outage && self.dials.back().is_some_and(|at| now - *at < MAX_SCOUT_PAUSE);
        let is_right = match site {
            SiteState::Up { since } => {
                matches!(&seen.state, SiteState::Up { since: before } if before == since)
            }
            SiteState::Renegotiating { .. } => true,
            SiteState::Queued => lasts < MAX_SERVER_PAUSE || is_tried,
            SiteState::FetchingSecret => lasts < Duration::from_secs(10),
            SiteState::Dialling { .. } => lasts < MAX_DIAL,
            SiteState::HangingUp { .. } => lasts < MAX_HANG_UP,
            // during an outage only the scouts are told how long they wait, and all are dialled behind it
            SiteState::Waiting { failure, .. } if lasts < MAX_HANG_UP || is_outage => {
                !is_of_server(failure) || is_tried
            }
            SiteState::Waiting { until, failure } => {
                // those behind their server are told nothing while one of them is dialled
                let is_behind = is_of_server(failure) || failure.class() == Class::Credentials;
                let late = if is_behind { MAX_DIAL } else { Duration::ZERO };
                let has_deadline = *until > now || is_tried && *until + late > now;
                has_deadline
                    && *until < now + max_pause(failure)
                    && (!is_of_server(failure) || is_tried)
            }
            SiteState::Idle => seen.is_on_demand,
            _ => seen.may.be_removed,
        };
        if is_right { Ok(()) } else { Err("it is to be up, and nothing is to happen") }
    }
}

/// The least pause of a site whose login is in use is half a minute
const MIN_TURN: Duration = Duration::from_secs(25);

/// Dials that may begin at the same time
const BURST: usize = 20;

/// TCP and the rest of a connect have 30 s together, and a dial may begin once more
const MAX_DIAL: Duration = Duration::from_secs(90);

/// A hang-up takes 7 s at most
const MAX_HANG_UP: Duration = Duration::from_secs(30);

/// Five minutes and a half of them, and the time of a dial
const MAX_SERVER_PAUSE: Duration = Duration::from_mins(10);

/// Half a minute and a half of it, and the time of a dial
const MAX_SCOUT_PAUSE: Duration = Duration::from_mins(2);
