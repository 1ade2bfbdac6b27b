//! The registry of one client's tunnels

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use pptp_packet::panics;
use tokio::sync::Notify;

/// The tunnels of one client and its clones, by a handle `H`, from the connect to the very end
///
/// It keeps none of them up. Each takes some 26 octets here: a number and a pointer, in nodes that
/// are half full or more.
pub(crate) struct Registry<H> {
    entries: Mutex<Entries<H>>,
    /// Notified when a tunnel leaves
    left: Notify,
}

struct Entries<H> {
    /// In the order of their connects
    tunnels: BTreeMap<u32, Weak<H>>,
    next: u32,
    is_closed: bool,
}

impl<H> Default for Registry<H> {
    fn default() -> Self {
        let entries = Entries { tunnels: BTreeMap::new(), next: 0, is_closed: false };
        Self { entries: Mutex::new(entries), left: Notify::new() }
    }
}

impl<H> Registry<H> {
    /// Returns a number that no tunnel has now
    pub(crate) fn number(&self) -> u32 {
        let mut entries = self.entries();
        // a process has some 65,535 tunnels for each driver at most
        while entries.tunnels.contains_key(&entries.next) {
            entries.next = entries.next.wrapping_add(1);
        }
        let number = entries.next;
        entries.next = entries.next.wrapping_add(1);
        number
    }

    /// Enters a tunnel that is going to be dialled; false if the client has been closed
    pub(crate) fn enter(&self, number: u32, tunnel: &Arc<H>) -> bool {
        let mut entries = self.entries();
        if entries.is_closed {
            return false;
        }
        entries.tunnels.insert(number, Arc::downgrade(tunnel));
        true
    }

    /// Removes a tunnel, of which nothing is left; returns true if a waker of a waiting task panicked
    #[expect(clippy::disallowed_methods, reason = "with no lock held, and panics are caught")]
    pub(crate) fn leave(&self, number: u32) -> bool {
        self.entries().tunnels.remove(&number);
        panics(|| self.left.notify_waiters())
    }

    /// Returns the tunnels of which a handle is held, in the order of their connects
    ///
    /// Handles that are the last ones by then hang up when they are dropped, which must not happen
    /// under a lock.
    pub(crate) fn held(&self) -> Vec<Arc<H>> {
        self.entries().tunnels.values().filter_map(Weak::upgrade).collect()
    }

    /// The number of tunnels, those that hang up included
    pub(crate) fn len(&self) -> usize {
        self.entries().tunnels.len()
    }

    /// Lets no tunnel enter any more
    pub(crate) fn close(&self) {
        self.entries().is_closed = true;
    }

    /// Waits until no tunnel is left
    pub(crate) async fn idle(&self) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // enabled before the look, so that a tunnel leaving in between is not missed
            left.as_mut().enable();
            if self.entries().tunnels.is_empty() {
                return;
            }
            left.await;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries<H>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> fmt::Debug for Registry<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("tunnels", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use pptp_memory_net as memory;
    use tokio::time::timeout;

    use super::*;
    use crate::{Client, TunnelConfig};

    /// Clients with the same options on one runtime share a socket and its driver
    #[tokio::test(start_paused = true)]
    async fn a_client_waits_for_and_closes_its_own_tunnels_only() {
        let network = memory::Network::new(1);
        let [here, there] = [1, 2].map(|last| Ipv4Addr::new(10, 0, 0, last));
        let mine = Client::builder().memory(network.host(here)).build().unwrap();
        let other = mine.sharing_its_driver();
        // accepted by the host, and never answered
        let _silent = network.host(there).listen_tcp(1723).unwrap();
        let config = TunnelConfig::new(there.to_string(), "user", "password")
            .connect_timeout(Duration::from_hours(1));
        let theirs = other.connect(config.clone().name("theirs"));
        let ours = mine.connect(config.clone().name("ours"));
        let names = |client: &Client| {
            client.tunnels().iter().map(|tunnel| tunnel.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((names(&mine), names(&other)), (vec!["ours".into()], vec!["theirs".into()]));
        drop(ours);
        let bound = Duration::from_secs(1);
        timeout(bound, mine.wait_idle()).await.expect("the other's tunnel does not count");
        timeout(bound, mine.close()).await.expect("nor here");
        assert!(!theirs.state().borrow().is_down(), "it is left alone");
        assert!(timeout(bound, other.wait_idle()).await.is_err(), "and counts where it belongs");
        timeout(bound, other.close()).await.unwrap();
        assert_eq!(theirs.await.unwrap_err().name(), "Closed");
        assert_eq!(names(&other), [""; 0]);
    }

    #[test]
    fn a_number_that_is_taken_is_not_given_out_again() {
        let registry = Registry::<()>::default();
        registry.entries().tunnels.insert(0, Weak::new());
        registry.entries().next = u32::MAX;
        assert_eq!([registry.number(), registry.number(), registry.number()], [u32::MAX, 1, 2]);
    }
}
