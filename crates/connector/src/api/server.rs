//! The connections of the control interface

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router, response::IntoResponse};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    access::{Entry, Gate},
    control::Control,
    problem::Problem,
    routes,
    stall::Stall,
};
use crate::{
    settings::{ApiListener, Listen},
    unix::OpenSocket,
};

/// The server of the control interface, on any number of listeners
#[derive(Debug)]
pub struct Server {
    router: Router,
    control: Door,
    stop: CancellationToken,
}

/// The connections of one listener, 32 at a time
///
/// A connection that was upgraded counts no more. Beyond 32 some are told so, and the others are closed. A request's
/// head has to come within 10 s, and an answer has to be taken within 10 s. Each listener has places of its own: whoever
/// fills those of one does not shut out the others.
#[derive(Debug, Clone)]
pub struct Door {
    router: Router,
    refusing: Router,
    gate: Gate,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

/// The program at the other end of a connection
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    /// The number of its user, on a unix socket
    pub uid: Option<u32>,
    /// The number of its process, on a unix socket
    pub pid: Option<i32>,
    /// Its address, on a port of TCP
    pub address: Option<SocketAddr>,
}

impl Server {
    /// Makes a server without connections, which ends all of them at `stop`
    pub fn new(control: Arc<dyn Control>, stop: CancellationToken) -> Self {
        let router = routes::router(control);
        let control = Door::new(router.clone(), Gate::Control, stop.clone());
        Self { router, control, stop }
    }

    /// Makes the connections of a listener of the configuration, whose rights are always those of now
    pub fn door(&self, listen: Listen, settings: watch::Receiver<Arc<[ApiListener]>>) -> Door {
        Door::new(self.router.clone(), Gate::Api { settings, listen }, self.stop.clone())
    }

    /// Accepts the connections of the control socket until the server is stopped
    pub async fn serve(&self, socket: &OpenSocket) {
        self.control.serve_unix(socket).await;
    }

    /// Serves a connection of the control socket, in a task of its own
    pub fn accept(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: Peer) {
        self.control.accept(stream, peer);
    }
}

impl Door {
    /// Makes the connections of a listener with these routes
    fn new(router: Router, gate: Gate, stop: CancellationToken) -> Self {
        Self {
            router,
            refusing: Router::new().fallback(async || too_many().into_response()),
            gate,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            streams: Arc::new(Semaphore::new(routes::MAX_STREAMS)),
            stop,
        }
    }

    /// Accepts the connections of a unix socket until the server is stopped
    pub async fn serve_unix(&self, socket: &OpenSocket) {
        while let Some((stream, _)) = self.accepted(socket.listener().accept()).await {
            let Some(stream) = stream else { continue };
            let peer = stream.peer_cred().ok();
            let uid = peer.as_ref().map(tokio::net::unix::UCred::uid);
            let pid = peer.as_ref().and_then(tokio::net::unix::UCred::pid);
            self.accept(stream, Peer { uid, pid, address: None });
        }
    }

    /// Accepts the connections of a port of TCP until the server is stopped; a client that may not use it is cut off
    pub async fn serve_tcp(&self, listener: &TcpListener) {
        while let Some((stream, address)) = self.accepted(listener.accept()).await {
            let (Some(stream), Some(address)) = (stream, address) else { continue };
            let address: SocketAddr = address;
            if self.gate.may_use(Some(address.ip())) {
                // an answer of several pieces waits for nobody
                let _ = stream.set_nodelay(true);
                self.accept(stream, Peer::at(address));
            }
        }
    }

    /// Waits for a client; `None`: the server is stopped. Without a stream, there was an error, and a pause
    async fn accepted<S, A>(
        &self,
        accept: impl Future<Output = std::io::Result<(S, A)>>,
    ) -> Option<(Option<S>, Option<A>)> {
        let accepted = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, address)) => Some((Some(stream), Some(address))),
            Err(error) => {
                tracing::warn!("the control interface cannot accept: {error}");
                sleep(PAUSE_AFTER_ERROR).await;
                Some((None, None))
            }
        }
    }

    /// Serves a connection, in a task of its own
    pub fn accept(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: Peer) {
        let (router, place) = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => (&self.router, place),
            Err(_) => match Arc::clone(&self.refusals).try_acquire_owned() {
                Ok(place) => (&self.refusing, place),
                Err(_) => return,
            },
        };
        let (gate, streams) = (self.gate.clone(), Arc::clone(&self.streams));
        let router = router.clone().layer(Extension(Entry { gate, peer, streams }));
        tokio::spawn(connection(Stall::new(stream), router, place, self.stop.clone()));
    }
}

/// Serves a connection until it ends, or until `stop`
pub(super) async fn connection(
    stream: Stall,
    router: Router,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    tokio::select! {
        () = stop.cancelled() => {}
        // a client that went away or was too slow is its own affair
        _ = served => {}
    }
    drop(place);
}

fn too_many() -> Problem {
    Problem::busy(format!(
        "{MAX_CONNECTIONS} connections are open already; close one, and try again"
    ))
}

/// The connections at a time
const MAX_CONNECTIONS: usize = 32;

/// The connections at a time beyond those that are told that there are too many
const MAX_REFUSALS: usize = 8;

/// The time within which the head of a request has to come, and the next request has to begin
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The headers of a request
const MAX_HEADERS: usize = 64;

/// The octets of a head, and of an answer that wait in the process
const MAX_BUFFER: usize = 64 << 10;

/// The pause after an error of accept: no file descriptor is left, for instance
pub(super) const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
