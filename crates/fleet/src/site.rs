//! The handle of a site, and a lease on its tunnel

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant as StdInstant},
};

use pptp::{Tunnel, WeakTunnel, record::FlightRecord};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    SiteConfig, SiteFailure, SiteName, SiteState, SiteStatus,
    commands::{Command, Commands},
};

/// A site of a fleet: a handle that outlives its tunnels
///
/// Clones are the same site. A site that was removed says so in its state.
#[derive(Clone)]
pub struct Site {
    pub(crate) shared: Arc<SiteShared>,
    pub(crate) commands: Commands,
}

/// What the supervisor, the handles and the leases of a site share
pub(crate) struct SiteShared {
    pub(crate) name: SiteName,
    pub(crate) state: watch::Sender<SiteState>,
    tunnel: Mutex<Held>,
    /// The configuration of the present dial or tunnel
    dialled: Mutex<Option<Arc<SiteConfig>>>,
    /// The record of the latest dial that failed, or tunnel that ended
    record: Mutex<Option<Box<FlightRecord>>>,
}

/// The tunnel of a site, and its leases
struct Held {
    tunnel: Option<Tunnel>,
    leases: usize,
    /// The time at which the last lease was given back
    last_use: Instant,
}

impl SiteShared {
    pub(crate) fn new(name: SiteName, state: SiteState) -> Self {
        let held = Held { tunnel: None, leases: 0, last_use: Instant::now() };
        Self {
            name,
            state: watch::Sender::new(state),
            tunnel: Mutex::new(held),
            dialled: Mutex::default(),
            record: Mutex::default(),
        }
    }

    /// Notes the configuration of a dial that begins, or that nothing is left of one
    pub(crate) fn set_dialled(&self, config: Option<Arc<SiteConfig>>) {
        *self.dialled.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// The configuration of the present dial or tunnel
    pub(crate) fn dialled(&self) -> Option<Arc<SiteConfig>> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives the tunnel to those who want a lease
    pub(crate) fn set_tunnel(&self, tunnel: Tunnel) {
        let before = self.held().tunnel.replace(tunnel);
        // it may be the last handle: not under the lock
        drop(before);
    }

    /// The tunnel, for a look at it that is no use of the site
    pub(crate) fn tunnel(&self) -> Option<Tunnel> {
        self.held().tunnel.clone()
    }

    /// Has the tunnel ask its server for a sign of life
    pub(crate) fn check_peer(&self) {
        if let Some(tunnel) = self.tunnel() {
            tunnel.check_peer();
        }
    }

    /// The time at which something came through the tunnel
    pub(crate) fn last_received(&self) -> Option<StdInstant> {
        self.tunnel()?.stats().tunnel.last_received
    }

    /// Takes the tunnel away: there are no more leases on it
    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.held().tunnel.take()
    }

    /// Takes the tunnel away if nobody has a lease on it; else returns the time of the last use
    pub(crate) fn take_unused(
        &self,
        now: Instant,
        idle: Duration,
    ) -> Result<Option<Tunnel>, Instant> {
        let mut held = self.held();
        let last_use = if held.leases > 0 { now } else { held.last_use };
        if now.saturating_duration_since(last_use) < idle {
            return Err(last_use);
        }
        Ok(held.tunnel.take())
    }

    /// Keeps the record of a dial that failed, or of a tunnel that ended, in place of the one before
    pub(crate) fn set_record(&self, record: FlightRecord) {
        let record = Some(Box::new(record));
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }

    /// The number of leases
    pub(crate) fn leases(&self) -> usize {
        self.held().leases
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a lease if there is a tunnel
    fn lease(self: &Arc<Self>) -> Option<Lease> {
        let mut held = self.held();
        let tunnel = held.tunnel.clone()?;
        held.leases = held.leases.saturating_add(1);
        drop(held);
        Some(Lease { tunnel, site: Arc::clone(self) })
    }
}

/// The use of a site's tunnel: while there is one, a site on demand is not hung up for want of users
pub struct Lease {
    tunnel: Tunnel,
    site: Arc<SiteShared>,
}

impl Deref for Lease {
    type Target = Tunnel;

    fn deref(&self) -> &Tunnel {
        &self.tunnel
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.site.held();
        held.leases = held.leases.saturating_sub(1);
        held.last_use = Instant::now();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.site.name)
    }
}

/// The reason why a site's tunnel cannot be had
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotUp {
    /// The site is not going to be up in time, or at all: its state says why
    #[error("the site {site} is {state}")]
    Refused {
        /// The site
        site: SiteName,
        /// Its state
        state: Box<SiteState>,
    },
    /// The site did not come up within the time
    #[error("the site {site} did not come up within {} s; it is {state}", waited.as_secs())]
    TooLate {
        /// The site
        site: SiteName,
        /// Its state
        state: Box<SiteState>,
        /// The time
        waited: Duration,
    },
    /// The fleet is shut down
    #[error("the fleet is shut down")]
    ShutDown,
}

impl NotUp {
    /// Returns the failure behind it, if it is one
    pub fn failure(&self) -> Option<&SiteFailure> {
        match self {
            Self::Refused { state, .. } | Self::TooLate { state, .. } => state.failure(),
            Self::ShutDown => None,
        }
    }
}

impl Site {
    /// Returns the site's name
    pub fn name(&self) -> &SiteName {
        &self.shared.name
    }

    /// Returns the site's state, as a value that is watched
    pub fn state(&self) -> watch::Receiver<SiteState> {
        self.shared.state.subscribe()
    }

    /// Returns the number of leases on its tunnel
    pub fn leases(&self) -> usize {
        self.shared.leases()
    }

    /// Returns the tunnel, if it is up
    pub fn lease(&self) -> Option<Lease> {
        self.shared.lease()
    }

    /// Returns the tunnel, if there is one, for a look at it that is no use of the site
    ///
    /// A site on demand is hung up for want of users all the same.
    pub fn peek(&self) -> Option<WeakTunnel> {
        self.shared.held().tunnel.as_ref().map(Tunnel::downgrade)
    }

    /// Returns the tunnel, and waits `patience` at most for it; a site on demand is dialled
    ///
    /// A site that will not be up in time is refused at once.
    ///
    /// # Errors
    /// See [`NotUp`].
    ///
    /// # Cancel safety
    /// The dial goes on.
    pub async fn tunnel(&self, patience: Duration) -> Result<Lease, NotUp> {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if let Some(lease) = self.lease() {
                return Ok(lease);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let waits = self.commands.ask(|answer| Command::Client {
                name: self.name().clone(),
                patience: left,
                answer,
            });
            match waits.await {
                None => return Err(NotUp::ShutDown),
                Some(false) => return Err(self.refused()),
                Some(true) => {}
            }
            state.borrow_and_update();
            if let Some(lease) = self.lease() {
                return Ok(lease);
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(NotUp::ShutDown),
                Err(_) => {
                    let state = Box::new(self.shared.state.borrow().clone());
                    let site = self.name().clone();
                    return Err(NotUp::TooLate { site, state, waited: patience });
                }
            }
        }
    }

    /// Returns the flight record of the tunnel that is up; else of the latest dial that failed or tunnel that ended
    ///
    /// `None` before that. A dial that was given up leaves none.
    pub fn flight_record(&self) -> Option<FlightRecord> {
        if let Some(tunnel) = self.peek().and_then(|tunnel| tunnel.upgrade()) {
            return Some(tunnel.flight_record());
        }
        self.shared.record.lock().unwrap_or_else(PoisonError::into_inner).as_deref().cloned()
    }

    /// Returns more than the state; `None` if the site is gone, or the fleet is shut down
    pub async fn status(&self) -> Option<SiteStatus> {
        let name = self.name().clone();
        self.commands.ask(|answer| Command::SiteStatus { name, answer }).await.flatten()
    }

    fn refused(&self) -> NotUp {
        let state = Box::new(self.shared.state.borrow().clone());
        NotUp::Refused { site: self.name().clone(), state }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Site({}: {})", self.name(), self.shared.state.borrow().name())
    }
}
