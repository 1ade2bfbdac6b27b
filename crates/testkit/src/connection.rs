//! Control connections: accepts them, and moves octets between each and its client

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Client,
    clients::Clients,
    listener::{Listener, Stream},
    tasks::Tasks,
    writer::Writer,
};

/// Accepts control connections for as long as the listener works
pub(crate) async fn accept(listener: Listener, clients: Arc<Clients>, tasks: Tasks) {
    loop {
        match listener.accept().await {
            Ok((Stream::Memory(stream), client)) => {
                tasks.spawn(serve(stream, client, Arc::clone(&clients)));
            }
            Ok((Stream::Tcp(stream), client)) => {
                tasks.spawn(serve(stream, client, Arc::clone(&clients)));
            }
            Err(error) => {
                // the client may have gone before it was accepted, or files have run out
                tracing::warn!(%error, "no control connection accepted");
                sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite, address: Ipv4Addr, clients: Arc<Clients>) {
    let (octets, writes) = mpsc::channel(MAX_WRITES);
    let closed = CancellationToken::new();
    let twice = clients.says_twice();
    let writer = Writer::new(octets, twice, closed.clone().drop_guard());
    // a client that is turned away is not read at all
    let Some(client) = clients.open(address, writer) else { return };
    let (reader, writer) = tokio::io::split(stream);
    let reading = async {
        closed.run_until_cancelled(read(reader, &client)).await;
        closed.cancelled().await;
        sleep(LAST_READ_TIMEOUT).await;
    };
    tokio::select! {
        biased;
        () = write(writer, writes) => {}
        () = reading => {}
    }
}

async fn read(mut from: impl AsyncRead + Unpin, client: &Arc<Client>) {
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        client.handle_control(buffer.get(..count).unwrap_or_default());
    }
    client.handle_control_eof();
}

/// Writes all octets, until the server wants the connection closed
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
