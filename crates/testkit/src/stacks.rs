//! The TCP/IP stacks of a building: that of the router and the device, and those of hosts that were added

use std::{
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    net::Ipv4Addr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Instant,
};

use pptp_netstack::{Local, LocalLink, StackConfig};
use tokio::sync::Notify;

use crate::{
    DEVICE, LanHost, ROUTER,
    lan::{MTU, PREFIX_LEN, destination, is_everyone, is_taken},
    router::{Inside, Router},
};

/// The stacks of one building, from a server's start to its end
#[derive(Debug)]
pub(crate) struct Stacks {
    /// Of the router and the device, which share one
    main: LocalLink,
    added: Arc<AddedHosts>,
}

impl Stacks {
    pub(crate) const fn new(main: LocalLink, added: Arc<AddedHosts>) -> Self {
        Self { main, added }
    }

    /// Waits until a turn is due
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn ready(&self) {
        tokio::select! {
            biased;
            () = self.main.ready() => {}
            () = self.added.ready() => {}
        }
    }

    /// Returns true if a host of the building takes a packet that goes there
    pub(crate) fn take(&self, destination: Ipv4Addr) -> bool {
        is_taken(destination) || self.added.lock().contains_key(&destination)
    }

    /// Hands a packet to its host, or to all hosts if it is for everyone
    pub(crate) fn handle_ip(&self, now: Instant, packet: &[u8]) {
        let added = self.added.all();
        match destination(packet) {
            Some(to) if is_everyone(to) => {
                self.main.handle_ip(now, packet);
                for link in added.values() {
                    link.handle_ip(now, packet);
                }
            }
            to => match to.and_then(|to| added.get(&to)) {
                Some(link) => link.handle_ip(now, packet),
                None => self.main.handle_ip(now, packet),
            },
        }
    }

    /// Composes what the hosts have to send, and hands them what they send to each other
    ///
    /// The turn with this number begins with another stack than the one before.
    pub(crate) fn turn(&self, number: usize, router: &mut Router<'_>) {
        let now = router.now;
        let added = self.added.all();
        if added.is_empty() {
            self.main.turn(now, router);
            return;
        }
        let hosts = [ROUTER, DEVICE].into_iter().chain(added.keys().copied()).collect();
        router.inside = Some(Inside { hosts, packets: VecDeque::new() });
        let mut links = Vec::from([&self.main]);
        links.extend(added.values().map(Arc::as_ref));
        let first = number.checked_rem(links.len()).unwrap_or_default();
        links.rotate_left(first);
        for link in links {
            link.turn(now, router);
        }
        for packet in router.inside.take().into_iter().flat_map(|inside| inside.packets) {
            self.handle_ip(now, &packet);
        }
    }
}

/// The hosts that were added to a building, by their addresses
///
/// They belong to the server and not to one of its starts: when the server is started again they are still there,
/// with their sockets.
#[derive(Debug, Default)]
pub(crate) struct AddedHosts {
    links: Mutex<BTreeMap<Ipv4Addr, Arc<LocalLink>>>,
    /// The map has changed
    changed: Notify,
}

impl AddedHosts {
    /// Adds a host, unless there is one at this address
    pub(crate) fn add(&self, address: Ipv4Addr, seed: u64) -> Option<LanHost> {
        let mut links = self.lock();
        if links.contains_key(&address) {
            return None;
        }
        let config = StackConfig {
            prefix_len: PREFIX_LEN,
            dns: vec![ROUTER],
            ..StackConfig::new(address, MTU, seed ^ u64::from(u32::from(address)))
        };
        let (net, link) = Local::new(config);
        links.insert(address, Arc::new(link));
        drop(links);
        self.changed.notify_one();
        Some(LanHost { address, net })
    }

    /// Removes a host, whose sockets end; returns false if there is none at this address
    pub(crate) fn remove(&self, address: Ipv4Addr) -> bool {
        let removed = self.lock().remove(&address);
        // its stack is shut down when the last turn of it is over: not under the lock
        let was_there = removed.is_some();
        drop(removed);
        self.changed.notify_one();
        was_there
    }

    /// All hosts, in the order of their addresses
    pub(crate) fn all(&self) -> BTreeMap<Ipv4Addr, Arc<LocalLink>> {
        self.lock().clone()
    }

    /// Waits until a turn of a host is due, or a host is new
    async fn ready(&self) {
        let links = self.all();
        let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
        for link in links.values() {
            waits.push(Box::pin(link.ready()));
        }
        waits.push(Box::pin(self.changed.notified()));
        poll_fn(|cx| {
            let is_ready = waits.iter_mut().any(|wait| wait.as_mut().poll(cx).is_ready());
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Ipv4Addr, Arc<LocalLink>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
