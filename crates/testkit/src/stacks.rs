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
    /// The number of turns so far; each begins with another stack
    turns: usize,
}

impl Stacks {
    pub(crate) const fn new(main: LocalLink, added: Arc<AddedHosts>) -> Self {
        Self { main, added, turns: 0 }
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
    pub(crate) fn turn(&mut self, now: Instant, router: &mut Router<'_>) {
        let added = self.added.all();
        if added.is_empty() {
            self.main.turn(now, router);
            return;
        }
        let hosts = [ROUTER, DEVICE].into_iter().chain(added.keys().copied()).collect();
        router.inside = Some(Inside { hosts, packets: VecDeque::new() });
        let mut links = Vec::from([&self.main]);
        links.extend(added.values().map(Arc::as_ref));
        let first = self.turns.checked_rem(links.len()).unwrap_or_default();
        self.turns = self.turns.wrapping_add(1);
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
