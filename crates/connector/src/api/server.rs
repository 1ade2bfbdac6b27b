//! The connections of the control interface

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router, response::IntoResponse};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{control::Control, problem::Problem, routes, stall::Stall};
use crate::unix::OpenSocket;

/// The connections of the control interface, 32 at a time
///
/// A connection that was upgraded counts no more. Beyond 32 some are told so, and the others are closed. A request's
/// head has to come within 10 s, and an answer has to be taken within 10 s.
#[derive(Debug)]
pub struct Server {
    router: Router,
    refusing: Router,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    stop: CancellationToken,
}

/// The process at the other end of a connection
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    /// The number of its user
    pub uid: Option<u32>,
    /// Its number
    pub pid: Option<i32>,
}

impl Server {
    /// Makes a server without connections, which ends all of them at `stop`
    pub fn new(control: Arc<dyn Control>, stop: CancellationToken) -> Self {
        Self {
            router: routes::router(control),
            refusing: Router::new().fallback(async || too_many().into_response()),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            stop,
        }
    }

    /// Accepts the connections of a socket until the server is stopped
    pub async fn serve(&self, socket: &OpenSocket) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = socket.listener().accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let peer = stream.peer_cred().ok();
                    let uid = peer.as_ref().map(tokio::net::unix::UCred::uid);
                    let pid = peer.as_ref().and_then(tokio::net::unix::UCred::pid);
                    self.accept(stream, Peer { uid, pid });
                }
                Err(error) => {
                    tracing::warn!("the control socket cannot accept: {error}");
                    sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// Serves a connection of this process, in a task of its own
    pub fn accept(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: Peer) {
        let (router, place) = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => (&self.router, place),
            Err(_) => match Arc::clone(&self.refusals).try_acquire_owned() {
                Ok(place) => (&self.refusing, place),
                Err(_) => return,
            },
        };
        let router = router.clone().layer(Extension(peer));
        tokio::spawn(connection(Stall::new(stream), router, place, self.stop.clone()));
    }
}

async fn connection(
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
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
