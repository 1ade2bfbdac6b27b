//! One server's sites: one dial at a time, and one scout while the server is down

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use pptp::Class;

use super::{
    backoff::{Backoff, Failed},
    dial::{DialEnd, SiteId, Urgency},
};

/// A site's wish to be dialled
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wish {
    pub(crate) urgency: Urgency,
    pub(crate) since: Instant,
    pub(crate) site: SiteId,
}

/// The sites of one server that wish to be dialled
///
/// After a failure before PPTP was spoken all of them wait, for the failure is the server's. Then one is dialled: the
/// scout. If TCP opens, the others follow; else all wait longer.
#[derive(Debug, Default)]
pub(crate) struct Server {
    wishes: BTreeMap<SiteId, Wish>,
    /// The same in the order of the dials
    by_urgency: BTreeSet<Wish>,
    /// The same by age
    by_age: BTreeSet<(Instant, SiteId)>,
    /// Dials under way: one, or more if their names turned out to be one address
    under_way: usize,
    /// Tunnels to it that are up
    up: usize,
    backoff: Backoff,
    closed_until: Option<Instant>,
    /// True if it refused logins that it has accepted before, and has accepted none since
    refuses_logins: bool,
}

impl Server {
    pub(crate) fn add(&mut self, wish: Wish) {
        self.remove(wish.site);
        self.wishes.insert(wish.site, wish);
        self.by_urgency.insert(wish);
        self.by_age.insert((wish.since, wish.site));
    }

    pub(crate) fn remove(&mut self, site: SiteId) -> Option<Wish> {
        let wish = self.wishes.remove(&site)?;
        self.by_urgency.remove(&wish);
        self.by_age.remove(&(wish.since, site));
        Some(wish)
    }

    pub(crate) fn wish_of(&self, site: SiteId) -> Option<Wish> {
        self.wishes.get(&site).copied()
    }

    /// Returns the sites that wish for a dial
    pub(crate) fn sites(&self) -> Vec<SiteId> {
        self.wishes.keys().copied().collect()
    }

    /// Returns the wishes in the order of the dials
    pub(crate) fn in_order(&self) -> impl Iterator<Item = Wish> {
        self.by_urgency.iter().copied()
    }

    /// Returns the number of wishes that go before this one
    pub(crate) fn ahead_of(&self, wish: &Wish) -> usize {
        self.by_urgency.range(..wish).count()
    }

    /// Returns the most urgent wish; of equal ones the oldest
    pub(crate) fn best(&self) -> Option<Wish> {
        self.by_urgency.first().copied()
    }

    pub(crate) fn oldest(&self) -> Option<Wish> {
        self.by_age.first().and_then(|(_, site)| self.wish_of(*site))
    }

    /// Begins the dial of the most urgent wish, or of the oldest
    pub(crate) fn begin(&mut self, oldest: bool) -> Option<Wish> {
        let wish = if oldest { self.oldest() } else { self.best() }?;
        self.arrive();
        self.remove(wish.site)
    }

    /// Counts a tunnel that came up; returns true if it is the only one
    pub(crate) fn tunnel_up(&mut self) -> bool {
        self.forgive();
        self.up = self.up.saturating_add(1);
        self.up == 1
    }

    /// Counts a tunnel that ended; returns true if none is left
    pub(crate) const fn tunnel_down(&mut self) -> bool {
        let was_up = self.up > 0;
        self.up = self.up.saturating_sub(1);
        was_up && self.up == 0
    }

    /// Notes that TCP is open to the server: those that wait behind its scout may follow
    ///
    /// Its pauses grow on from where they were until it says a word: one that accepts connections and is silent would else
    /// be dialled with the shortest pause for ever.
    pub(crate) fn opened(&mut self) {
        if !self.refuses_logins {
            self.closed_until = None;
        }
    }

    /// Notes that the server is there, and speaks
    pub(crate) fn reached(&mut self) {
        if !self.refuses_logins {
            self.forgive();
        }
    }

    /// Forgets its failures
    pub(crate) fn forgive(&mut self) {
        self.backoff.reset();
        self.closed_until = None;
        self.refuses_logins = false;
    }

    /// Counts a dial that is under way to it
    pub(crate) const fn arrive(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
    }

    /// Notes that a dial under way is none of its own: the server has another name
    pub(crate) const fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(crate) fn ended(&mut self, now: Instant, end: DialEnd, chance: f64) {
        self.leave();
        match end {
            DialEnd::Reached => self.reached(),
            DialEnd::ServerFailed(retry_after) => self.failed(now, retry_after, chance),
            DialEnd::LoginsRefused(retry_after) => {
                self.refuses_logins = true;
                self.failed(now, retry_after, chance);
            }
            DialEnd::GivenUp | DialEnd::HostFailed => {}
        }
    }

    fn failed(&mut self, now: Instant, retry_after: Duration, chance: f64) {
        let failed =
            Failed { class: Class::Network, retry_after: Some(retry_after), was_accepted: false };
        let pause = self.backoff.failed(failed, chance);
        self.closed_until = pause.and_then(|pause| now.checked_add(pause));
    }

    /// Lets the scout go, if its time has come
    pub(crate) fn open(&mut self, now: Instant) {
        self.closed_until.take_if(|until| *until <= now);
    }

    pub(crate) const fn closed_until(&self) -> Option<Instant> {
        self.closed_until
    }

    pub(crate) const fn is_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Returns true if nothing is to be remembered of it
    pub(crate) fn is_idle(&self) -> bool {
        let has_none = self.wishes.is_empty() && self.under_way == 0 && self.up == 0;
        has_none && self.backoff.failures() == 0
    }
}
