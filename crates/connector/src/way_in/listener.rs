//! A listener while it runs: its settings, limits and counters, and the service of one client

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    client::{Client, ClientStream, Origin},
    counters::Counters,
    http,
    limits::{ListenerLimits, Place, Places},
    refusal::{Reason, Refusal},
    refusal_log::RefusalLog,
    socks, tcp,
    way::Way,
};
use crate::{
    directory::Directory,
    settings::{ProxyKind, ProxySettings},
    target::Host,
};

/// A listener while it runs
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) directory: Directory,
    pub(super) counters: Arc<Counters>,
    pub(super) limits: Arc<ListenerLimits>,
    way: watch::Sender<Arc<Way>>,
    log: RefusalLog,
    /// The connections, which go on when no new ones are accepted
    connections: TaskTracker,
    /// Ends the connections
    reset: CancellationToken,
    bound: Option<SocketAddr>,
}

impl Listener {
    pub(super) fn new(
        way: Way,
        bound: Option<SocketAddr>,
        directory: Directory,
        process: Arc<Places>,
    ) -> Arc<Self> {
        let limits = ListenerLimits::new(process, way.max_clients());
        Arc::new(Self {
            directory,
            counters: Arc::default(),
            limits,
            way: watch::Sender::new(Arc::new(way)),
            log: RefusalLog::new(),
            connections: TaskTracker::new(),
            reset: CancellationToken::new(),
            bound,
        })
    }

    /// Takes other settings; connections that they forbid are reset
    pub(super) fn set_way(&self, way: Way) {
        self.limits.set_most(way.max_clients());
        // also if they are equal: the labels of sites may have changed
        self.way.send_replace(Arc::new(way));
    }

    /// Waits for the connections to end by themselves, and resets them after `patience`, or when `cut` is cancelled
    pub(super) async fn drain(&self, patience: Duration, cut: CancellationToken) {
        self.connections.close();
        tokio::select! {
            biased;
            () = self.connections.wait() => return,
            () = sleep(patience) => {}
            () = cut.cancelled() => {}
        }
        self.reset.cancel();
        self.connections.wait().await;
    }

    /// Serves a client that was accepted, in a task of its own
    pub(super) fn spawn<S: ClientStream>(
        self: &Arc<Self>,
        stream: S,
        origin: Origin,
        place: Place,
    ) {
        let listener = Arc::clone(self);
        self.connections.spawn(async move {
            let _place = place;
            let reset = listener.reset.clone();
            let process = listener.limits.process();
            let Some(_process) = reset.run_until_cancelled(process).await else {
                return stream.set_reset();
            };
            // what is dropped before its end resets its streams
            let service = listener.serve(stream, origin);
            let _ = reset.run_until_cancelled(service).await;
        });
    }

    /// Runs a task that ends with the connections
    pub(super) fn spawn_task(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let reset = self.reset.clone();
        self.connections.spawn(async move {
            let _ = reset.run_until_cancelled(task).await;
        })
    }

    async fn serve<S: ClientStream>(self: Arc<Self>, stream: S, origin: Origin) {
        let way = self.way();
        let refusal = match self.limits.address(origin.ip()) {
            _ if !way.clients().may_use(origin.ip()) => Refusal::Client(origin),
            None => Refusal::TooMany(origin),
            Some(_place) => {
                let _present = self.counters.accept();
                let client = Client::new(stream, origin);
                match &*way {
                    Way::Forward { site, forward } => {
                        tcp::serve(&self, client, site, forward).await;
                    }
                    Way::Proxy(proxy) => match proxy.kind {
                        ProxyKind::Socks => socks::serve(&self, client, proxy).await,
                        ProxyKind::Http => http::serve(&self, client).await,
                    },
                }
                return;
            }
        };
        stream.set_reset();
        self.refuse(origin, &refusal);
    }

    /// Counts a refusal and logs it
    pub(super) fn refuse(&self, client: Origin, refusal: &Refusal) {
        self.counters.refuse(refusal.reason());
        if refusal.reason() == Reason::Gone {
            // it is its own doing, and port scans and health checks do it all day
            tracing::debug!("{client}: {refusal}");
        } else {
            self.log.write(&self.way(), client, refusal);
        }
    }

    /// Waits until the settings forbid what was allowed
    pub(super) async fn until_forbidden(&self, is_allowed: impl Fn(&Way) -> bool) {
        let mut ways = self.way.subscribe();
        while is_allowed(&ways.borrow_and_update()) {
            if ways.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until a proxy's settings forbid a client what was allowed
    pub(super) async fn until_proxy_forbids(
        &self,
        origin: Origin,
        kind: ProxyKind,
        is_allowed: impl Fn(&ProxySettings) -> bool,
    ) {
        self.until_forbidden(|way| is_allowed_by(way, origin, kind, &is_allowed)).await;
    }

    /// Returns true if a proxy's settings, as they are now, allow a client what was allowed
    pub(super) fn proxy_allows(
        &self,
        origin: Origin,
        kind: ProxyKind,
        is_allowed: impl Fn(&ProxySettings) -> bool,
    ) -> bool {
        is_allowed_by(&self.way(), origin, kind, &is_allowed)
    }

    /// Returns the settings, as they are now
    pub(super) fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way.borrow())
    }

    /// Returns the address that the settings give to the name of a forward's target, if it is one and has one there
    pub(super) fn address_of_name(&self, way: &Way) -> Option<Ipv4Addr> {
        let Way::Forward { site, forward } = way else { return None };
        let Host::Name(name) = &forward.target.host else { return None };
        self.directory.all().get(site)?.hosts.get(name).copied()
    }

    /// Returns the settings, as a value that is watched
    pub(super) fn ways(&self) -> watch::Receiver<Arc<Way>> {
        self.way.subscribe()
    }

    /// Returns the address that is bound, if it is one
    pub(super) const fn bound(&self) -> Option<SocketAddr> {
        self.bound
    }
}

fn is_allowed_by(
    way: &Way,
    origin: Origin,
    kind: ProxyKind,
    is_allowed: &impl Fn(&ProxySettings) -> bool,
) -> bool {
    match way {
        Way::Proxy(proxy) => {
            proxy.kind == kind && proxy.clients.may_use(origin.ip()) && is_allowed(proxy)
        }
        Way::Forward { .. } => false,
    }
}
