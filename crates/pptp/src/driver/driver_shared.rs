//! The state that a driver, its tunnels and its clients share: calls, queues of turns, counters

use std::{
    collections::VecDeque,
    fmt,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use pptp_gre_socket::{CallTable, Exhausted, Shard};
use pptp_packet::Wakers;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::sync::{Notify, watch};

use crate::driver::{
    beats::{Beats, Heart},
    counters::{Counters, DriverWakers},
};

/// The state that a driver shares with its tunnels, each a `T`, and with its clients
pub(crate) struct DriverShared<T> {
    /// The tunnels by our Call ID, from the choice of the Call ID to the tunnel's end
    calls: Mutex<CallTable<Arc<T>>>,
    /// Servers whose GRE carries the Call ID 0, each with the Call ID that is meant
    zeros: Mutex<Vec<(Ipv4Addr, u16)>>,
    /// The tunnels that wait for a turn with packets; each is in it once at most
    can_send: Mutex<VecDeque<Arc<T>>>,
    /// Those of them whose turn does not wait for the socket
    ///
    /// Emptied in each round of the driver, so that it has two entries of a tunnel at most.
    timers_due: Mutex<VecDeque<Arc<T>>>,
    wake: Notify,
    beats: Beats,
    closing: AtomicBool,
    randomness: Randomness,
    counters: Counters,
}

/// The source of Call IDs, challenges, Magic-Numbers, sequence numbers and ports
pub(crate) enum Randomness {
    System,
    /// A virtual network's, whose runs are alike where its seed is
    Virtual(Box<dyn Fn() -> [u8; 32] + Send + Sync>),
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Virtual(_) => "Virtual",
        })
    }
}

impl Randomness {
    pub(crate) fn seed(&self) -> [u8; 32] {
        match self {
            Self::System => rand::random(),
            Self::Virtual(seed) => seed(),
        }
    }
}

impl<T> DriverShared<T> {
    /// Returns the state of a driver that is about to run, and the driver's end of its beats
    pub(super) fn new(shard: Shard, randomness: Randomness) -> (Self, Heart) {
        let (beats, heart) = Beats::new();
        let shared = Self {
            calls: Mutex::new(CallTable::of_shard(shard)),
            zeros: Mutex::new(Vec::new()),
            can_send: Mutex::new(VecDeque::new()),
            timers_due: Mutex::new(VecDeque::new()),
            wake: Notify::new(),
            beats,
            closing: AtomicBool::new(false),
            randomness,
            counters: Counters::default(),
        };
        (shared, heart)
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Wakes these tasks, with no lock held
    pub(crate) fn wake(&self, wakers: &mut Wakers) {
        self.counters.count_wakes(wakers.wake_all());
    }

    /// Counts wakers that panicked when they were woken
    pub(crate) fn count_wakes(&self, panicked: usize) {
        self.counters.count_wakes(panicked);
    }

    /// Returns wakers that are woken at the end of their scope: declare them before the lock is taken
    pub(crate) const fn wakers(&self) -> DriverWakers<'_> {
        DriverWakers::new(&self.counters)
    }

    /// Chooses our Call ID for a tunnel to `server`, and enters the tunnel under it
    pub(crate) fn enter(
        &self,
        server: Ipv4Addr,
        tunnel: &Arc<T>,
        now: std::time::Instant,
    ) -> Result<u16, Exhausted> {
        self.calls().insert(&mut self.rng(), server, Arc::clone(tunnel), now)
    }

    /// Returns unpredictable octets; those of a network in memory follow from its seed
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.randomness.seed()
    }

    /// Returns an unpredictable number, as [`Self::seed`] does
    pub(crate) fn number(&self) -> u64 {
        self.rng().random()
    }

    /// Gives this call the GRE that `server` sends to the Call ID 0; false if another call has it
    pub(crate) fn enter_zero(&self, server: Ipv4Addr, call_id: u16) -> bool {
        let mut zeros = self.zeros();
        let is_free = zeros.iter().all(|(other, _)| *other != server);
        if is_free {
            zeros.push((server, call_id));
        }
        is_free
    }

    /// Returns the call that gets the GRE of `server` to the Call ID 0
    pub(crate) fn zero_call(&self, server: Ipv4Addr) -> Option<u16> {
        self.zeros().iter().find(|(other, _)| *other == server).map(|(_, call_id)| *call_id)
    }

    /// Gives a Call ID back
    pub(crate) fn release(&self, call_id: u16, now: std::time::Instant) {
        let gone = self.calls().remove(call_id, now);
        // it may be the last to hold the tunnel: not under the lock
        drop(gone);
        self.zeros().retain(|(_, of_call)| *of_call != call_id);
    }

    fn zeros(&self) -> MutexGuard<'_, Vec<(Ipv4Addr, u16)>> {
        self.zeros.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tunnel(&self, call_id: u16) -> Option<Arc<T>> {
        self.calls().get_by_id(call_id).map(Arc::clone)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, CallTable<Arc<T>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push_can_send(&self, tunnel: Arc<T>) {
        self.can_send().push_back(tunnel);
        self.wake.notify_one();
    }

    pub(crate) fn push_timers_due(&self, tunnel: Arc<T>) {
        self.timers_due().push_back(tunnel);
        self.wake.notify_one();
    }

    pub(crate) fn pop_timers_due(&self) -> Option<Arc<T>> {
        self.timers_due().pop_front()
    }

    /// Moves all tunnels with timers due to `into`, which is empty and whose memory is used again
    pub(crate) fn take_timers_due(&self, into: &mut VecDeque<Arc<T>>) {
        std::mem::swap(&mut *self.timers_due(), into);
    }

    pub(crate) fn pop_can_send(&self) -> Option<Arc<T>> {
        self.can_send().pop_front()
    }

    /// Empties the queues, and returns the tunnels that are left: the driver is gone
    pub(crate) fn drain(&self) -> Vec<Arc<T>> {
        let queues =
            [self.can_send(), self.timers_due()].map(|mut queue| std::mem::take(&mut *queue));
        drop(queues);
        self.calls().iter().map(|(_, tunnel)| Arc::clone(tunnel)).collect()
    }

    /// Tells the driver to end after its next round: the last handle is gone
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn can_send_count(&self) -> usize {
        self.can_send().len()
    }

    /// Asks the driver for a round: see [`Beats::ask`]
    pub(crate) fn ask_for_beat(&self) -> (u64, watch::Receiver<u64>) {
        let asked = self.beats.ask();
        self.wake.notify_one();
        asked
    }

    /// Begins a round of the driver: see [`Beats::begin_round`]
    pub(crate) fn begin_round(&self) -> u64 {
        self.beats.begin_round()
    }

    /// Returns true if a round is wanted that no tunnel needs
    fn wants_round(&self) -> bool {
        self.beats.is_wanted() || self.is_closing()
    }

    /// Waits until a tunnel can send, a round is asked for, or the last handle is gone
    ///
    /// A wake for a tunnel that has had its turn since does not count.
    pub(crate) async fn woken(&self) {
        while self.can_send_count() == 0 && !self.wants_round() {
            self.wake.notified().await;
        }
    }

    /// Waits until a tunnel has timers due, a round is asked for, or the last handle is gone
    pub(crate) async fn woken_for_timers(&self) {
        while self.timers_due().is_empty() && !self.wants_round() {
            self.wake.notified().await;
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn timers_due(&self) -> MutexGuard<'_, VecDeque<Arc<T>>> {
        self.timers_due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rng(&self) -> StdRng {
        StdRng::from_seed(self.seed())
    }

    fn can_send(&self) -> MutexGuard<'_, VecDeque<Arc<T>>> {
        self.can_send.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
