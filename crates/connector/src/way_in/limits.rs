//! Limits of connections: a tree of places, from the client's address over the listener to the process

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// The places of the process, or of a listener
#[derive(Debug)]
pub(super) struct Places {
    counts: Mutex<Counts>,
    freed: Notify,
}

#[derive(Debug)]
struct Counts {
    used: usize,
    most: usize,
}

/// A place that is taken, until it is dropped
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Places {
    /// Makes `most` places
    pub(super) fn new(most: usize) -> Arc<Self> {
        let counts = Mutex::new(Counts { used: 0, most: most.max(1) });
        Arc::new(Self { counts, freed: Notify::new() })
    }

    /// Sets the number of places; those that are taken stay so
    pub(super) fn set_most(&self, most: usize) {
        self.counts().most = most.max(1);
        self.freed.notify_waiters();
    }

    /// Returns the number of places
    pub(super) fn most(&self) -> usize {
        self.counts().most
    }

    /// Takes a place if one is free
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut counts = self.counts();
        let is_free = counts.used < counts.most;
        counts.used += usize::from(is_free);
        drop(counts);
        is_free.then(|| Place(Arc::clone(self)))
    }

    /// Takes a place as soon as one is free
    ///
    /// # Cancel safety
    /// No place is lost.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // before the look, so that a place that is freed after it wakes this task
            freed.as_mut().enable();
            if let Some(place) = self.try_take() {
                return place;
            }
            freed.await;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        counts.used = counts.used.saturating_sub(1);
        drop(counts);
        self.0.freed.notify_one();
    }
}

/// The limits of a listener
#[derive(Debug)]
pub(super) struct ListenerLimits {
    process: Arc<Places>,
    listener: Arc<Places>,
    addresses: Mutex<Addresses>,
}

/// The connections of each address
#[derive(Debug, Default)]
struct Addresses {
    known: BTreeMap<IpAddr, usize>,
    /// The connections of all addresses that the table has no room for
    others: usize,
}

/// A place of a client's address, until it is dropped
#[derive(Debug)]
pub(super) struct AddressPlace {
    limits: Arc<ListenerLimits>,
    /// `None`: among the others
    address: Option<IpAddr>,
}

impl ListenerLimits {
    /// Makes the limits of a listener that wants `most` places
    pub(super) fn new(process: Arc<Places>, most: usize) -> Arc<Self> {
        let listener = Places::new(share(&process, most));
        Arc::new(Self { process, listener, addresses: Mutex::default() })
    }

    /// Sets the number of places that the listener wants, and looks anew at those of the process
    pub(super) fn set_most(&self, most: usize) {
        self.listener.set_most(share(&self.process, most));
    }

    /// Returns the number of places of the listener
    pub(super) fn most(&self) -> usize {
        self.listener.most()
    }

    /// Takes a place of the listener as soon as one is free
    pub(super) async fn listener(&self) -> Place {
        self.listener.take().await
    }

    /// Takes a place of the process as soon as one is free
    pub(super) async fn process(&self) -> Place {
        self.process.take().await
    }

    /// Takes a place of the listener and one of the process, if both are free
    pub(super) fn try_both(&self) -> Result<(Place, Place), Full> {
        let listener = self.listener.try_take().ok_or(Full::Listener)?;
        Ok((listener, self.process.try_take().ok_or(Full::Process)?))
    }

    /// Takes a place of a client's address; `None` if it has its share
    ///
    /// One address has a quarter of the listener's places. Addresses of this machine and unix sockets have all: many
    /// programs share them.
    pub(super) fn address(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Vec<AddressPlace>> {
        let Some(address) = address.filter(|address| !address.is_loopback()) else {
            return Some(Vec::new());
        };
        let share = (self.listener.most() / 4).max(1);
        let mut addresses = self.addresses();
        let is_known = addresses.known.contains_key(&address);
        let has_room = is_known || addresses.known.len() < MAX_ADDRESSES;
        let count = if has_room {
            addresses.known.entry(address).or_default()
        } else {
            &mut addresses.others
        };
        if *count >= share {
            return None;
        }
        *count += 1;
        drop(addresses);
        let address = has_room.then_some(address);
        Some(vec![AddressPlace { limits: Arc::clone(self), address }])
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut addresses = self.limits.addresses();
        let Some(address) = self.address else {
            addresses.others = addresses.others.saturating_sub(1);
            return;
        };
        if let Some(count) = addresses.known.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                addresses.known.remove(&address);
            }
        }
    }
}

/// The places that are all taken
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Those of the listener
    Listener,
    /// Those of the process
    Process,
}

/// No listener has more than half of the process's places: another one always finds some
fn share(process: &Places, most: usize) -> usize {
    most.min(process.most() / 2).max(1)
}

/// Addresses in a listener's table; further ones share one entry
const MAX_ADDRESSES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_back_goes_to_one_who_waits() {
        let places = Places::new(2);
        let (first, _second) = (places.take().await, places.take().await);
        assert!(places.try_take().is_none());
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        let third = waiting.await.unwrap();
        assert!(places.try_take().is_none());
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        places.set_most(3);
        let _fourth = waiting.await.unwrap();
        drop(third);
    }

    #[test]
    fn a_listener_has_half_of_the_process_and_an_address_a_quarter_of_the_listener() {
        let process = Places::new(16);
        let limits = ListenerLimits::new(Arc::clone(&process), 256);
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(limits.try_both().unwrap());
        }
        assert_eq!(limits.try_both().unwrap_err(), Full::Listener);
        let other = ListenerLimits::new(process, 256);
        let _others: Vec<_> = (0..8).map(|_| other.try_both().unwrap()).collect();
        drop(held.pop());
        let _place = other.process.try_take().unwrap();
        assert_eq!(limits.try_both().unwrap_err(), Full::Process);
        let places: Vec<_> = (0..2).map(|_| limits.address(Some(ONE)).unwrap()).collect();
        assert!(limits.address(Some(ONE)).is_none());
        assert!(limits.address(Some([10, 0, 0, 2].into())).is_some());
        for _ in 0..8 {
            assert!(limits.address(None).unwrap().is_empty());
            assert!(limits.address(Some([127, 0, 0, 1].into())).unwrap().is_empty());
        }
        drop(places);
        assert!(limits.address(Some(ONE)).is_some());
        assert!(limits.addresses().known.is_empty(), "what ended is forgotten");
    }

    #[test]
    fn the_table_of_addresses_is_bounded_and_the_others_share_one_entry() {
        let limits = ListenerLimits::new(Places::new(1 << 20), 1 << 15);
        let address = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(0x0A00_0000 + n));
        let held: Vec<_> = (0..5000).map(|n| limits.address(Some(address(n))).unwrap()).collect();
        assert_eq!(limits.addresses().known.len(), MAX_ADDRESSES);
        assert_eq!(limits.addresses().others, 5000 - MAX_ADDRESSES);
        drop(held);
        assert!(limits.addresses().known.is_empty());
        assert_eq!(limits.addresses().others, 0);
    }
}
