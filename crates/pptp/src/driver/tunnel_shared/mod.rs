//! The state of one tunnel, which its driver, its control task and its handles share
//!
//! | module | content |
//! |---|---|
//! | `inner` | the part that the lock guards, made of the parts below |
//! | `protocol` | the state machine, and its remains |
//! | `sockets`, `raw_port` | the users of the tunnel's IP packets |
//! | `negotiated` | the negotiation's result, and the proof of the path |
//! | `hang_up`, `ending` | the hang-up that was asked for, and the end |
//! | `end`, `report`, `gre_errors` | the end step by step, the figures, the network's messages |
//! | `tunnel_handle` | what users hold |

mod end;
mod ending;
mod gre_errors;
mod hang_up;
mod inner;
mod negotiated;
mod protocol;
mod raw_port;
mod report;
mod sockets;
mod tunnel_handle;

use std::{
    net::SocketAddrV4,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicU64},
};

use pptp_packet::panics;
use tokio::{
    runtime,
    sync::{Notify, watch},
};

use crate::{
    State,
    connect::login::Login,
    driver::{
        driver_shared::DriverShared, handle::DriverHandle, registry::Registry,
        strangers::Strangers, turn_flags::TurnFlags,
    },
    state::StateSender,
};

pub(crate) use self::{
    end::stopped,
    inner::Inner,
    raw_port::{RawPort, Side},
    sockets::PacketUser,
    tunnel_handle::TunnelHandle,
};

/// The state of one tunnel, which its driver, its control task and its handles share
///
/// The lock is never held across an await, and nothing is woken while it is held.
pub(crate) struct TunnelShared {
    pub(crate) name: String,
    pub(crate) span: tracing::Span,
    /// Keeps the driver running
    driver: Arc<DriverHandle<Self>>,
    /// The registry of the client that dialled it
    pub(crate) registry: Arc<Registry<TunnelHandle>>,
    /// The tunnel's number in that registry
    pub(crate) number: u32,
    pub(crate) state: StateSender,
    /// Wakes the control task: octets to write, or the end
    pub(crate) control: Notify,
    /// Wakes tasks that wait to know whether packets pass; made for the first of them
    pub(crate) path: OnceLock<Box<Notify>>,
    /// The addresses and the Call ID; another dial may take others
    route: Mutex<Option<Route>>,
    pub(crate) unsendable: AtomicU64,
    pub(crate) strangers: Strangers,
    /// The questions to the user when the server refuses the login, if it wants to be asked
    pub(crate) login: Option<Box<Login>>,
    turns: TurnFlags,
    inner: Mutex<Inner>,
}

/// The addresses between which a tunnel's datagrams go, and the Call ID of those that come
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) server: SocketAddrV4,
    pub(crate) local: Option<SocketAddrV4>,
    pub(crate) call_id: u16,
}

impl TunnelShared {
    pub(crate) fn new(
        name: String,
        driver: Arc<DriverHandle<Self>>,
        registry: Arc<Registry<TunnelHandle>>,
        state: watch::Sender<State>,
        login: Option<Box<Login>>,
    ) -> Self {
        let number = registry.number();
        let stack_seed = driver.shared().number();
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
            inner: Mutex::new(Inner::new(stack_seed)),
        }
    }

    /// Locks the tunnel's state
    ///
    /// A turn that panicked leaves a poisoned lock. The driver, which caught the panic, ends the tunnel.
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

    /// Tells the tunnel's state to the tasks that watch it; call it with no lock held
    pub(crate) fn tell(&self, state: State) {
        self.driver().count_wakes(usize::from(self.state.tell(state)));
    }

    /// Wakes the tasks that wait to know whether packets pass; call it with no lock held
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub(crate) fn tell_path(&self) {
        let Some(path) = self.path.get() else { return };
        self.driver().count_wakes(usize::from(panics(|| path.notify_waiters())));
    }
}
