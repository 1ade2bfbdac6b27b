//! The state that a driver, its tunnels and its clients share: calls, queues of turns, counters

use std::{
    collections::VecDeque,
    fmt,
    net::Ipv4Addr,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use pptp_gre_socket::{CallTable, Exhausted, GreSocket, RawSocket, Shard, SocketOptions, memory};
use pptp_packet::Wakers;
use pptp_tunnel::Failure;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    runtime,
    sync::{Notify, watch},
};

use crate::{
    ClientError,
    driver::{Driver, beat::Beats, tunnel_shared::TunnelShared},
};

pub(crate) struct DriverShared {
    /// By our Call ID; a tunnel is in it from the moment its Call ID is chosen until it has ended
    calls: Mutex<CallTable<Arc<TunnelShared>>>,
    /// Servers whose GRE carries the Call ID 0, each with the Call ID that is meant
    zeros: Mutex<Vec<(Ipv4Addr, u16)>>,
    /// The tunnels that wait for a turn with packets; each is in it once at most
    can_send: Mutex<VecDeque<Arc<TunnelShared>>>,
    /// Those of them whose turn does not wait for the socket
    ///
    /// Emptied in each round of the driver, so that it has two entries of a tunnel at most.
    timers_due: Mutex<VecDeque<Arc<TunnelShared>>>,
    wake: Notify,
    beats: Beats,
    closing: AtomicBool,
    randomness: Randomness,
    pub(crate) counters: Counters,
}

/// Where Call IDs, challenges, Magic-Numbers, sequence numbers and ports come from
#[derive(Debug)]
pub(crate) enum Randomness {
    System,
    /// A run in memory is like any other with the same seed
    Memory(memory::Host),
}

impl Randomness {
    pub(crate) fn seed(&self) -> [u8; 32] {
        match self {
            Self::System => rand::random(),
            Self::Memory(host) => host.random_seed(),
        }
    }
}

/// Of one driver and its socket
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) receive_buffer: AtomicUsize,
    pub(crate) kernel_drops: AtomicU64,
    pub(crate) unknown_call: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) wake_panics: AtomicU64,
    pub(crate) pauses: AtomicU64,
    pub(crate) turns: AtomicU64,
}

impl DriverShared {
    /// Chooses our Call ID for a tunnel to `server` and enters the tunnel that `make` makes of it
    pub(crate) fn enter(
        &self,
        server: Ipv4Addr,
        tunnel: &Arc<TunnelShared>,
        now: std::time::Instant,
    ) -> Result<u16, Exhausted> {
        self.calls().insert(&mut self.rng(), server, Arc::clone(tunnel), now)
    }

    /// Octets that nobody can guess, unless the network is one in memory
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.randomness.seed()
    }

    /// A number that nobody can guess, with the same reserve
    pub(crate) fn number(&self) -> u64 {
        self.rng().random()
    }

    /// What `server` sends to the Call ID 0 is for this call; false if another has that already
    pub(crate) fn enter_zero(&self, server: Ipv4Addr, call_id: u16) -> bool {
        let mut zeros = self.zeros();
        let is_free = zeros.iter().all(|(other, _)| *other != server);
        if is_free {
            zeros.push((server, call_id));
        }
        is_free
    }

    /// The call that `server` means by the Call ID 0
    pub(crate) fn zero_call(&self, server: Ipv4Addr) -> Option<u16> {
        self.zeros().iter().find(|(other, _)| *other == server).map(|(_, call_id)| *call_id)
    }

    /// A Call ID is not used any more
    pub(crate) fn release(&self, call_id: u16, now: std::time::Instant) {
        let gone = self.calls().remove(call_id, now);
        // it may be the last to hold the tunnel: not under the lock
        drop(gone);
        self.zeros().retain(|(_, of_call)| *of_call != call_id);
    }

    fn zeros(&self) -> MutexGuard<'_, Vec<(Ipv4Addr, u16)>> {
        self.zeros.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes these tasks, with no lock held
    pub(crate) fn wake(&self, wakers: &mut Wakers) {
        self.count_wakes(wakers.wake_all());
    }

    /// So many wakers panicked
    pub(crate) fn count_wakes(&self, panicked: usize) {
        if panicked > 0 {
            self.counters.wake_panics.fetch_add(panicked as u64, Ordering::Relaxed);
            tracing::warn!(panicked, "a task's waker panicked");
        }
    }

    /// Wakers to be woken where this goes out of scope: to be declared before the lock is taken
    pub(crate) const fn wakers(&self) -> DriverWakers<'_> {
        DriverWakers { driver: self, wakers: Wakers::new() }
    }

    pub(crate) fn tunnel(&self, call_id: u16) -> Option<Arc<TunnelShared>> {
        self.calls().get_by_id(call_id).map(Arc::clone)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, CallTable<Arc<TunnelShared>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push_can_send(&self, tunnel: Arc<TunnelShared>) {
        self.can_send().push_back(tunnel);
        self.wake.notify_one();
    }

    pub(crate) fn push_timers_due(&self, tunnel: Arc<TunnelShared>) {
        self.timers_due().push_back(tunnel);
        self.wake.notify_one();
    }

    pub(crate) fn pop_timers_due(&self) -> Option<Arc<TunnelShared>> {
        self.timers_due().pop_front()
    }

    /// Moves all tunnels with timers due to `into`, which is empty and whose memory is used again
    pub(crate) fn take_timers_due(&self, into: &mut VecDeque<Arc<TunnelShared>>) {
        std::mem::swap(&mut *self.timers_due(), into);
    }

    pub(crate) fn pop_can_send(&self) -> Option<Arc<TunnelShared>> {
        self.can_send().pop_front()
    }

    /// The driver is gone: what is still there can only be told so
    pub(crate) fn abandon(&self, failure: &Failure) {
        let queues =
            [self.can_send(), self.timers_due()].map(|mut queue| std::mem::take(&mut *queue));
        drop(queues);
        let left = self.calls().iter().map(|(_, tunnel)| Arc::clone(tunnel)).collect::<Vec<_>>();
        for tunnel in left {
            tunnel.abandon(failure.clone());
        }
    }

    pub(crate) fn can_send_count(&self) -> usize {
        self.can_send().len()
    }

    /// Has the driver make a round: see [`Beats::ask`]
    pub(crate) fn ask_for_beat(&self) -> (u64, watch::Receiver<u64>) {
        let asked = self.beats.ask();
        self.wake.notify_one();
        asked
    }

    /// The driver begins a round: see [`Beats::begin_round`]
    pub(crate) fn begin_round(&self) -> u64 {
        self.beats.begin_round()
    }

    /// Whether a round is wanted that no tunnel needs
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

    fn timers_due(&self) -> MutexGuard<'_, VecDeque<Arc<TunnelShared>>> {
        self.timers_due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rng(&self) -> StdRng {
        StdRng::from_seed(self.seed())
    }

    fn can_send(&self) -> MutexGuard<'_, VecDeque<Arc<TunnelShared>>> {
        self.can_send.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakers that are woken when this is dropped
pub(crate) struct DriverWakers<'a> {
    driver: &'a DriverShared,
    wakers: Wakers,
}

impl Deref for DriverWakers<'_> {
    type Target = Wakers;

    fn deref(&self) -> &Wakers {
        &self.wakers
    }
}

impl DerefMut for DriverWakers<'_> {
    fn deref_mut(&mut self) -> &mut Wakers {
        &mut self.wakers
    }
}

impl Drop for DriverWakers<'_> {
    fn drop(&mut self) {
        self.driver.wake(&mut self.wakers);
    }
}

/// Keeps a driver running: held by clients and by tunnels that have not ended
pub(crate) struct DriverHandle {
    shared: Arc<DriverShared>,
    /// Where the driver runs, and the tunnels' control tasks with it
    runtime: runtime::Handle,
}

impl DriverHandle {
    /// Starts a driver on the current runtime, for the socket that `open` makes
    pub(crate) fn start<E: Into<ClientError>>(
        shard: Shard,
        randomness: Randomness,
        open: impl FnOnce() -> Result<GreSocket, E>,
    ) -> Result<Arc<Self>, ClientError> {
        let runtime = runtime::Handle::try_current().map_err(|_| ClientError::NoRuntime)?;
        let socket = open().map_err(Into::into)?;
        let (beats, heart) = Beats::new();
        let shared = Arc::new(DriverShared {
            calls: Mutex::new(CallTable::of_shard(shard)),
            zeros: Mutex::new(Vec::new()),
            can_send: Mutex::new(VecDeque::new()),
            timers_due: Mutex::new(VecDeque::new()),
            wake: Notify::new(),
            beats,
            closing: AtomicBool::new(false),
            randomness,
            counters: Counters::default(),
        });
        shared.counters.receive_buffer.store(socket.receive_buffer(), Ordering::Relaxed);
        runtime.spawn(Driver::new(Arc::clone(&shared), socket, heart).run());
        Ok(Arc::new(Self { shared, runtime }))
    }

    pub(crate) fn shared(&self) -> &DriverShared {
        &self.shared
    }

    pub(crate) const fn runtime(&self) -> &runtime::Handle {
        &self.runtime
    }

    /// The driver for `options` on the current runtime: one raw socket however many clients
    pub(crate) fn for_options(options: &SocketOptions) -> Result<Arc<Self>, ClientError> {
        let runtime = runtime::Handle::try_current().map_err(|_| ClientError::NoRuntime)?.id();
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|r| r.handle.strong_count() > 0);
        let same = running.iter().find(|r| r.runtime == runtime && r.options == *options);
        if let Some(handle) = same.and_then(|r| r.handle.upgrade()) {
            return Ok(handle);
        }
        let open = || RawSocket::open(options).map(GreSocket::from);
        let handle = Self::start(options.shard, Randomness::System, open)?;
        let weak = Arc::downgrade(&handle);
        running.push(Running { runtime, options: options.clone(), handle: weak });
        Ok(handle)
    }
}

/// None of its tunnels: each would print this again
impl fmt::Debug for DriverHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverHandle").finish_non_exhaustive()
    }
}

impl Drop for DriverHandle {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

/// Drivers of this process, so that clients with the same options share one raw socket
///
/// The kernel walks all raw sockets of a host for each packet; a second one would cost every packet.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

struct Running {
    /// A driver ends with its runtime, so another runtime needs another one
    runtime: runtime::Id,
    options: SocketOptions,
    handle: Weak<DriverHandle>,
}
