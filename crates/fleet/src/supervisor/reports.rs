//! The reports of keepers and of fetches

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use pptp::{Class, Tunnel, error::Phase as DialPhase};
use rand::RngExt;

use super::{Fetched, Supervisor, entry::Entry, now};
use crate::{
    SiteFailure,
    decide::{
        dial::{DialEnd, ServerKey, SiteId},
        ledger::Refusal,
        phase::Phase,
    },
    keeper::{News, Report},
};

impl Supervisor {
    pub(super) fn handle_fetched(&mut self, fetched: Fetched) {
        let Fetched { site, number, outcome } = fetched;
        if self.sites.get(&site).is_none_or(|entry| entry.fetch != number) {
            return;
        }
        let now = now();
        self.with(site, |entry, rng| {
            let outcome = outcome.map(|password| entry.password = Some(password));
            entry.machine.handle_secret(now, outcome, rng.random());
        });
    }

    pub(super) fn handle_report(&mut self, Report { site, dial, news }: Report) {
        let is_current = |entry: &Entry| entry.keeper.as_ref().is_some_and(|it| it.dial == dial);
        if !self.sites.get(&site).is_some_and(|entry| is_current(entry)) {
            return;
        }
        let now = now();
        match news {
            News::Reached(server) => {
                let key: ServerKey = server.ip().to_string().into();
                if let Some(entry) = self.sites.get_mut(&site) {
                    entry.counters.reached(server);
                }
                self.schedule(|it| it.reached(site, &key));
                let name = self.sites.get(&site).map(|entry| Arc::clone(&entry.server));
                for server in [name, Some(Arc::clone(&key))].into_iter().flatten() {
                    // one that refuses logins does so until it accepts one
                    let refuses = |it: &SiteFailure| it.class() == Class::Credentials;
                    if self.servers.failure(&server).is_some_and(|it| !refuses(it)) {
                        self.forget_failure(&server);
                    }
                }
                // one that is given up may have been dialled with an earlier configuration
                let is_dialling = |entry: &Entry| *entry.machine.phase() == Phase::Dialling;
                if self.sites.get(&site).is_some_and(|entry| is_dialling(entry)) {
                    self.move_site(site, &key);
                }
            }
            News::Phase(phase) => self.handle_phase(now, site, phase),
            News::Up(tunnel) => self.handle_up(now, site, *tunnel),
            News::Renegotiating => {
                self.with(site, |entry, _| entry.machine.handle_renegotiating());
            }
            News::UpAgain => self.with(site, |entry, _| entry.machine.handle_tunnel_up(now)),
            News::ProbeBegun { number } => {
                self.with(site, |entry, _| entry.health.handle_begun(now, number));
            }
            News::Probed { number, result } => {
                self.with(site, |entry, _| entry.health.handle_result(now, number, result));
            }
            News::Ended(ended) => {
                let (error, record) = *ended;
                if let Some(entry) = self.sites.get(&site) {
                    entry.shared.set_record(record);
                }
                self.handle_ended(now, site, error.into());
            }
            News::Lost => {
                let failure = SiteFailure::Internal("its keeper is gone".to_owned());
                self.handle_ended(now, site, failure);
            }
            News::Left => {
                // a dial that was given up never told how it ended
                self.schedule(|it| it.ended(now, site, DialEnd::GivenUp, 0.0));
                self.count_down(site);
                self.with(site, |entry, _| {
                    entry.keeper = None;
                    entry.shared.set_dialled(None);
                    entry.counters.left();
                    entry.machine.handle_left(now);
                });
            }
        }
    }

    /// Notes that a dial has come to another phase, and how long the one before took
    fn handle_phase(&mut self, now: StdInstant, site: SiteId, phase: DialPhase) {
        self.count_phase(now, site);
        self.with(site, |entry, _| {
            entry.phase = phase;
            entry.phase_since = now;
        });
    }

    /// Counts the time that the present phase of a dial took, which is complete
    fn count_phase(&mut self, now: StdInstant, site: SiteId) {
        let Some(entry) = self.sites.get(&site) else { return };
        if *entry.machine.phase() != Phase::Dialling {
            return;
        }
        let took = now.saturating_duration_since(entry.phase_since);
        self.phases.entry(entry.phase).or_default().count(took);
    }

    fn handle_up(&mut self, now: StdInstant, site: SiteId, tunnel: Tunnel) {
        self.count_phase(now, site);
        self.schedule(|it| it.ended(now, site, DialEnd::Reached, 0.0));
        if let Some(entry) = self.sites.get_mut(&site) {
            entry.up_at = Some(Arc::clone(&entry.server));
            self.scheduler.tunnel_up(&entry.server);
            if let Some(login) = entry.login {
                self.ledger.accepted(login);
            }
            let server = Arc::clone(&entry.server);
            self.forget_failure(&server);
        }
        self.with(site, |entry, _| {
            entry.resume = Some(tunnel.info());
            entry.counters.tunnel(&tunnel);
            if matches!(entry.machine.phase(), Phase::Dialling) {
                entry.counters.dial_led_up();
                entry.shared.set_tunnel(tunnel);
            }
            entry.machine.handle_tunnel_up(now);
        });
    }

    fn handle_ended(&mut self, now: StdInstant, site: SiteId, failure: SiteFailure) {
        let chance = self.rng.random();
        let (end, was_accepted) = self.judge(now, site, &failure);
        let is_servers = end.is_servers();
        let failure = if is_servers { failure } else { self.blame_twin(now, site, failure) };
        self.schedule(|it| it.ended(now, site, end, chance));
        let server = self.sites.get(&site).map(|entry| Arc::clone(&entry.server));
        if let Some(server) = server.as_ref().filter(|_| is_servers) {
            self.servers.set_failure(server, Some(failure.clone()));
        }
        self.with(site, |entry, rng| {
            if let Some(tunnel) = entry.shared.take_tunnel() {
                entry.resume = Some(tunnel.info());
            }
            entry.counters.failed();
            if *entry.machine.phase() == Phase::Dialling {
                entry.counters.dial_failed(failure.name());
            }
            if is_servers {
                entry.machine.handle_server_failed(now, failure);
            } else {
                entry.machine.handle_ended(now, failure, was_accepted, rng.random());
            }
        });
        // the others wait longer now, too
        if let Some(server) = server.filter(|_| is_servers) {
            self.publish_waiting(&server);
        }
    }

    /// Decides whose failure it is; returns also true if the server has accepted the login before
    fn judge(&mut self, now: StdInstant, site: SiteId, failure: &SiteFailure) -> (DialEnd, bool) {
        let Some(entry) = self.sites.get(&site) else { return (DialEnd::GivenUp, false) };
        let is_dialling = matches!(entry.machine.phase(), Phase::Dialling);
        let SiteFailure::Tunnel(error) = failure else { return (DialEnd::GivenUp, false) };
        let end = if is_dialling { DialEnd::of(error) } else { DialEnd::GivenUp };
        let Some(login) = entry.login.filter(|_| error.class() == Class::Credentials) else {
            return (end, false);
        };
        match self.ledger.refused(now, login, &entry.server) {
            Refusal::Login => (end, false),
            Refusal::Server if is_dialling => (DialEnd::LoginsRefused(SERVER_DOUBT), true),
            // also a tunnel that was up and had to log in once more: that is its own end
            Refusal::KnownLogin | Refusal::Server => (end, true),
        }
    }

    /// Blames a twin for a tunnel that the server ended, or for a login that it refused, if it is to blame
    fn blame_twin(&self, now: StdInstant, site: SiteId, failure: SiteFailure) -> SiteFailure {
        let (Some(entry), SiteFailure::Tunnel(error)) = (self.sites.get(&site), &failure) else {
            return failure;
        };
        let has_same_login =
            |twin: &SiteId| self.sites.get(twin).is_some_and(|twin| twin.login == entry.login);
        let twin = match entry.machine.phase() {
            Phase::Up { .. } if ENDED_BY_PEER.contains(&error.name()) => {
                self.twins.rival(now, site)
            }
            Phase::Dialling if matches!(error.class(), Class::Credentials | Class::Busy) => {
                self.twins.up(site).find(has_same_login)
            }
            _ => None,
        };
        match twin.and_then(|twin| self.sites.get(&twin)) {
            Some(twin) => {
                SiteFailure::LoginInUse { by: twin.shared.name.clone(), error: error.clone() }
            }
            None => failure,
        }
    }

    fn count_down(&mut self, site: SiteId) {
        let counted = self.sites.get_mut(&site).and_then(|entry| entry.up_at.take());
        if let Some(server) = counted {
            self.scheduler.tunnel_down(&server);
        }
    }
}

/// The failures of a tunnel that its server has ended, or the host of it
const ENDED_BY_PEER: [&str; 4] =
    ["ConnectionLost", "CallDisconnected", "StoppedByPeer", "TerminatedByPeer"];

/// The pause of a server that refuses several logins that it accepted before
const SERVER_DOUBT: Duration = Duration::from_mins(1);
