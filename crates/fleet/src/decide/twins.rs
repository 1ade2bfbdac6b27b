//! Sites that share a login: one dials at a time, and a server that allows one session is found out

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::dial::{ServerKey, SiteId};

/// The sites by their accounts: two sites with the same server and user are twins
///
/// A server that allows one session of a user ends the earlier one when the other comes up. Both sites then take it in
/// turns to end each other, for ever. So twins do not dial at the same time, none dials while another hangs up, and
/// [`Self::rival`] tells when a tunnel was ended for its twin.
///
/// Sites whose logins are shared on purpose have no twins. No table has more entries than there are sites, or twice as
/// many.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    members: HashMap<SiteId, Member>,
    /// The sites of each account
    accounts: HashMap<Account, BTreeSet<SiteId>>,
}

/// A user at a server
type Account = (ServerKey, Arc<str>);

/// One site
#[derive(Debug)]
struct Member {
    /// The account by the server's name; and by its address, if that is known
    accounts: [Account; 2],
    is_shared: bool,
    stage: Stage,
    /// It may be dialled, but for a twin
    is_waiting: bool,
}

/// How far a site's session is, as far as its twins are concerned
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has none
    Down,
    /// It is being dialled
    Dialling,
    /// It is being dialled, and the server knows the user, or is about to
    LoggingIn,
    /// Its tunnel is up since then
    Up(Instant),
    /// The session is being ended
    Leaving,
}

impl Stage {
    /// Returns true if no twin may be dialled meanwhile
    const fn occupies(self) -> bool {
        matches!(self, Self::Dialling | Self::LoggingIn | Self::Leaving)
    }
}

impl Twins {
    /// Adds a site, or gives it another account; returns the sites that may be dialled now
    ///
    /// `servers` are the server's name, and its address if it was reached.
    pub(crate) fn set(
        &mut self,
        site: SiteId,
        servers: [&ServerKey; 2],
        user: &str,
        is_shared: bool,
    ) -> Vec<SiteId> {
        let user: Arc<str> = user.into();
        let accounts = servers.map(|server| (Arc::clone(server), Arc::clone(&user)));
        let before = self.members.get(&site);
        if before.is_some_and(|it| it.accounts == accounts && it.is_shared == is_shared) {
            return Vec::new();
        }
        let stage = before.map_or(Stage::Down, |member| member.stage);
        let is_waiting = before.is_some_and(|member| member.is_waiting);
        let mut free = self.forget(site);
        for account in &accounts {
            self.accounts.entry(account.clone()).or_default().insert(site);
        }
        self.members.insert(site, Member { accounts, is_shared, stage, is_waiting });
        // its new twins may be others
        if is_waiting && self.may_dial(site) {
            free.push(site);
        }
        free
    }

    /// Forgets a site; returns the sites that may be dialled now
    pub(crate) fn forget(&mut self, site: SiteId) -> Vec<SiteId> {
        let twins = self.twins_of(site);
        let Some(member) = self.members.remove(&site) else { return Vec::new() };
        for account in &member.accounts {
            if let Some(sites) = self.accounts.get_mut(account) {
                sites.remove(&site);
                if sites.is_empty() {
                    self.accounts.remove(account);
                }
            }
        }
        self.released(twins)
    }

    /// Returns true if a site may be dialled as far as its twins are concerned; if not, it is remembered that it waits
    pub(crate) fn may_dial(&mut self, site: SiteId) -> bool {
        let is_occupied = self.twins(site).any(|(_, twin)| twin.stage.occupies());
        if let Some(member) = self.members.get_mut(&site) {
            member.is_waiting = is_occupied;
        }
        !is_occupied
    }

    /// Notes how far a site's session is; returns the sites that may be dialled now
    pub(crate) fn set_stage(&mut self, site: SiteId, stage: Stage) -> Vec<SiteId> {
        let Some(member) = self.members.get_mut(&site) else { return Vec::new() };
        let before = std::mem::replace(&mut member.stage, stage);
        if !before.occupies() || stage.occupies() {
            return Vec::new();
        }
        let twins = self.twins_of(site);
        self.released(twins)
    }

    /// Returns the twin for which a server may just have ended this site's tunnel
    ///
    /// It came up within the last [`SPAN`], or is about to.
    pub(crate) fn rival(&self, now: Instant, site: SiteId) -> Option<SiteId> {
        let is_rival = |stage| match stage {
            Stage::LoggingIn => true,
            Stage::Up(since) => now.saturating_duration_since(since) <= SPAN,
            Stage::Down | Stage::Dialling | Stage::Leaving => false,
        };
        self.twins(site).find(|(_, twin)| is_rival(twin.stage)).map(|(id, _)| id)
    }

    /// Returns the twins whose tunnels are up
    pub(crate) fn up(&self, site: SiteId) -> impl Iterator<Item = SiteId> {
        self.twins(site).filter(|(_, twin)| matches!(twin.stage, Stage::Up(_))).map(|(id, _)| id)
    }

    /// The twins of a site, in the order of their numbers; those of both names of the server may come twice
    fn twins(&self, site: SiteId) -> impl Iterator<Item = (SiteId, &Member)> {
        let member = self.members.get(&site).filter(|member| !member.is_shared);
        let accounts = member.map_or(&[][..], |member| &member.accounts);
        accounts
            .iter()
            .filter_map(|account| self.accounts.get(account))
            .flatten()
            .filter(move |other| **other != site)
            .filter_map(|other| Some((*other, self.members.get(other)?)))
            .filter(|(_, twin)| !twin.is_shared)
    }

    fn twins_of(&self, site: SiteId) -> BTreeSet<SiteId> {
        self.twins(site).map(|(twin, _)| twin).collect()
    }

    /// Returns those of these sites that wait, and may be dialled now
    fn released(&mut self, sites: BTreeSet<SiteId>) -> Vec<SiteId> {
        let is_waiting =
            |site: &SiteId| self.members.get(site).is_some_and(|member| member.is_waiting);
        let waiting: Vec<_> = sites.into_iter().filter(is_waiting).collect();
        waiting.into_iter().filter(|site| self.may_dial(*site)).collect()
    }

    /// Returns true if a site waits for a twin
    #[cfg(test)]
    pub(crate) fn is_waiting(&self, site: SiteId) -> bool {
        self.members.get(&site).is_some_and(|member| member.is_waiting)
    }

    /// The number of entries of each table
    #[cfg(test)]
    pub(crate) fn table_sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("members", self.members.len()), ("accounts", self.accounts.len())]
    }
}

/// The time after a tunnel's start in which the end of its twin's is taken as its effect
const SPAN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SITES: [SiteId; 3] = [SiteId(1), SiteId(2), SiteId(3)];

    fn key(server: &str) -> ServerKey {
        server.into()
    }

    /// Three sites with the same user at the same server
    fn twins() -> Twins {
        let mut twins = Twins::default();
        for site in SITES {
            twins.set(site, [&key("vpn.example"); 2], "svc", false);
        }
        twins
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn twins_dial_one_after_the_other_and_not_while_one_hangs_up() {
        let (mut twins, now) = (twins(), start());
        let [a, b, c] = SITES;
        assert!(twins.may_dial(a));
        assert_eq!(twins.set_stage(a, Stage::Dialling), []);
        assert!(!twins.may_dial(b) && !twins.may_dial(c));
        assert_eq!(twins.set_stage(a, Stage::LoggingIn), []);
        assert_eq!(twins.set_stage(a, Stage::Up(now)), [b, c], "both may, and the first does");
        assert!(twins.may_dial(b));
        twins.set_stage(b, Stage::Dialling);
        assert!(!twins.may_dial(c));
        assert_eq!(twins.set_stage(a, Stage::Leaving), []);
        assert_eq!(twins.set_stage(b, Stage::Up(now)), [], "a hangs up");
        assert_eq!(twins.set_stage(a, Stage::Down), [c]);
        assert_eq!(twins.set_stage(a, Stage::Down), []);
    }

    #[test]
    fn a_site_that_is_forgotten_or_has_another_account_holds_up_none() {
        for is_forgotten in [true, false] {
            let mut twins = twins();
            let [a, b, _] = SITES;
            twins.set_stage(a, Stage::Dialling);
            assert!(!twins.may_dial(b));
            let free = if is_forgotten {
                twins.forget(a)
            } else {
                twins.set(a, [&key("vpn.example"); 2], "other", false)
            };
            assert_eq!(free, [b]);
        }
        let mut twins = twins();
        let [a, b, c] = SITES;
        twins.set_stage(a, Stage::Dialling);
        assert!(!twins.may_dial(b) && !twins.may_dial(c));
        assert_eq!(twins.set(b, [&key("vpn.example"); 2], "other", false), [b]);
        assert_eq!(twins.set(c, [&key("vpn.example"); 2], "svc", true), [c]);
    }

    #[test]
    fn other_users_other_servers_and_shared_logins_are_no_twins() {
        let mut twins = Twins::default();
        let [a, b, c] = SITES;
        let others = [("vpn.example", "svc", true), ("vpn.example", "SVC", false)];
        twins.set(a, [&key("vpn.example"); 2], "svc", false);
        twins.set_stage(a, Stage::Dialling);
        for (server, user, is_shared) in others.into_iter().chain([("other.example", "svc", false)])
        {
            twins.set(b, [&key(server); 2], user, is_shared);
            assert!(twins.may_dial(b), "{server} {user} {is_shared}");
        }
        // one name has been reached, another is its address
        twins.set(a, [&key("vpn.example"), &key("10.0.0.1")], "svc", false);
        twins.set(c, [&key("10.0.0.1"); 2], "svc", false);
        twins.set(b, [&key("vpn.example"); 2], "svc", false);
        assert!(!twins.may_dial(b) && !twins.may_dial(c));
        for site in SITES {
            twins.forget(site);
        }
        assert!(twins.table_sizes().iter().all(|(_, size)| *size == 0));
    }

    #[test]
    fn a_twin_that_came_up_within_ten_seconds_is_the_rival() {
        let (mut twins, now) = (twins(), start());
        let [a, b, c] = SITES;
        for site in SITES {
            twins.set_stage(site, Stage::Up(now));
        }
        let later = now + Duration::from_mins(1);
        assert_eq!(twins.rival(later, a), None);
        assert_eq!(twins.up(a).collect::<BTreeSet<_>>(), BTreeSet::from([b, c]));
        twins.set_stage(c, Stage::Leaving);
        assert_eq!(twins.rival(later, a), None);
        for (stage, rival) in
            [(Stage::Dialling, None), (Stage::LoggingIn, Some(c)), (Stage::Up(later), Some(c))]
        {
            twins.set_stage(c, stage);
            assert_eq!(twins.rival(later + SPAN, a), rival, "{stage:?}");
        }
        assert_eq!(twins.rival(later + SPAN * 2, a), None);
    }
}
