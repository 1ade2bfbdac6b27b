//! The lookups under way, the tasks that wait for them, and the addresses found before

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{MAX_ADDRESSES, MAX_AGE, MAX_LOOKUPS, MAX_NAMES, Outcome, Unresolved};

/// The channel by which an outcome reaches all tasks that wait for it
pub(super) type Told = watch::Sender<Option<Outcome>>;

/// The lookups of a resolver; it runs none itself
#[derive(Debug, Default)]
pub(super) struct LookupTable {
    /// One for each name; what waits for a name holds a receiver of its outcome
    lookups: BTreeMap<Arc<str>, Entry>,
    /// Those that have not begun, in the order in which they were first asked for; each name is in
    /// it once at most
    queue: BTreeMap<u64, Arc<str>>,
    asked: u64,
    workers: usize,
    last_good: BTreeMap<Arc<str>, Good>,
}

#[derive(Debug)]
struct Entry {
    /// The place in the queue; `None` once the lookup has begun
    place: Option<u64>,
    told: Told,
}

#[derive(Debug)]
struct Good {
    addresses: Arc<[IpAddr]>,
    since: Instant,
}

impl LookupTable {
    /// Joins the lookup of a name, or queues one; returns true if it needs one more worker, which
    /// has its place from then on
    pub(super) fn ask(&mut self, name: &Arc<str>) -> (watch::Receiver<Option<Outcome>>, bool) {
        if let Some(entry) = self.lookups.get(name) {
            return (entry.told.subscribe(), false);
        }
        let (told, outcome) = watch::channel(None);
        let place = self.asked;
        self.asked = self.asked.wrapping_add(1);
        self.queue.insert(place, Arc::clone(name));
        self.lookups.insert(Arc::clone(name), Entry { place: Some(place), told });
        let wants_worker = self.workers < MAX_LOOKUPS;
        self.workers += usize::from(wants_worker);
        (outcome, wants_worker)
    }

    /// Begins the lookup that waits longest; if none waits, the worker that asks is gone
    pub(super) fn begin_next(&mut self) -> Option<Arc<str>> {
        let Some((_, name)) = self.queue.pop_first() else {
            self.leave();
            return None;
        };
        if let Some(entry) = self.lookups.get_mut(&name) {
            entry.place = None;
        }
        Some(name)
    }

    /// A worker is gone
    pub(super) fn leave(&mut self) {
        self.workers = self.workers.saturating_sub(1);
    }

    /// Takes a lookup out, for its outcome to be told
    pub(super) fn finish(
        &mut self,
        name: &Arc<str>,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Told> {
        // one that was asked for again meanwhile is another lookup
        let has_begun = self.lookups.get(name).is_some_and(|entry| entry.place.is_none());
        let entry = has_begun.then(|| self.lookups.remove(name)).flatten()?;
        match outcome {
            Ok(addresses) => self.keep(name, addresses, now),
            Err(Unresolved::NoSuchName(_)) => drop(self.last_good.remove(name)),
            Err(Unresolved::Temporary(_)) => {}
        }
        Some(entry.told)
    }

    /// Takes a lookup out that has not begun and that nothing waits for any more
    pub(super) fn forget_unwanted(&mut self, name: &Arc<str>) {
        let Some(Entry { place: Some(place), told }) = self.lookups.get(name) else { return };
        if told.is_closed() {
            self.queue.remove(place);
            self.lookups.remove(name);
        }
    }

    /// Takes out all that has not begun, if there is no worker for it
    pub(super) fn take_unserved(&mut self) -> Vec<Told> {
        if self.workers > 0 {
            return Vec::new();
        }
        let names = std::mem::take(&mut self.queue).into_values();
        names.filter_map(|name| self.lookups.remove(&name)).map(|entry| entry.told).collect()
    }

    /// The addresses that were found last, and when, unless that is too long ago
    pub(super) fn last_good(
        &mut self,
        name: &Arc<str>,
        now: Instant,
    ) -> Option<(Arc<[IpAddr]>, Instant)> {
        let good = self.last_good.get(name)?;
        if now.saturating_duration_since(good.since) > MAX_AGE {
            self.last_good.remove(name);
            return None;
        }
        Some((Arc::clone(&good.addresses), good.since))
    }

    fn keep(&mut self, name: &Arc<str>, addresses: &[IpAddr], now: Instant) {
        if self.last_good.len() >= MAX_NAMES && !self.last_good.contains_key(name) {
            let oldest = self.last_good.iter().min_by_key(|(_, good)| good.since);
            if let Some(oldest) = oldest.map(|(name, _)| Arc::clone(name)) {
                self.last_good.remove(&oldest);
            }
        }
        let addresses = addresses.iter().copied().take(MAX_ADDRESSES).collect();
        self.last_good.insert(Arc::clone(name), Good { addresses, since: now });
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.lookups.len(), self.queue.len(), self.last_good.len())
    }
}
