//! The servers as they are: what fails, who is logged in, which password is right

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::decide::dial::{ServerKey, SiteId};

/// All servers, and the names that lead to them
#[derive(Debug)]
pub(super) struct World {
    pub(super) servers: Vec<Server>,
    /// The server of each name
    pub(super) names: BTreeMap<String, usize>,
    pub(super) is_uplink_cut: bool,
}

/// A server
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: ServerKey,
    pub(super) condition: Condition,
    pub(super) rule: Rule,
    /// Its RADIUS server is down: it refuses everybody
    pub(super) refuses_all: bool,
    /// The accounts whose password is another than usual
    pub(super) changed: BTreeMap<String, u8>,
    sessions: BTreeMap<String, Vec<Session>>,
}

/// The condition of a server
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Well,
    /// TCP is refused
    Refuses,
    /// Nothing answers
    Silent,
    /// TCP opens, and no PPTP follows
    Mute,
    /// It has no address left
    Full,
}

/// The sessions that a server allows an account
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Any,
    /// A second one is refused
    First,
    /// A second one ends the first
    Newest,
}

/// A session of an account
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) site: SiteId,
    pub(super) dial: u64,
    /// The time at which the server notices that its client is gone
    pub(super) ends: Option<Instant>,
}

impl World {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let server = |(number, rule): (usize, &Rule)| Server {
            address: format!("198.51.100.{number}").into(),
            condition: Condition::Well,
            rule: *rule,
            refuses_all: false,
            changed: BTreeMap::new(),
            sessions: BTreeMap::new(),
        };
        let names = (0..rules.len()).map(|number| (format!("vpn{number}.example"), number));
        Self {
            servers: rules.iter().enumerate().map(server).collect(),
            names: names.collect(),
            is_uplink_cut: false,
        }
    }

    /// Returns the server that a name leads to now
    pub(super) fn resolve(&self, name: &str) -> usize {
        self.names[name]
    }

    /// All is well again
    pub(super) fn heal(&mut self) {
        self.is_uplink_cut = false;
        for server in &mut self.servers {
            server.condition = Condition::Well;
            server.refuses_all = false;
            server.changed.clear();
        }
    }
}

impl Server {
    /// Takes a login
    ///
    /// # Errors
    /// It is refused. Else the sessions that it ends are returned.
    pub(super) fn log_in(
        &mut self,
        now: Instant,
        user: &str,
        password: u8,
        session: Session,
    ) -> Result<Vec<Session>, ()> {
        let sessions = self.sessions.entry(user.to_owned()).or_default();
        sessions.retain(|other| other.ends.is_none_or(|at| at > now));
        let right = self.changed.get(user).copied().unwrap_or(RIGHT);
        if self.refuses_all || password != right || user.starts_with("nobody") {
            return Err(());
        }
        let ended = match self.rule {
            Rule::First if !sessions.is_empty() => return Err(()),
            Rule::Any | Rule::First => Vec::new(),
            Rule::Newest => std::mem::take(sessions),
        };
        sessions.push(session);
        Ok(ended)
    }

    /// Ends a session; if its client has just vanished, after a while only
    pub(super) fn end(&mut self, user: &str, dial: u64, ends: Option<Instant>) {
        let Some(sessions) = self.sessions.get_mut(user) else { return };
        match ends {
            Some(_) => {
                for session in sessions.iter_mut().filter(|session| session.dial == dial) {
                    session.ends = ends;
                }
            }
            None => sessions.retain(|session| session.dial != dial),
        }
    }

    /// Ends all sessions: it was started anew
    pub(super) fn forget_sessions(&mut self) -> Vec<Session> {
        std::mem::take(&mut self.sessions).into_values().flatten().collect()
    }

    /// Returns true if it knows this session
    pub(super) fn knows(&self, dial: u64) -> bool {
        self.sessions.values().flatten().any(|session| session.dial == dial)
    }
}

/// The password of all accounts, as long as none was changed
pub(super) const RIGHT: u8 = 1;

/// The time after which a server notices that a client has vanished
pub(super) const GHOST: Duration = Duration::from_mins(2);
