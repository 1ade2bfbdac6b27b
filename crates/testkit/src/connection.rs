//! Control connections: accepts them, and moves octets between each and the driver

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use pptp_memory_net::{MemoryListener, MemoryStream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::tasks::Tasks;

/// Sources of control connections
#[derive(Debug)]
pub(crate) enum Listener {
    /// Shared with the server, which stops it without waiting for its task
    Memory(Arc<MemoryListener>),
    Tcp(TcpListener),
}

/// Messages of a control connection for the driver
#[derive(Debug)]
pub(crate) enum FromClient {
    /// A control connection was accepted
    Opened {
        client: Ipv4Addr,
        writer: Writer,
        /// The Call ID by which the connection is known from now on
        call_id: oneshot::Sender<u16>,
    },
    Octets {
        call_id: u16,
        octets: Vec<u8>,
    },
    /// A control connection was closed by the client, or broke
    Closed {
        call_id: u16,
    },
}

/// The way to write to a control connection; dropping it closes the connection
#[derive(Debug)]
pub(crate) struct Writer {
    octets: mpsc::Sender<Vec<u8>>,
    /// True if each message is written twice
    twice: bool,
    _open: DropGuard,
}

impl Writer {
    /// Queues octets; false if the client has let too many pile up, or is gone
    pub(crate) fn write(&self, octets: Vec<u8>) -> bool {
        let octets = if self.twice { each_twice(&octets) } else { octets };
        self.octets.try_send(octets).is_ok()
    }

    /// Sets if each message is written twice from now on
    pub(crate) const fn set_twice(&mut self, twice: bool) {
        self.twice = twice;
    }
}

/// Whole messages of a control connection (RFC 2637 §1.4), each followed by its copy
fn each_twice(mut octets: &[u8]) -> Vec<u8> {
    let mut doubled = Vec::new();
    while let [high, low, ..] = *octets {
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let (message, rest) = octets.split_at_checked(length).unwrap_or((octets, &[]));
        doubled.extend([message, message].concat());
        octets = rest;
    }
    doubled
}

/// Accepts control connections for as long as the listener works
pub(crate) async fn accept(listener: Listener, driver: mpsc::Sender<FromClient>, tasks: Tasks) {
    loop {
        match listener.accept().await {
            Ok((Stream::Memory(stream), client)) => {
                tasks.spawn(serve(stream, client, driver.clone()));
            }
            Ok((Stream::Tcp(stream), client)) => tasks.spawn(serve(stream, client, driver.clone())),
            Err(error) => {
                // the client may have gone before it was accepted, or files have run out
                tracing::warn!(%error, "no control connection accepted");
                sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<(Stream, Ipv4Addr)> {
        match self {
            Self::Memory(listener) => {
                let (stream, client) = listener.accept().await?;
                Ok((Stream::Memory(stream), *client.ip()))
            }
            Self::Tcp(listener) => {
                let (stream, client) = listener.accept().await?;
                stream.set_nodelay(true)?;
                match client.ip() {
                    IpAddr::V4(client) => Ok((Stream::Tcp(stream), client)),
                    IpAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
                }
            }
        }
    }
}

enum Stream {
    Memory(MemoryStream),
    Tcp(TcpStream),
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite,
    client: Ipv4Addr,
    driver: mpsc::Sender<FromClient>,
) {
    let (octets, writes) = mpsc::channel(MAX_WRITES);
    let closed = CancellationToken::new();
    let writer = Writer { octets, twice: false, _open: closed.clone().drop_guard() };
    let (call_id, known) = oneshot::channel();
    if driver.send(FromClient::Opened { client, writer, call_id }).await.is_err() {
        return;
    }
    // without a Call ID the driver has turned the client away
    let Ok(call_id) = known.await else { return };
    let (reader, writer) = tokio::io::split(stream);
    let reading = async {
        closed.run_until_cancelled(read(reader, call_id, &driver)).await;
        closed.cancelled().await;
        sleep(LAST_READ_TIMEOUT).await;
    };
    tokio::select! {
        biased;
        () = write(writer, writes) => {}
        () = reading => {}
    }
}

async fn read(mut from: impl AsyncRead + Unpin, call_id: u16, driver: &mpsc::Sender<FromClient>) {
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let octets = buffer.get(..count).unwrap_or_default().to_vec();
        if driver.send(FromClient::Octets { call_id, octets }).await.is_err() {
            return;
        }
    }
    // an error says that the server is gone too
    let _ = driver.send(FromClient::Closed { call_id }).await;
}

/// Writes all octets, until the driver wants the connection closed
async fn write(mut to: impl AsyncWrite + Unpin, mut writes: mpsc::Receiver<Vec<u8>>) {
    while let Some(octets) = writes.recv().await {
        if to.write_all(&octets).await.is_err() {
            // the reader notices it too, and reports it
            while writes.recv().await.is_some() {}
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Pieces that wait to be written, at most
const MAX_WRITES: usize = 64;

/// The time that a client may take to read the last octets
const LAST_READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Time until a listener that failed is tried again
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);
