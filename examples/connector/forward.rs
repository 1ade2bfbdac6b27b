//! From local ports into the tunnels

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use pptp::{TcpOptions, Tunnel};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::arguments::Protocol;

/// A site's tunnel while it is up, `None` while it is not
pub(crate) type Line = watch::Receiver<Option<Tunnel>>;

/// A local port that is taken
pub(crate) enum Listener {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Listener {
    pub(crate) async fn bind(protocol: Protocol, local: SocketAddr) -> io::Result<Self> {
        match protocol {
            Protocol::Tcp => TcpListener::bind(local).await.map(Self::Tcp),
            Protocol::Udp => UdpSocket::bind(local).await.map(Self::Udp),
        }
    }

    /// Forwards what comes to `target`, until it is dropped
    pub(crate) async fn forward(self, line: Line, target: SocketAddrV4) {
        match self {
            Self::Tcp(listener) => forward_tcp(listener, line, target).await,
            Self::Udp(socket) => forward_udp(socket.into(), line, target).await,
        }
    }
}

/// The site's tunnel, if it is up or comes up soon
async fn up(line: &mut Line) -> Option<Tunnel> {
    let tunnel = timeout(PATIENCE, line.wait_for(Option::is_some)).await.ok()?.ok()?;
    tunnel.clone()
}

async fn forward_tcp(listener: TcpListener, line: Line, target: SocketAddrV4) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((local, _)) => {
                connections.spawn(connect_through(local, line.clone(), target));
            }
            // out of files, most likely: those in use will end
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connect_through(local: TcpStream, mut line: Line, target: SocketAddrV4) {
    let mut connection = Connection { local, remote: None, complete: false };
    let Some(tunnel) = up(&mut line).await else { return };
    if let Err(error) = connection.pass(&tunnel, target).await {
        eprintln!("{}: a connection to {target} broke: {error}", tunnel.name());
    }
}

/// Both ends of a forwarded connection
struct Connection {
    local: TcpStream,
    remote: Option<pptp::TcpStream>,
    complete: bool,
}

impl Connection {
    /// Connects to `target` and copies both ways until both sides have closed their half
    async fn pass(&mut self, tunnel: &Tunnel, target: SocketAddrV4) -> io::Result<()> {
        let options = TcpOptions { connect_timeout: CONNECT_TIMEOUT, ..TcpOptions::default() };
        let remote = self.remote.insert(tunnel.tcp_connect_with(target, options).await?);
        copy_bidirectional(&mut self.local, remote).await?;
        self.complete = true;
        Ok(())
    }
}

/// Resets both ends unless all has passed: what broke off must not look as if it were complete
impl Drop for Connection {
    fn drop(&mut self) {
        if !self.complete {
            let _ = self.local.set_zero_linger();
            let _ = self.remote.as_ref().map(pptp::TcpStream::set_zero_linger);
        }
    }
}

/// Gives each local peer a socket of its own in the tunnel, so that answers find their way back
async fn forward_udp(local: Arc<UdpSocket>, line: Line, target: SocketAddrV4) {
    let mut peers: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut buffer = vec![0; 65536];
    loop {
        let Ok((length, peer)) = local.recv_from(&mut buffer).await else { continue };
        peers.retain(|_, peer| !peer.is_closed());
        if peers.len() >= MOST_PEERS && !peers.contains_key(&peer) {
            continue;
        }
        let queue = peers.entry(peer).or_insert_with(|| {
            let (sender, queue) = mpsc::channel(64);
            tokio::spawn(serve_peer(Arc::clone(&local), peer, queue, line.clone(), target));
            sender
        });
        // a datagram for which there is no room is lost, as datagrams are
        let _ = queue.try_send(buffer[..length].to_vec());
    }
}

async fn serve_peer(
    local: Arc<UdpSocket>,
    peer: SocketAddr,
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut line: Line,
    target: SocketAddrV4,
) {
    let Some(tunnel) = up(&mut line).await else { return };
    let Ok(remote) = tunnel.udp_bind(0) else { return };
    let mut buffer = vec![0; 65536];
    loop {
        tokio::select! {
            datagram = queue.recv() => {
                let Some(datagram) = datagram else { return };
                if let Err(error) = remote.send_to(&datagram, target).await {
                    eprintln!("{}: not sent to {target}: {error}", tunnel.name());
                }
            }
            received = remote.recv_from(&mut buffer) => match received {
                Ok((length, _)) => drop(local.send_to(&buffer[..length], peer).await),
                // the tunnel has ended
                Err(_) => return,
            },
            () = sleep(SILENCE) => return,
        }
    }
}

/// How long a local connection waits for its site to come up
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a target may take to answer: as long as Linux asks for (`tcp_syn_retries`)
///
/// The local client has a time limit of its own, and may know that its target is slow or busy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);
/// A UDP peer that was silent for so long is forgotten
const SILENCE: Duration = Duration::from_mins(2);
/// Local UDP peers of one forward
const MOST_PEERS: usize = 1024;

#[cfg(test)]
mod tests;
