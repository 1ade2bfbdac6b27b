//! The state of one tunnel, which its driver, its control task and its handles share
//!
//! | module | content |
//! |---|---|
//! | `inner` | the part that the lock guards, made of the parts below |
//! | `protocol` | the state machine, and its remains |
//! | `packet_users`, `raw_port` | the users of the tunnel's IP packets |
//! | `negotiated` | the negotiation's result, and the proof of the path |
//! | `hang_up`, `ending` | the hang-up that was asked for, and the end |
//! | `session`, `guarded` | the tunnel in the turns of its driver |
//! | `end`, `report`, `strangers` | the end step by step, the figures, other senders' datagrams |
//! | `tunnel_handle` | what users hold |

mod end;
mod ending;
mod guarded;
mod hang_up;
mod inner;
mod negotiated;
mod packet_users;
mod protocol;
mod raw_port;
mod report;
mod session;
mod strangers;
mod tunnel_handle;

use std::{
    net::SocketAddrV4,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicU64},
};

use pptp_driver::{DriverHandle, TurnFlags};
use tokio::{
    runtime,
    sync::{Notify, watch},
};

use crate::{State, client::registry::Registry, connect::login::Login, state::StateSender};

use self::strangers::Strangers;
pub(crate) use self::{
    end::stopped,
    inner::Inner,
    packet_users::PacketUser,
    raw_port::{RawPort, Side},
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
    dialled: Mutex<Option<Dialled>>,
    pub(crate) unsendable: AtomicU64,
    pub(crate) strangers: Strangers,
    /// The questions to the user when the server refuses the login, if it wants to be asked
    pub(crate) login: Option<Box<Login>>,
    turns: TurnFlags,
    inner: Mutex<Inner>,
}

/// A call that was dialled: the ends of its control connection, and our Call ID
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialled {
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
            dialled: Mutex::new(None),
            unsendable: AtomicU64::new(0),
            strangers: Strangers::default(),
            login,
            turns: TurnFlags::new(),
            inner: Mutex::new(Inner::new(stack_seed)),
        }
    }

    /// The runtime of the driver, on which the tunnel's own tasks run
    pub(crate) fn runtime(&self) -> &runtime::Handle {
        self.driver.runtime()
    }

    /// Returns the call that was dialled last
    pub(crate) fn dialled(&self) -> Option<Dialled> {
        *self.dialled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_dialled(&self, dialled: Dialled) {
        self.strangers.begin();
        *self.dialled.lock().unwrap_or_else(PoisonError::into_inner) = Some(dialled);
    }
}
