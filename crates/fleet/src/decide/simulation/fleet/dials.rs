//! Dials and tunnels: how they begin, pass and end in the world as it is

use std::{sync::Arc, time::Duration};

use pptp::{
    Class, TunnelError,
    error::{ControlFailure, Failure, LinkFailure, Phase as Moment},
    info::ConnectTimeline,
};
use rand::RngExt;

use super::{Event, Fleet, Keeper, SECRET, Site, name, text};
use crate::{
    SiteFailure,
    decide::{
        dial::{DialEnd, SiteId},
        ledger::Refusal,
        phase::{Phase, Then},
        simulation::{
            failures::{failure_of, refused, timeout, unreachable},
            world::{Condition, GHOST, Session},
        },
    },
};

impl Fleet {
    pub(super) fn begin_dial(&mut self, id: SiteId, site: &mut Site) {
        let others: Vec<_> = self.sites.values().filter(|site| site.keeper.is_some()).collect();
        self.checks.dial(self.now, id, site, &others);
        let password = if site.config.secret.is_fetched() {
            site.fetched.take().expect("it dials with a password that was fetched only")
        } else {
            site.password
        };
        site.login = Some(site.config.login(&SECRET, &text(password)));
        self.next += 1;
        let dial = self.next;
        let at = self.world.resolve(&site.config.server);
        site.keeper = Some(Keeper {
            dial,
            config: site.config.clone(),
            password,
            at,
            is_logging_in: false,
            is_up: false,
            is_over: false,
        });
        let millis = Duration::from_millis;
        let fails = |failure, moment| Event::Fails(id, dial, failure, moment);
        match self.world.servers[at].condition {
            _ if self.world.is_uplink_cut => {
                self.push(millis(3000), fails(unreachable(), Moment::TcpConnect));
            }
            Condition::Refuses => self.push(millis(50), fails(unreachable(), Moment::TcpConnect)),
            Condition::Silent => self.push(millis(30_000), fails(timeout(), Moment::TcpConnect)),
            Condition::Mute => {
                self.push(millis(20), Event::Reached(id, dial));
                let failure = ControlFailure::NoControlReply;
                self.push(millis(10_000), fails(failure_of(failure), Moment::ControlConnection));
            }
            Condition::Full => {
                self.push(millis(20), Event::Reached(id, dial));
                self.push(millis(300), fails(failure_of(LinkFailure::NoAddress), Moment::Network));
            }
            Condition::Well => {
                self.push(millis(20), Event::Reached(id, dial));
                self.push(millis(100), Event::LoggingIn(id, dial));
                self.push(millis(200), Event::Outcome(id, dial));
            }
        }
    }

    pub(super) fn handle(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Weather(change) => self.handle_weather(change),
            Event::Fetched(id, number) => {
                if self.sites.get(&id).is_none_or(|site| site.fetch != number) {
                    return;
                }
                self.with(id, |site, _| {
                    site.fetched = Some(site.password);
                    site.machine.handle_secret(now, Ok(()), 0.0);
                });
            }
            Event::Left(id, dial) if self.is_current(id, dial) => {
                self.scheduler.ended(now, id, DialEnd::GivenUp, 0.0);
                self.count_down(id);
                self.with(id, |site, _| {
                    site.keeper = None;
                    site.machine.handle_left(now);
                });
            }
            Event::Reached(id, dial) if self.is_current(id, dial) => self.reached(id),
            Event::LoggingIn(id, dial) if self.is_current(id, dial) => {
                self.with(id, |site, _| {
                    if let Some(keeper) = &mut site.keeper {
                        keeper.is_logging_in = true;
                    }
                });
            }
            Event::Outcome(id, dial) if self.is_going(id, dial) => self.outcome(id),
            Event::Fails(id, dial, failure, moment) if self.is_going(id, dial) => {
                self.fails(id, failure, moment);
            }
            _ => {}
        }
    }

    fn is_current(&self, id: SiteId, dial: u64) -> bool {
        let keeper = self.sites.get(&id).and_then(|site| site.keeper.as_ref());
        keeper.is_some_and(|keeper| keeper.dial == dial)
    }

    fn is_going(&self, id: SiteId, dial: u64) -> bool {
        let keeper = self.sites.get(&id).and_then(|site| site.keeper.as_ref());
        keeper.is_some_and(|keeper| keeper.dial == dial && !keeper.is_over)
    }

    fn reached(&mut self, id: SiteId) {
        let Some(at) = self.sites.get(&id).and_then(|it| it.keeper.as_ref()).map(|it| it.at) else {
            return;
        };
        let key = Arc::clone(&self.world.servers[at].address);
        self.scheduler.reached(id, &key);
        self.with(id, |site, _| {
            if matches!(site.machine.phase(), Phase::Dialling) {
                site.server = key;
            }
        });
    }

    /// The server takes the login, or refuses it
    fn outcome(&mut self, id: SiteId) {
        let now = self.now;
        let Some(keeper) = self.sites.get(&id).and_then(|site| site.keeper.as_ref()) else {
            return;
        };
        let (at, dial, password) = (keeper.at, keeper.dial, keeper.password);
        let login = (keeper.config.server.clone(), keeper.config.user.clone(), password);
        let server = &mut self.world.servers[at];
        if self.world.is_uplink_cut || server.condition != Condition::Well {
            return self.fails(id, timeout(), Moment::Authentication);
        }
        let session = Session { site: id, dial, ends: None };
        match server.log_in(now, &login.1, password, session) {
            Err(()) => {
                self.checks.refused(now, &login);
                self.fails(id, refused(), Moment::Authentication);
            }
            Ok(ended) => {
                self.checks.accepted(&login);
                for Session { site, dial, .. } in ended {
                    let failure = failure_of(ControlFailure::ConnectionLost);
                    self.push(
                        Duration::from_millis(20),
                        Event::Fails(site, dial, failure, Moment::Up),
                    );
                }
                self.up(id);
            }
        }
    }

    fn up(&mut self, id: SiteId) {
        let now = self.now;
        self.scheduler.ended(now, id, DialEnd::Reached, 0.0);
        if let Some(site) = self.sites.get_mut(&id) {
            site.up_at = Some(Arc::clone(&site.server));
            self.scheduler.tunnel_up(&site.server);
            if let Some(login) = site.login {
                self.ledger.accepted(login);
            }
        }
        self.with(id, |site, _| {
            if let Some(keeper) = &mut site.keeper {
                keeper.is_up = true;
            }
            site.last_use = now;
            site.machine.handle_tunnel_up(now);
        });
    }

    /// A dial fails, or a tunnel is lost
    fn fails(&mut self, id: SiteId, failure: Failure, moment: Moment) {
        let now = self.now;
        let mut timeline = ConnectTimeline::new(now);
        timeline.enter(now, moment);
        let failure: SiteFailure = TunnelError::new(failure, timeline).into();
        let chance = self.rng.random();
        let (end, was_accepted) = self.judge(id, &failure);
        let is_servers = end.is_servers();
        let failure = if is_servers { failure } else { self.blame_twin(id, failure) };
        self.scheduler.ended(now, id, end, chance);
        let dial = self.end_session(id);
        self.with(id, |site, rng| {
            if is_servers {
                site.machine.handle_server_failed(now, failure);
            } else {
                site.machine.handle_ended(now, failure, was_accepted, rng.random());
            }
            if let Phase::HangingUp { then: Then::Wait { until, failure, .. }, .. } =
                site.machine.phase()
            {
                let may_hurry = failure.class() == Class::Network;
                site.promises.pause = Some((*until, may_hurry));
            }
        });
        let takes = Duration::from_millis(self.rng.random_range(0..2000));
        self.push(takes, Event::Left(id, dial));
    }

    /// The server forgets a session, or keeps it as one whose client has vanished
    fn end_session(&mut self, id: SiteId) -> u64 {
        let ghost = Some(self.now + GHOST).filter(|_| self.rng.random_bool(0.2));
        let Some(keeper) = self.sites.get_mut(&id).and_then(|site| site.keeper.as_mut()) else {
            return 0;
        };
        keeper.is_over = true;
        self.world.servers[keeper.at].end(&keeper.config.user, keeper.dial, ghost);
        keeper.dial
    }

    fn judge(&mut self, id: SiteId, failure: &SiteFailure) -> (DialEnd, bool) {
        let site = &self.sites[&id];
        let is_dialling = matches!(site.machine.phase(), Phase::Dialling);
        let SiteFailure::Tunnel(error) = failure else { return (DialEnd::GivenUp, false) };
        let end = if is_dialling { DialEnd::of(error) } else { DialEnd::GivenUp };
        let login = site.login.filter(|_| error.class() == Class::Credentials);
        let Some(login) = login else { return (end, false) };
        match self.ledger.refused(self.now, login, &site.server) {
            Refusal::Login => (end, false),
            Refusal::Server if is_dialling => {
                (DialEnd::LoginsRefused(Duration::from_mins(1)), true)
            }
            Refusal::KnownLogin | Refusal::Server => (end, true),
        }
    }

    fn blame_twin(&self, id: SiteId, failure: SiteFailure) -> SiteFailure {
        let SiteFailure::Tunnel(error) = &failure else { return failure };
        let site = &self.sites[&id];
        let twin = match site.machine.phase() {
            Phase::Up { .. } if error.name() == "ConnectionLost" => self.twins.rival(self.now, id),
            Phase::Dialling if matches!(error.class(), Class::Credentials | Class::Busy) => {
                self.twins.up(id).find(|twin| self.sites[twin].login == site.login)
            }
            _ => None,
        };
        match twin {
            Some(twin) => SiteFailure::LoginInUse { by: name(twin), error: error.clone() },
            None => failure,
        }
    }

    fn count_down(&mut self, id: SiteId) {
        if let Some(server) = self.sites.get_mut(&id).and_then(|site| site.up_at.take()) {
            self.scheduler.tunnel_down(&server);
        }
    }
}
