//! The order of dials: not too many at once, one at a time for each server, and no crowd at a server that is down

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use super::{
    bucket::Bucket,
    dial::{DialEnd, DialLimits, ServerKey, SiteId, Urgency},
    outage::Outage,
    server::{Server, Wish},
};

/// The order of dials over all sites
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: DialLimits,
    bucket: Bucket,
    wishes: HashMap<SiteId, ServerKey>,
    servers: HashMap<ServerKey, Server>,
    /// The servers that may be dialled, by their most urgent wish
    by_urgency: BTreeSet<(Urgency, Instant, ServerKey)>,
    /// The same servers by their oldest wish
    by_age: BTreeSet<(Instant, ServerKey)>,
    /// The servers that may be dialled later, by that time
    by_time: BTreeSet<(Instant, ServerKey)>,
    under_way: HashMap<SiteId, ServerKey>,
    /// The number of servers with a tunnel that is up
    servers_up: usize,
    outage: Outage,
    grants: u64,
}

impl Scheduler {
    pub(crate) fn new(now: Instant, limits: DialLimits) -> Self {
        Self {
            bucket: Bucket::new(now, limits.interval, limits.burst),
            limits,
            wishes: HashMap::new(),
            servers: HashMap::new(),
            by_urgency: BTreeSet::new(),
            by_age: BTreeSet::new(),
            by_time: BTreeSet::new(),
            under_way: HashMap::new(),
            servers_up: 0,
            outage: Outage::default(),
            grants: 0,
        }
    }

    /// Wishes for a dial of a site; a further wish changes urgency and server, and keeps the place by age
    pub(crate) fn wish(
        &mut self,
        now: Instant,
        site: SiteId,
        server: &ServerKey,
        urgency: Urgency,
    ) {
        let since = self.withdraw(site).map_or(now, |before| before.since);
        self.wishes.insert(site, Arc::clone(server));
        self.change(server, |of| of.add(Wish { urgency, since, site }));
    }

    /// Takes a wish back; returns it, if there was one
    pub(crate) fn withdraw(&mut self, site: SiteId) -> Option<Wish> {
        let server = self.wishes.remove(&site)?;
        self.change(&server, |of| of.remove(site))
    }

    /// Returns the number of sites that would be dialled before this one at the latest; `None` without a wish
    pub(crate) fn ahead(&self, site: SiteId) -> Option<usize> {
        let server = self.servers.get(self.wishes.get(&site)?)?;
        let wish = server.wish_of(site)?;
        let before = |(urgency, since, _): &&(Urgency, Instant, ServerKey)| {
            (*urgency, *since) < (wish.urgency, wish.since)
        };
        Some(
            server
                .ahead_of(&wish)
                .saturating_add(self.by_urgency.iter().take_while(before).count()),
        )
    }

    /// Returns [`Self::ahead`] of all sites with a wish, in one pass
    pub(crate) fn ahead_of_all(&self) -> HashMap<SiteId, usize> {
        let places: Vec<_> =
            self.by_urgency.iter().map(|(urgency, at, _)| (*urgency, *at)).collect();
        let mut ahead = HashMap::with_capacity(self.wishes.len());
        for server in self.servers.values() {
            for (before, wish) in server.in_order().enumerate() {
                let servers = places.partition_point(|place| *place < (wish.urgency, wish.since));
                ahead.insert(wish.site, before.saturating_add(servers));
            }
        }
        ahead
    }

    /// Returns the next site to dial, if any may be dialled now
    pub(crate) fn poll_dial(&mut self, now: Instant) -> Option<SiteId> {
        self.open_servers(now);
        if self.under_way.len() >= self.limits.under_way.min(self.outage.max_under_way()) {
            return None;
        }
        if self.by_urgency.is_empty() || self.outage.next(now).is_some() || !self.bucket.take(now) {
            return None;
        }
        self.grants = self.grants.wrapping_add(1);
        // a stream of waiting clients must not hold back the other sites for ever
        let oldest = self.grants.is_multiple_of(SHARE_OF_THE_OLDEST);
        let server = if oldest {
            self.by_age.first().map(|(_, server)| Arc::clone(server))
        } else {
            self.by_urgency.first().map(|(_, _, server)| Arc::clone(server))
        }?;
        let wish = self.change(&server, |of| of.begin(oldest))?;
        self.wishes.remove(&wish.site);
        self.under_way.insert(wish.site, server);
        Some(wish.site)
    }

    /// Notes that TCP is open to the server that a site dials: it is there, and so is the network
    ///
    /// The rest of the dial counts for the address, which several names may have.
    pub(crate) fn reached(&mut self, site: SiteId, address: &ServerKey) {
        let Some(dialled) = self.under_way.get_mut(&site) else { return };
        let before = std::mem::replace(dialled, Arc::clone(address));
        let has_name = before != *address;
        self.change(&before, |server| {
            // a name has done what it can
            if has_name {
                server.reached();
            }
            server.leave();
        });
        self.change(address, |server| {
            server.arrive();
            server.opened();
        });
        self.outage.reached();
    }

    /// Notes that a tunnel to a server came up; [`Self::tunnel_down`] has to follow
    pub(crate) fn tunnel_up(&mut self, server: &ServerKey) {
        let is_first = self.change(server, Server::tunnel_up);
        self.servers_up = self.servers_up.saturating_add(is_first.into());
    }

    /// Notes that a tunnel to a server has ended
    pub(crate) fn tunnel_down(&mut self, server: &ServerKey) {
        let was_last = self.change(server, Server::tunnel_down);
        self.servers_up = self.servers_up.saturating_sub(was_last.into());
    }

    /// Notes the end of a dial; `chance` is in 0..1
    ///
    /// [`Self::is_outage`] may change with it, as with [`Self::reached`].
    pub(crate) fn ended(&mut self, now: Instant, site: SiteId, end: DialEnd, chance: f64) {
        let Some(server) = self.under_way.remove(&site) else { return };
        self.change(&server, |of| of.ended(now, end, chance));
        match end {
            DialEnd::Reached | DialEnd::LoginsRefused(_) => self.outage.reached(),
            DialEnd::GivenUp => {}
            DialEnd::ServerFailed(_) => {
                self.outage.server_failed(now, &server, self.servers_up, chance);
            }
            DialEnd::HostFailed => self.outage.host_failed(now, chance),
        }
    }

    /// Forgets a server's failures: its sites may be dialled at once
    ///
    /// Without it a server that failed is remembered; the owner calls it when the last of its sites goes.
    pub(crate) fn forgive(&mut self, server: &ServerKey) {
        self.change(server, Server::forgive);
    }

    /// Returns the sites that wait for a dial of this server
    pub(crate) fn waiting_at(&self, server: &str) -> Vec<SiteId> {
        self.servers.get(server).map_or_else(Vec::new, Server::sites)
    }

    /// Returns the time at which a server that failed may be dialled again
    pub(crate) fn closed_until(&self, server: &str) -> Option<Instant> {
        self.servers.get(server).and_then(Server::closed_until)
    }

    /// Returns true while this machine or its network is out of order, as far as known
    pub(crate) const fn is_outage(&self) -> bool {
        self.outage.is_on()
    }

    /// Returns the time at which [`Self::poll_dial`] may have a site, if no input comes before
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let opens = self.by_time.first().map(|(at, _)| *at);
        let is_full =
            self.under_way.len() >= self.limits.under_way.min(self.outage.max_under_way());
        let waits = !self.by_urgency.is_empty() && !is_full;
        let token = waits.then(|| self.bucket.next(now).max(self.outage.next(now)).unwrap_or(now));
        [opens, token].into_iter().flatten().min()
    }

    /// The number of sites that wait for a dial
    pub(crate) fn waiting(&self) -> usize {
        self.wishes.len()
    }

    /// The sites that wait for a dial, by their urgency
    pub(crate) fn waiting_by_urgency(&self) -> [(Urgency, usize); 5] {
        let mut counts = Urgency::ALL.map(|urgency| (urgency, 0_usize));
        for wish in self.servers.values().flat_map(Server::in_order) {
            if let Some((_, count)) = counts.iter_mut().find(|(it, _)| *it == wish.urgency) {
                *count = count.saturating_add(1);
            }
        }
        counts
    }

    /// The number of dials under way
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Moves servers whose time has come to those that may be dialled
    fn open_servers(&mut self, now: Instant) {
        while let Some((at, server)) = self.by_time.first().filter(|(at, _)| *at <= now).cloned() {
            self.by_time.remove(&(at, Arc::clone(&server)));
            self.change(&server, |of| of.open(now));
        }
    }

    /// Changes a server, and puts it where it then belongs; one without wish, dial and failure is forgotten
    fn change<R>(&mut self, key: &ServerKey, f: impl FnOnce(&mut Server) -> R) -> R {
        let server = self.servers.entry(Arc::clone(key)).or_default();
        let before = Place::of(server);
        let result = f(server);
        let after = Place::of(server);
        let is_idle = server.is_idle();
        if before != after {
            self.take_out(key, before);
            self.put_in(key, after);
        }
        if is_idle {
            self.servers.remove(key);
        }
        result
    }

    /// Returns true if a site wishes for a dial
    #[cfg(test)]
    pub(crate) fn has_wish(&self, site: SiteId) -> bool {
        self.wishes.contains_key(&site)
    }

    /// The number of entries of each table
    #[cfg(test)]
    pub(crate) fn table_sizes(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("wishes", self.wishes.len()),
            ("servers", self.servers.len()),
            ("by urgency", self.by_urgency.len()),
            ("by age", self.by_age.len()),
            ("by time", self.by_time.len()),
            ("under way", self.under_way.len()),
            ("servers up", self.servers_up),
        ]
    }

    /// The number of servers that failed lately, on which an outage is decided
    #[cfg(test)]
    pub(crate) fn failed_together(&self) -> usize {
        self.outage.failed_together()
    }

    fn take_out(&mut self, key: &ServerKey, place: Place) {
        match place {
            Place::Nowhere => {}
            Place::Later(at) => _ = self.by_time.remove(&(at, Arc::clone(key))),
            Place::Now { urgency, since, oldest } => {
                self.by_urgency.remove(&(urgency, since, Arc::clone(key)));
                self.by_age.remove(&(oldest, Arc::clone(key)));
            }
        }
    }

    fn put_in(&mut self, key: &ServerKey, place: Place) {
        match place {
            Place::Nowhere => {}
            Place::Later(at) => _ = self.by_time.insert((at, Arc::clone(key))),
            Place::Now { urgency, since, oldest } => {
                self.by_urgency.insert((urgency, since, Arc::clone(key)));
                self.by_age.insert((oldest, Arc::clone(key)));
            }
        }
    }
}

/// The place of a server in the order
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It has no wish, or a dial is under way
    Nowhere,
    /// It failed, and may be dialled at this time
    Later(Instant),
    /// It may be dialled
    Now { urgency: Urgency, since: Instant, oldest: Instant },
}

impl Place {
    fn of(server: &Server) -> Self {
        let (Some(best), Some(oldest)) = (server.best(), server.oldest()) else {
            return Self::Nowhere;
        };
        match server.closed_until() {
            _ if server.is_under_way() => Self::Nowhere,
            Some(at) => Self::Later(at),
            None => Self::Now { urgency: best.urgency, since: best.since, oldest: oldest.since },
        }
    }
}

/// Each so manyth grant goes to the oldest wish
const SHARE_OF_THE_OLDEST: u64 = 4;

#[cfg(test)]
mod tests;
