//! The loop that accepts clients

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    bind::Socket,
    client::{ClientStream, Origin},
    knx::{self, KnxDatagrams},
    listener::Listener,
    udp,
};

/// Accepts clients until `stop`; the socket is closed when it returns
///
/// Where all places of the listener are taken, further clients wait in the kernel's backlog.
pub(super) async fn run(listener: Arc<Listener>, socket: Socket, stop: CancellationToken) {
    match socket {
        Socket::Tcp(socket) => accept(&listener, &socket, &stop).await,
        Socket::Unix(socket) => accept(&listener, socket.listener(), &stop).await,
        Socket::Udp(socket) => datagrams(&listener, &Arc::new(socket), &stop).await,
        Socket::MemoryUdp(socket) => datagrams(&listener, &Arc::new(socket), &stop).await,
        Socket::Memory => stop.cancelled().await,
    }
}

/// Takes datagrams until `stop`; a reload may make another kind of forward of the same socket
async fn datagrams<D: KnxDatagrams>(
    listener: &Arc<Listener>,
    socket: &Arc<D>,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        if listener.way().is_knx() {
            knx::serve(listener, socket, stop).await;
        } else {
            udp::serve(listener, socket, stop).await;
        }
    }
}

async fn accept<A: Accept>(listener: &Arc<Listener>, socket: &A, stop: &CancellationToken) {
    while let Some(place) = stop.run_until_cancelled(listener.limits.listener()).await {
        match stop.run_until_cancelled(socket.accept()).await {
            Some(Ok((stream, origin))) => listener.spawn(stream, origin, place),
            Some(Err(error)) => {
                // out of files, most likely: those in use will end
                tracing::debug!("no client was accepted: {error}");
                if stop.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                    return;
                }
            }
            None => return,
        }
    }
}

/// A socket that accepts clients
trait Accept: Sync {
    type Stream: ClientStream;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Origin)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Origin)> {
        let (stream, address) = self.accept().await?;
        Ok((stream, Origin::Address(address)))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Origin)> {
        Ok((self.accept().await?.0, Origin::Unix))
    }
}

/// The pause after an error, so that it does not take a whole processor
const PAUSE: Duration = Duration::from_millis(100);
