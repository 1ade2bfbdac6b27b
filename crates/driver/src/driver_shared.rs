//! The state that a driver, its sessions and their owners share: calls, queues of turns, counters

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

use crate::{
    Counters, DriverWakers, Randomness,
    beats::{Beats, Heart},
};

/// The state that a driver shares with its sessions, each a `T`, and with their owners
pub struct DriverShared<T> {
    /// The sessions by our Call ID, from the choice of the Call ID to the session's end
    calls: Mutex<CallTable<Arc<T>>>,
    /// Servers whose GRE carries the Call ID 0, each with the Call ID that is meant
    zeros: Mutex<Vec<(Ipv4Addr, u16)>>,
    /// The sessions that wait for a turn with packets; each is in it once at most
    can_send: Mutex<VecDeque<Arc<T>>>,
    /// Those of them whose turn does not wait for the socket
    ///
    /// Emptied in each round of the driver, so that it has two entries of a session at most.
    timers_due: Mutex<VecDeque<Arc<T>>>,
    wake: Notify,
    beats: Beats,
    closing: AtomicBool,
    randomness: Randomness,
    counters: Counters,
}

/// Prints nothing of its sessions, which print it
impl<T> fmt::Debug for DriverShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverShared").finish_non_exhaustive()
    }
}

impl<T> DriverShared<T> {
    /// Returns the state of a driver that is about to run, and the driver's end of its beats
    pub(crate) fn new(shard: Shard, randomness: Randomness) -> (Self, Heart) {
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

    /// Returns the figures of the driver
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Wakes these tasks, with no lock held
    pub fn wake(&self, wakers: &mut Wakers) {
        self.counters.count_wakes(wakers.wake_all());
    }

    /// Counts wakers that panicked when they were woken
    pub fn count_wakes(&self, panicked: usize) {
        self.counters.count_wakes(panicked);
    }

    /// Returns wakers that are woken at the end of their scope: declare them before the lock is taken
    pub const fn wakers(&self) -> DriverWakers<'_> {
        DriverWakers::new(&self.counters)
    }

    /// Chooses our Call ID for a session with `peer`, and enters the session under it
    ///
    /// # Errors
    /// All Call IDs are in use.
    pub fn enter(
        &self,
        peer: Ipv4Addr,
        session: &Arc<T>,
        now: std::time::Instant,
    ) -> Result<u16, Exhausted> {
        self.calls().insert(&mut self.rng(), peer, Arc::clone(session), now)
    }

    /// Returns unpredictable octets; those of a network in memory follow from its seed
    pub fn seed(&self) -> [u8; 32] {
        self.randomness.seed()
    }

    /// Returns an unpredictable number, as [`Self::seed`] does
    pub fn number(&self) -> u64 {
        self.rng().random()
    }

    /// Gives this call the GRE that `server` sends to the Call ID 0; false if another call has it
    pub fn enter_zero(&self, server: Ipv4Addr, call_id: u16) -> bool {
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
    pub fn release(&self, call_id: u16, now: std::time::Instant) {
        let gone = self.calls().remove(call_id, now);
        // it may be the last to hold the session: not under the lock
        drop(gone);
        self.zeros().retain(|(_, of_call)| *of_call != call_id);
    }

    fn zeros(&self) -> MutexGuard<'_, Vec<(Ipv4Addr, u16)>> {
        self.zeros.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the session with this Call ID
    pub fn session(&self, call_id: u16) -> Option<Arc<T>> {
        self.calls().get_by_id(call_id).map(Arc::clone)
    }

    /// Locks the table of Call IDs
    pub fn calls(&self) -> MutexGuard<'_, CallTable<Arc<T>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push_can_send(&self, session: Arc<T>) {
        self.can_send().push_back(session);
        self.wake.notify_one();
    }

    pub(crate) fn push_timers_due(&self, session: Arc<T>) {
        self.timers_due().push_back(session);
        self.wake.notify_one();
    }

    pub(crate) fn pop_timers_due(&self) -> Option<Arc<T>> {
        self.timers_due().pop_front()
    }

    /// Moves all sessions with timers due to `into`, which is empty and whose memory is used again
    pub(crate) fn take_timers_due(&self, into: &mut VecDeque<Arc<T>>) {
        std::mem::swap(&mut *self.timers_due(), into);
    }

    pub(crate) fn pop_can_send(&self) -> Option<Arc<T>> {
        self.can_send().pop_front()
    }

    /// Empties the queues, and returns the sessions that are left: the driver is gone
    pub(crate) fn drain(&self) -> Vec<Arc<T>> {
        let queues =
            [self.can_send(), self.timers_due()].map(|mut queue| std::mem::take(&mut *queue));
        drop(queues);
        self.calls().iter().map(|(_, session)| Arc::clone(session)).collect()
    }

    /// Tells the driver to end after its next round: the last handle is gone
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn can_send_count(&self) -> usize {
        self.can_send().len()
    }

    /// Asks the driver for a round; returns its number, and the latest number that was answered
    pub fn ask_for_beat(&self) -> (u64, watch::Receiver<u64>) {
        let asked = self.beats.ask();
        self.wake.notify_one();
        asked
    }

    /// Begins a round of the driver: see [`Beats::begin_round`]
    pub(crate) fn begin_round(&self) -> u64 {
        self.beats.begin_round()
    }

    /// Returns true if a round is wanted that no session needs
    fn wants_round(&self) -> bool {
        self.beats.is_wanted() || self.is_closing()
    }

    /// Waits until a session can send, a round is asked for, or the last handle is gone
    ///
    /// A wake for a session that has had its turn since does not count.
    pub(crate) async fn woken(&self) {
        while self.can_send_count() == 0 && !self.wants_round() {
            self.wake.notified().await;
        }
    }

    /// Waits until a session has timers due, a round is asked for, or the last handle is gone
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
