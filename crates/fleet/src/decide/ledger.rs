//! The ledger of refused logins: no account is locked by us, however many sites have the login

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{accepted_logins::AcceptedLogins, dial::ServerKey, login::LoginKey};

/// The refusals and the acceptances of logins, over all sites
///
/// Servers say 691 for a wrong password, for an earlier session that still lives, and for a RADIUS server that is
/// down. Some lock an account after a few refusals. So the ledger allows
/// [`MAX_IN_WINDOW`] refusals of a login in [`WINDOW`], and [`MAX_IN_DAY`] in a day. The bound is the same for each
/// caller.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The times of the refusals of the last day, the latest last
    refused: HashMap<LoginKey, VecDeque<Instant>>,
    /// Logins that a server has accepted, at some time
    accepted: AcceptedLogins,
    /// The refusals of logins that were accepted before, of the last minute, [`MAX_DOUBTFUL`] at most
    doubtful: VecDeque<Doubtful>,
}

/// A refusal of a login that was accepted before
#[derive(Debug)]
struct Doubtful {
    at: Instant,
    server: ServerKey,
    login: LoginKey,
}

/// The verdict on a refused login
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The login is wrong, as far as known
    Login,
    /// The login was accepted before: a session of it may still live there
    KnownLogin,
    /// The server refuses several that it accepted before: its accounts are out of its reach
    Server,
}

impl Ledger {
    /// Checks whether a login may be tried
    ///
    /// # Errors
    /// The time from which on it may.
    pub(crate) fn may_try(&mut self, now: Instant, login: LoginKey) -> Result<(), Instant> {
        let Some(refused) = self.refused.get_mut(&login) else { return Ok(()) };
        forget_before(refused, now, DAY);
        let oldest_of =
            |count: usize| refused.len().checked_sub(count).and_then(|at| refused.get(at));
        let until = |count, span: Duration| oldest_of(count).and_then(|at| at.checked_add(span));
        let until = until(MAX_IN_WINDOW, WINDOW).max(until(MAX_IN_DAY, DAY));
        match until.filter(|until| *until > now) {
            Some(until) => Err(until),
            None => Ok(()),
        }
    }

    /// Notes that a server refused a login
    pub(crate) fn refused(&mut self, now: Instant, login: LoginKey, server: &ServerKey) -> Refusal {
        self.make_room(now);
        let refused = self.refused.entry(login).or_default();
        forget_before(refused, now, DAY);
        if refused.len() >= MAX_IN_DAY {
            refused.pop_front();
        }
        refused.push_back(now);
        if !self.accepted.contains(login) {
            return Refusal::Login;
        }
        self.doubtful
            .retain(|it| it.login != login && now.saturating_duration_since(it.at) < DOUBT);
        if self.doubtful.len() >= MAX_DOUBTFUL {
            self.doubtful.pop_front();
        }
        self.doubtful.push_back(Doubtful { at: now, server: Arc::clone(server), login });
        let of_server = self.doubtful.iter().filter(|it| it.server == *server).count();
        if of_server < MIN_IN_DOUBT { Refusal::KnownLogin } else { Refusal::Server }
    }

    /// Notes that a server accepted a login; returns true if it is the first time
    pub(crate) fn accepted(&mut self, login: LoginKey) -> bool {
        self.refused.remove(&login);
        self.accepted.insert(login)
    }

    /// The logins that were accepted, the one with the oldest acceptance first
    pub(crate) fn accepted_logins(&self) -> impl Iterator<Item = LoginKey> {
        self.accepted.iter()
    }

    /// The number of entries of each table
    #[cfg(test)]
    pub(crate) fn table_sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("refused", self.refused.len()), ("doubtful", self.doubtful.len())]
    }

    /// Bounds the table of refusals: entries that are a day old go, and if that is not enough, the oldest
    fn make_room(&mut self, now: Instant) {
        if self.refused.len() >= MAX_LOGINS {
            self.refused.retain(|_, times| {
                forget_before(times, now, DAY);
                !times.is_empty()
            });
        }
        if self.refused.len() >= MAX_LOGINS {
            let oldest = self.refused.iter().min_by_key(|(_, times)| times.back().copied());
            if let Some(login) = oldest.map(|(login, _)| *login) {
                self.refused.remove(&login);
            }
        }
    }
}

fn forget_before(times: &mut VecDeque<Instant>, now: Instant, span: Duration) {
    while times.front().is_some_and(|at| now.saturating_duration_since(*at) >= span) {
        times.pop_front();
    }
}

/// Refusals of a login within [`WINDOW`] after which it is not tried
pub(crate) const MAX_IN_WINDOW: usize = 4;

/// Refusals of a login within a day after which it is not tried
pub(crate) const MAX_IN_DAY: usize = 10;

/// The time over which [`MAX_IN_WINDOW`] counts
pub(crate) const WINDOW: Duration = Duration::from_mins(15);

const DAY: Duration = Duration::from_hours(24);

/// The time within which refusals of logins that were accepted before are the server's fault
const DOUBT: Duration = Duration::from_mins(1);

/// The number of such logins
const MIN_IN_DOUBT: usize = 3;

/// Refusals of the last minute that are remembered, at most: more than a minute's dials at the usual rate
const MAX_DOUBTFUL: usize = 4096;

/// Logins whose refusals are remembered, at most
const MAX_LOGINS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 16] = [7; 16];

    fn login(user: &str) -> LoginKey {
        LoginKey::new(&SECRET, "vpn.example", user, b"secret")
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn a_login_is_tried_four_times_in_a_quarter_of_an_hour_at_most() {
        let (mut ledger, begin) = (Ledger::default(), start());
        let mut now = begin;
        for _ in 0..4 {
            assert_eq!(ledger.may_try(now, login("svc")), Ok(()));
            assert_eq!(ledger.refused(now, login("svc"), &"server".into()), Refusal::Login);
            now += Duration::from_secs(1);
        }
        assert_eq!(ledger.may_try(now, login("svc")), Err(begin + WINDOW));
        assert_eq!(ledger.may_try(now, login("other")), Ok(()));
        assert_eq!(ledger.may_try(begin + WINDOW, login("svc")), Ok(()));
    }

    #[test]
    fn no_day_has_more_than_ten_refusals_however_they_are_spread() {
        let (mut ledger, begin) = (Ledger::default(), start());
        let mut tried = Vec::new();
        let mut now = begin;
        while now < begin + DAY * 3 {
            match ledger.may_try(now, login("svc")) {
                Ok(()) => {
                    ledger.refused(now, login("svc"), &"server".into());
                    tried.push(now);
                    now += Duration::from_secs(1);
                }
                Err(until) => {
                    assert!(until > now, "a time in the past would be asked for ever");
                    now = until;
                }
            }
        }
        for (count, span) in [(MAX_IN_WINDOW, WINDOW), (MAX_IN_DAY, DAY)] {
            let dense = tried.windows(count + 1).any(|of| of[count] - of[0] < span);
            assert!(!dense, "{count} in {span:?}");
        }
        assert!(tried.len() >= 3 * MAX_IN_DAY, "and it goes on: {}", tried.len());
    }

    #[test]
    fn an_acceptance_wipes_the_slate_and_is_remembered() {
        let (mut ledger, now) = (Ledger::default(), start());
        for _ in 0..4 {
            ledger.refused(now, login("svc"), &"server".into());
        }
        assert!(ledger.accepted(login("svc")) && !ledger.accepted(login("svc")));
        assert_eq!(ledger.may_try(now, login("svc")), Ok(()));
        assert_eq!(ledger.refused(now, login("svc"), &"server".into()), Refusal::KnownLogin);
    }

    #[test]
    fn three_known_logins_refused_within_a_minute_are_the_servers_fault() {
        let (mut ledger, now) = (Ledger::default(), start());
        let users = ["a", "b", "c", "d"].map(login);
        users.iter().take(3).for_each(|user| _ = ledger.accepted(*user));
        let second = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(ledger.refused(second(0), users[0], &"server".into()), Refusal::KnownLogin);
        assert_eq!(
            ledger.refused(second(1), users[0], &"server".into()),
            Refusal::KnownLogin,
            "the same"
        );
        assert_eq!(ledger.refused(second(2), users[1], &"server".into()), Refusal::KnownLogin);
        assert_eq!(
            ledger.refused(second(3), users[3], &"server".into()),
            Refusal::Login,
            "never accepted"
        );
        assert_eq!(ledger.refused(second(4), users[2], &"another".into()), Refusal::KnownLogin);
        assert_eq!(ledger.refused(second(5), users[2], &"server".into()), Refusal::Server);
        assert_eq!(
            ledger.refused(second(100), users[0], &"server".into()),
            Refusal::KnownLogin,
            "later"
        );
    }

    #[test]
    fn the_tables_are_bounded() {
        let (mut ledger, now) = (Ledger::default(), start());
        for number in 0..MAX_LOGINS + 10 {
            ledger.refused(now, login(&number.to_string()), &"server".into());
        }
        assert_eq!(ledger.refused.len(), MAX_LOGINS);
        let later = now + DAY;
        ledger.refused(later, login("late"), &"server".into());
        assert_eq!(ledger.refused.len(), 1, "those of yesterday go first");
        for number in 0..MAX_DOUBTFUL + 10 {
            ledger.accepted(login(&number.to_string()));
            let server = format!("server {}", number / 2).into();
            ledger.refused(later, login(&number.to_string()), &server);
        }
        assert_eq!(ledger.doubtful.len(), MAX_DOUBTFUL);
        let much_later = later + DOUBT;
        ledger.refused(much_later, login("1"), &"server".into());
        assert_eq!(ledger.doubtful.len(), 1);
    }
}
