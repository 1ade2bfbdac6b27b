//! From local ports into the tunnels

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use pptp::{Tunnel, net::TcpOptions};
use pptp_fleet::{Lease, Site};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::arguments::Protocol;

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

    /// Forwards what arrives to the way's target, until the future is dropped.
    pub(crate) async fn forward(self, way: Way) {
        match self {
            Self::Tcp(listener) => forward_tcp(listener, way).await,
            Self::Udp(socket) => forward_udp(socket.into(), way).await,
        }
    }
}

/// A target, and the site that it is reached by
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) site: Site,
    pub(crate) target: SocketAddrV4,
}

impl Way {
    /// Returns the site's tunnel if it is up or comes up soon; says why where it does not
    async fn up(&self) -> Option<Lease> {
        let tunnel = self.site.tunnel(PATIENCE).await;
        let told =
            |reason| eprintln!("{}: not forwarded to {}: {reason}", self.site.name(), self.target);
        tunnel.map_err(told).ok()
    }
}

/// Serves at most [`MAX_CONNECTIONS`] at once; further ones wait in the listener's backlog.
///
/// Each connection takes an open file, and so does each site's control connection: a program that opened
/// connections without end would keep sites from being dialled again.
async fn forward_tcp(listener: TcpListener, way: Way) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((local, _)) => {
                let way = way.clone();
                connections.spawn(async move {
                    connect_through(local, way).await;
                    drop(place);
                });
            }
            // out of files, most likely: those in use will end
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connect_through(local: TcpStream, way: Way) {
    let mut connection = Connection { local, remote: None, complete: false };
    let Some(tunnel) = way.up().await else { return };
    if let Err(error) = connection.pass(&tunnel, way.target).await {
        eprintln!("{}: a connection to {} broke: {error}", way.site.name(), way.target);
    }
}

/// Both ends of a forwarded connection
struct Connection {
    local: TcpStream,
    remote: Option<pptp::net::TcpStream>,
    complete: bool,
}

impl Connection {
    /// Connects to `target` and copies both ways until both sides have closed their half
    async fn pass(&mut self, tunnel: &Tunnel, target: SocketAddrV4) -> io::Result<()> {
        let options = TcpOptions::default().connect_timeout(CONNECT_TIMEOUT);
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
            let _ = self.remote.as_ref().map(pptp::net::TcpStream::set_zero_linger);
        }
    }
}

/// A local program that sends to a UDP forward
struct Peer {
    queue: mpsc::Sender<Vec<u8>>,
    last_sent: Instant,
}

/// Gives each local peer a socket of its own in the tunnel, so that answers find their way back
///
/// Where there are [`MAX_PEERS`], a new one takes the place of the one that sent nothing for the longest
/// time: a program with many ports cannot shut the others out.
async fn forward_udp(local: Arc<UdpSocket>, way: Way) {
    let mut peers: HashMap<SocketAddr, Peer> = HashMap::new();
    let mut buffer = vec![0; 65536];
    loop {
        let Ok((length, address)) = local.recv_from(&mut buffer).await else {
            // an error that stays must not take a whole processor
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        peers.retain(|_, peer| !peer.queue.is_closed());
        if peers.len() >= MAX_PEERS && !peers.contains_key(&address) {
            forget_the_most_silent(&mut peers);
        }
        let peer = peers.entry(address).or_insert_with(|| {
            let (queue, datagrams) = mpsc::channel(64);
            tokio::spawn(serve_peer(Arc::clone(&local), address, datagrams, way.clone()));
            Peer { queue, last_sent: Instant::now() }
        });
        peer.last_sent = Instant::now();
        // a datagram for which there is no room is lost, as datagrams are
        let _ = peer.queue.try_send(buffer[..length].to_vec());
    }
}

fn forget_the_most_silent(peers: &mut HashMap<SocketAddr, Peer>) {
    let most_silent =
        peers.iter().min_by_key(|(_, peer)| peer.last_sent).map(|(address, _)| *address);
    most_silent.and_then(|address| peers.remove(&address));
}

/// Passes on what the target says, and no other host: another host's answer would look like the target's.
async fn serve_peer(
    local: Arc<UdpSocket>,
    peer: SocketAddr,
    mut queue: mpsc::Receiver<Vec<u8>>,
    way: Way,
) {
    let Some(tunnel) = way.up().await else { return };
    let Ok(remote) = tunnel.udp_bind(0) else { return };
    let target = SocketAddr::V4(way.target);
    let mut buffer = vec![0; 65536];
    let mut silent_since = Instant::now();
    loop {
        tokio::select! {
            datagram = queue.recv() => {
                let Some(datagram) = datagram else { return };
                silent_since = Instant::now();
                if let Err(error) = remote.send_to(&datagram, target).await {
                    eprintln!("{}: not sent to {target}: {error}", way.site.name());
                }
            }
            received = remote.recv_from(&mut buffer) => match received {
                Ok((length, from)) if from == target => {
                    silent_since = Instant::now();
                    drop(local.send_to(&buffer[..length], peer).await);
                }
                Ok(_) => {}
                // the tunnel has ended
                Err(_) => return,
            },
            () = sleep_until(silent_since + SILENCE) => return,
        }
    }
}

/// How long a local connection waits for its site to come up
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a target may take to answer: as long as Linux asks for (`tcp_syn_retries`)
///
/// The local client has a time limit of its own, and may know that its target is slow or busy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);
/// The silence after which a UDP peer is forgotten: no shorter than what routers give UDP (RFC 4787 REQ-5)
const SILENCE: Duration = Duration::from_mins(5);
/// The connections of one forward at a time
const MAX_CONNECTIONS: usize = 128;
/// The local UDP peers of one forward, each with 64 KiB
const MAX_PEERS: usize = 256;

#[cfg(test)]
mod tests;
