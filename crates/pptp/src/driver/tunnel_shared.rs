//! One tunnel's state, its lock, and who may touch it when

use std::{
    io,
    net::SocketAddrV4,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use pptp_netstack::{Owner, Stack, StackConfig};
use pptp_packet::{Wakers, panics};
use pptp_tunnel::{ConnectTimeline, Failure, GreError, Peer, Recorder, TunnelError};
use tokio::{
    runtime,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    FlightRecord, Info, Redial, State, Stats,
    clock::now,
    connect::{login::Login, redial::Dialling},
    driver::{
        driver_shared::DriverShared, handle::DriverHandle, registry::Registry,
        strangers::Strangers, turn_flags::TurnFlags,
    },
    raw_ip::RawPort,
    record::{Captures, Ends},
    state::StateSender,
};

/// One tunnel, as its driver, its control task and its handles see it
///
/// The lock is never held across an await, and nothing is woken while it is held.
pub(crate) struct TunnelShared {
    pub(crate) name: String,
    pub(crate) span: tracing::Span,
    /// Keeps the driver running
    driver: Arc<DriverHandle<TunnelShared>>,
    /// Of the client that dialled it
    pub(crate) registry: Arc<Registry<Handle>>,
    /// Its number there
    pub(crate) number: u32,
    pub(crate) state: StateSender,
    /// Wakes the control task: octets to write, or the end
    pub(crate) control: Notify,
    /// Wakes those who wait to know whether packets pass; made for the first of them
    pub(crate) path: OnceLock<Box<Notify>>,
    /// A redial may take another
    route: Mutex<Option<Route>>,
    pub(crate) unsendable: AtomicU64,
    pub(crate) strangers: Strangers,
    /// Whom to ask when the server refuses the login, if anybody
    pub(crate) login: Option<Box<Login>>,
    turns: TurnFlags,
    inner: Mutex<Inner>,
}

/// Where a tunnel's datagrams go, and where they come from
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) server: SocketAddrV4,
    pub(crate) local: Option<SocketAddrV4>,
    pub(crate) call_id: u16,
}

/// What the lock guards
#[derive(Default)]
pub(crate) struct Inner {
    /// From the open control connection to the end
    pub(crate) machine: Option<Box<pptp_tunnel::Tunnel>>,
    /// From its first use on, also past the tunnel's end: see [`Inner::stack`]
    pub(crate) stack: Option<Box<Stack>>,
    pub(crate) raw: Option<Box<RawPort>>,
    /// None while nobody captures
    pub(crate) captures: Option<Box<Captures>>,
    pub(crate) info: Option<Arc<Info>>,
    /// When the connect began, for those who read a clock on the wall
    pub(crate) began: Option<SystemTime>,
    /// Waiting for the control task; bounded by the state machine
    pub(crate) control_out: Vec<u8>,
    pub(crate) ended: Option<Box<TunnelError>>,
    pub(crate) finished: bool,
    /// Nothing is left on the wire, the control connection included
    pub(crate) has_left: bool,
    /// For what waits for that: a signal like any other, made for the first that waits
    pub(crate) hung_up: Option<CancellationToken>,
    /// Until the tunnel is up
    pub(crate) dialling: Option<Box<Dialling>>,
    /// The state machine's end is not the tunnel's: it is dialled once more
    pub(crate) redials: bool,
    /// Why it was dialled once more so far; once for each reason and each address, hardly ever any
    #[expect(clippy::box_collection, reason = "16 octets less in each idle tunnel")]
    pub(crate) redialled: Option<Box<Vec<Redial>>>,
    /// Of the state machine that is dialled once more
    pub(crate) timeline: Option<Box<ConnectTimeline>>,
    /// Hang up as soon as there is something to hang up
    pub(crate) abandoned: bool,
    /// To be hung up when what the sockets wrote has left, then at the latest
    pub(crate) hang_up_by: Option<Instant>,
    /// What can be asked of a tunnel that has ended
    pub(crate) remains: Option<Box<Remains>>,
    /// Whether the path is proven at all, by the tunnel's configuration
    pub(crate) proves_path: bool,
    /// Until when UDP datagrams wait for the path to open
    pub(crate) hold_until: Option<Instant>,
    #[cfg(feature = "fault-injection")]
    pub(crate) panic_next: bool,
}

/// What a state machine leaves behind
pub(crate) struct Remains {
    pub(crate) stats: pptp_tunnel::Stats,
    pub(crate) peer: Option<Peer>,
    pub(crate) peer_call_id: Option<u16>,
    pub(crate) recorder: Recorder,
}

impl Remains {
    pub(crate) fn of(machine: &pptp_tunnel::Tunnel) -> Self {
        Self {
            stats: machine.stats(),
            peer: machine.peer().cloned(),
            peer_call_id: machine.peer_call_id(),
            recorder: machine.recorder().clone(),
        }
    }
}

impl TunnelShared {
    pub(crate) fn new(
        name: String,
        driver: Arc<DriverHandle<TunnelShared>>,
        registry: Arc<Registry<Handle>>,
        state: watch::Sender<State>,
        login: Option<Box<Login>>,
    ) -> Self {
        let number = registry.number();
        let span = tracing::info_span!("tunnel", %name);
        Self {
            name,
            span,
            driver,
            registry,
            number,
            state: StateSender::new(state),
            control: Notify::new(),
            path: OnceLock::new(),
            route: Mutex::new(None),
            unsendable: AtomicU64::new(0),
            strangers: Strangers::default(),
            login,
            turns: TurnFlags::new(),
            inner: Mutex::new(Inner::default()),
        }
    }

    /// A turn that panicked leaves a poisoned lock; its tunnel is ended by whoever caught the panic
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state that the tunnel's driver shares with its tunnels and clients
    pub(crate) fn driver(&self) -> &DriverShared<Self> {
        self.driver.shared()
    }

    /// The runtime of the driver, on which the tunnel's own tasks run
    pub(crate) fn runtime(&self) -> &runtime::Handle {
        self.driver.runtime()
    }

    pub(crate) fn route(&self) -> Option<Route> {
        *self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_route(&self, route: Route) {
        self.strangers.begin();
        *self.route.lock().unwrap_or_else(PoisonError::into_inner) = Some(route);
    }

    /// Asks the driver for a turn with packets; any number of calls before that turn count as one
    pub(crate) fn mark_can_send(self: &Arc<Self>) {
        self.turns.mark_can_send(|| self.driver().push_can_send(Arc::clone(self)));
    }

    /// Asks the driver for a turn that does not wait for the socket
    ///
    /// A deadline has passed, or the peer has sent something that may end the tunnel.
    pub(crate) fn mark_timers_due(self: &Arc<Self>) {
        self.turns.mark_timers_due(|| self.driver().push_timers_due(Arc::clone(self)));
        self.mark_can_send();
    }

    pub(crate) const fn turns(&self) -> &TurnFlags {
        &self.turns
    }

    /// Starts an orderly hang-up: what the sockets wrote leaves first, and the state machine bounds
    /// the rest in time
    pub(crate) fn hang_up(self: &Arc<Self>) {
        let mut inner = self.lock();
        inner.abandoned = true;
        if inner.machine.is_some() {
            inner.hang_up_by.get_or_insert_with(|| now() + MAX_FLUSH_TIME);
            drop(inner);
            self.mark_timers_due();
        } else {
            drop(inner);
            self.control.notify_one();
        }
    }

    /// The tunnel is over: fails all calls on it and tells everyone why
    ///
    /// The state machine stays until it has hung up: see [`Self::finish`].
    pub(crate) fn end(&self, error: TunnelError) {
        let mut wakers = self.driver().wakers();
        {
            let mut inner = self.lock();
            if inner.ended.is_some() {
                return;
            }
            inner.end(&error, &mut wakers);
        }
        tracing::info!(parent: &self.span, reason = %error, "down");
        self.tell(State::Down { reason: error });
        self.tell_path();
    }

    /// Tells those who watch the tunnel's state; with no lock held
    pub(crate) fn tell(&self, state: State) {
        self.driver().count_wakes(usize::from(self.state.tell(state)));
    }

    /// Tells those who wait to know whether packets pass; with no lock held
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub(crate) fn tell_path(&self) {
        let Some(path) = self.path.get() else { return };
        self.driver().count_wakes(usize::from(panics(|| path.notify_waiters())));
    }

    /// Nothing more will happen: the Call ID is given back and the control task ends
    pub(crate) fn finish(&self) {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.finished, true) {
            return;
        }
        let machine = inner.machine.take();
        inner.remains = machine.as_ref().map(|machine| Box::new(Remains::of(machine)));
        drop(inner);
        if let Some(route) = self.route() {
            self.driver().release(route.call_id, now());
        }
        self.control.notify_one();
    }

    /// Whoever served the tunnel is gone
    pub(crate) fn abandon(&self, failure: Failure) {
        if !self.lock().finished {
            self.end(TunnelError::new(failure, self.timeline()));
            self.finish();
        }
    }

    fn timeline(&self) -> ConnectTimeline {
        let inner = self.lock();
        let known = inner.machine.as_ref().map(|machine| machine.timeline().clone());
        known.unwrap_or_else(|| ConnectTimeline::new(now()))
    }

    /// What was said on the wire
    pub(crate) fn flight_record(&self) -> FlightRecord {
        let state = self.state.with(State::clone).unwrap_or(State::Up);
        let inner = self.lock();
        let (machine, remains) = (inner.machine.as_ref(), inner.remains.as_ref());
        let recorder = machine.map(|it| it.recorder()).or_else(|| remains.map(|it| &it.recorder));
        let peer_call_id =
            machine.map_or_else(|| remains.and_then(|it| it.peer_call_id), |it| it.peer_call_id());
        let ends = self.route().map_or(Ends::NONE, |route| Ends {
            local: route.local.unwrap_or(Ends::NONE.local),
            server: route.server,
            call_id: route.call_id,
            peer_call_id: peer_call_id.unwrap_or_default(),
        });
        FlightRecord {
            tunnel: self.name.clone(),
            state,
            ends,
            began: inner.began.unwrap_or_else(SystemTime::now),
            records: recorder.map(Recorder::records).unwrap_or_default(),
            echoes: recorder.map_or(0, Recorder::echoes),
            forgotten: recorder.map_or(0, Recorder::forgotten),
        }
    }

    /// What has passed so far
    pub(crate) fn stats(&self) -> Stats {
        let inner = self.lock();
        let dropped = inner.raw.as_ref().map_or(0, |raw| raw.dropped);
        let (machine, remains) = (inner.machine.as_ref(), inner.remains.as_ref());
        let stats = machine.map(|m| m.stats()).or_else(|| remains.map(|r| r.stats));
        Stats {
            tunnel: stats.unwrap_or_default(),
            stack: inner.stack.as_ref().map(|stack| stack.stats()),
            ip_dropped: dropped,
            unsendable: self.unsendable.load(Ordering::Relaxed),
        }
    }

    /// What the server said of itself
    pub(crate) fn peer(&self) -> Option<Peer> {
        let inner = self.lock();
        match &inner.machine {
            Some(machine) => machine.peer().cloned(),
            None => inner.remains.as_ref().and_then(|remains| remains.peer.clone()),
        }
    }

    /// The kernel refused to send one of this tunnel's datagrams
    pub(crate) fn send_failed(&self, error: &io::Error) {
        self.unsendable.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(parent: &self.span, %error, "a GRE datagram was not sent");
        if let Some(machine) = &mut self.lock().machine {
            machine.handle_gre_error(now(), GreError::NotSent(error.to_string()));
        }
    }

    /// An ICMP message says that this peer does not know GRE
    pub(crate) fn protocol_unreachable(self: &Arc<Self>) {
        if let Some(machine) = &mut self.lock().machine {
            machine.handle_gre_error(now(), GreError::ProtocolUnreachable);
        }
        self.mark_timers_due();
    }

    /// The end of a tunnel whose turn panicked
    ///
    /// What the panic left behind is not trusted: if it cannot be shut down either, it is dropped.
    pub(crate) fn end_after_panic(&self, message: String) {
        let error = TunnelError::new(Failure::Internal { message }, self.timeline());
        if catch_unwind(AssertUnwindSafe(|| self.end(error.clone()))).is_err() {
            let stack = self.lock().stack.take();
            drop(stack);
            self.lock().ended = None;
            self.end(error);
        }
        self.finish();
    }
}

impl Inner {
    /// The stack, once the tunnel has been up: see [`stack_of`]
    pub(crate) fn stack(&mut self, driver: &DriverShared<TunnelShared>) -> Option<&mut Stack> {
        let (info, ended) = (self.info.as_deref(), self.ended.as_deref());
        stack_of(&mut self.stack, driver, info, ended, self.hold_until)
    }

    /// Whether this end of the state machine's is none of the tunnel's, and why
    pub(crate) fn redial(&mut self, server: SocketAddrV4, error: &TunnelError) -> Option<Redial> {
        let dialling = self.dialling.as_mut().filter(|_| !self.abandoned)?;
        let why = dialling.again(server, error)?;
        self.redials = true;
        self.redialled.get_or_insert_default().push(why.clone());
        Some(why)
    }

    /// The reason for the end of the connect, with what an earlier dial of it found out
    pub(crate) fn explained(&self, error: TunnelError) -> TunnelError {
        match &self.dialling {
            Some(dialling) => dialling.explained(error),
            None => error,
        }
    }

    /// Whether nothing is left of the control connection there was
    pub(crate) const fn has_hung_up(&self) -> bool {
        self.finished || (self.redials && self.machine.is_none())
    }

    fn end(&mut self, error: &TunnelError, wakers: &mut Wakers) {
        self.dialling = None;
        if let Some(stack) = &mut self.stack {
            stack.shut_down(Arc::new(error.clone()), error.io_kind());
            stack.drain_wakers(wakers);
        }
        if let Some(mut raw) = self.raw.take() {
            raw.drain_all_wakers(wakers);
        }
        if let Some(captures) = &mut self.captures {
            captures.drain_wakers(wakers);
        }
        self.ended = Some(Box::new(error.clone()));
    }
}

/// The stack of a tunnel that has been up, made for the first packet or call that needs it
///
/// Of ten thousand tunnels most carry nothing most of the time, and some never do. Past the end of a
/// tunnel sockets ask its stack why they failed.
pub(crate) fn stack_of<'a>(
    stack: &'a mut Option<Box<Stack>>,
    driver: &DriverShared<TunnelShared>,
    info: Option<&Info>,
    ended: Option<&TunnelError>,
    hold_until: Option<Instant>,
) -> Option<&'a mut Stack> {
    if stack.is_none() {
        let info = info?;
        let config = StackConfig::new(info.inner_address, info.mtu.into(), driver.number());
        let config = StackConfig { dns: info.dns.clone(), ..config };
        // its time begins before any turn that is under way
        let mut made = Stack::new(config, info.timeline.started());
        if let Some(until) = hold_until {
            made.hold_datagrams(info.timeline.started(), until);
        }
        if let Some(error) = ended {
            made.shut_down(Arc::new(error.clone()), error.io_kind());
        }
        *stack = Some(Box::new(made));
    }
    stack.as_deref_mut()
}

/// What users hold: the last one to go hangs up
///
/// Tunnel handles and open sockets hold one together, so a stream that outlives its `Tunnel`
/// variable goes on.
pub(crate) struct Handle {
    pub(crate) shared: Arc<TunnelShared>,
}

impl Owner for Handle {
    fn with_stack(&self, f: &mut dyn FnMut(&mut Stack)) {
        let mut wakers = self.shared.driver().wakers();
        let mut ready = false;
        if let Some(stack) = self.shared.lock().stack(&self.shared.driver()) {
            f(stack);
            stack.drain_wakers(&mut wakers);
            ready = stack.take_ready();
        }
        drop(wakers);
        if ready {
            self.shared.mark_can_send();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.hang_up();
    }
}

/// Why a task is gone that should not be
pub(crate) fn stopped(task: &str) -> Failure {
    if std::thread::panicking() {
        Failure::Internal { message: format!("{task} panicked") }
    } else {
        Failure::RuntimeShutDown
    }
}

/// How long a hang-up waits for what the sockets wrote before
const MAX_FLUSH_TIME: Duration = Duration::from_secs(2);
