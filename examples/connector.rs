//! Keeps tunnels to sites and forwards local ports into them: the library's tutorial
//!
//!     cargo run --release --example connector -- --site b1=10.99.0.11 --user testuser --password test123 \
//!         --forward tcp:127.0.0.1:8001=b1:192.168.1.3:80 --forward udp:127.0.0.1:3671=b1:192.168.1.3:3671

use std::{
    collections::HashMap,
    error::Error,
    net::{SocketAddr, SocketAddrV4},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use clap::{CommandFactory, Parser};
use pptp::{Client, Retry, Tunnel, TunnelConfig};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Keeps a PPTP tunnel to each site and forwards local TCP and UDP ports into them
#[derive(Parser)]
struct Arguments {
    /// A site and its PPTP server: NAME=HOST[:PORT]
    #[arg(long = "site", required = true)]
    sites: Vec<Site>,
    /// The user on all servers
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    user: String,
    /// The password on all servers
    #[arg(
        long,
        env = "PPTP_PASSWORD",
        hide_env_values = true,
        required_unless_present = "password_file"
    )]
    password: Option<String>,
    /// A file that holds the password
    #[arg(long, conflicts_with = "password")]
    password_file: Option<PathBuf>,
    /// `tcp|udp:LOCAL_ADDRESS:PORT=SITE:ADDRESS:PORT`
    #[arg(long = "forward")]
    forwards: Vec<Forward>,
}

impl Arguments {
    /// Ends the program where the arguments do not fit together
    fn check(&self) {
        let twice =
            self.sites.iter().enumerate().find(|(i, site)| {
                self.sites.iter().take(*i).any(|earlier| earlier.name == site.name)
            });
        let unknown = self
            .forwards
            .iter()
            .find(|forward| self.sites.iter().all(|site| site.name != forward.site));
        let wrong = match (twice, unknown) {
            (Some((_, site)), _) => format!("two sites are named {:?}", site.name),
            (None, Some(forward)) => format!("there is no site {:?} to forward to", forward.site),
            (None, None) => return,
        };
        Self::command().error(clap::error::ErrorKind::ValueValidation, wrong).exit();
    }
}

#[derive(Clone)]
struct Site {
    name: String,
    server: String,
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, server) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or("NAME=HOST[:PORT] is wanted")?;
        let config = TunnelConfig::new(server, "user", "");
        config.check().map_err(|failure| failure.to_string())?;
        Ok(Self { name: name.into(), server: server.into() })
    }
}

#[derive(Clone)]
struct Forward {
    protocol: Protocol,
    local: SocketAddr,
    site: String,
    target: SocketAddrV4,
}

#[derive(Clone, Copy)]
enum Protocol {
    Tcp,
    Udp,
}

impl FromStr for Forward {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "tcp|udp:LOCAL_ADDRESS:PORT=SITE:ADDRESS:PORT is wanted";
        let (from, to) = text.split_once('=').ok_or(form)?;
        let (protocol, local) = from.split_once(':').ok_or(form)?;
        let (site, target) = to.split_once(':').ok_or(form)?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err("the protocol is tcp or udp"),
        };
        let local = local.parse().map_err(|_| "the local address is not ADDRESS:PORT")?;
        let target = target.parse().map_err(|_| "the target is not an IPv4 ADDRESS:PORT")?;
        Ok(Self { protocol, local, site: site.into(), target })
    }
}

/// A site's tunnel while it is up, `None` while it is not
type Line = watch::Receiver<Option<Tunnel>>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    arguments.check();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let password = match (arguments.password, &arguments.password_file) {
        (Some(password), _) => password,
        (None, Some(file)) => {
            std::fs::read_to_string(file)?.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, None) => return Err("no password".into()),
    };
    let client = Client::new()?;
    let mut lines = HashMap::new();
    let mut sites = JoinSet::new();
    for site in arguments.sites {
        let config =
            TunnelConfig::new(site.server, &arguments.user, &password).name(site.name.clone());
        let (sender, line) = watch::channel(None);
        lines.insert(site.name.clone(), line);
        sites.spawn(keep_connected(client.clone(), site.name, config, sender));
    }
    let mut forwards = JoinSet::new();
    for forward in arguments.forwards {
        let Some(line) = lines.get(&forward.site).cloned() else { continue };
        match forward.protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(forward.local).await?;
                forwards.spawn(forward_tcp(listener, line, forward.target));
            }
            Protocol::Udp => {
                let socket = Arc::new(UdpSocket::bind(forward.local).await?);
                forwards.spawn(forward_udp(socket, line, forward.target));
            }
        }
    }
    let gave_up = tokio::select! {
        () = all_ended(&mut sites) => true,
        stopped = asked_to_stop() => stopped.map(|()| false)?,
    };
    forwards.shutdown().await;
    let tunnels = lines.values().filter_map(|line| line.borrow().clone()).collect::<Vec<_>>();
    tunnels.iter().for_each(Tunnel::hang_up);
    sites.shutdown().await;
    client.wait_idle().await;
    if gave_up { Err("no site is left to connect to".into()) } else { Ok(()) }
}

async fn all_ended(sites: &mut JoinSet<()>) {
    while sites.join_next().await.is_some() {}
}

async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Connects, again and again with a pause that grows, until trying makes no sense any more
async fn keep_connected(
    client: Client,
    name: String,
    mut config: TunnelConfig,
    line: watch::Sender<Option<Tunnel>>,
) {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_mins(1))
        .without_max_times()
        .with_jitter();
    let mut pause = pauses.build();
    loop {
        println!("{name}: connecting");
        let error = match client.connect(config.clone()).await {
            Ok(tunnel) => {
                let info = tunnel.info();
                println!("{name}: up as {} in {:?}", info.inner_address, info.connect_time);
                config = config.resuming(&info);
                let since = Instant::now();
                line.send_replace(Some(tunnel.clone()));
                let reason = tunnel.closed().await;
                line.send_replace(None);
                if since.elapsed() > STABLE {
                    pause = pauses.build();
                }
                reason
            }
            Err(error) => error,
        };
        println!("{name}: down: {error}");
        if error.failure.retry() == Retry::Never {
            println!("{name}: given up: the same again would fail again");
            return;
        }
        let pause = pause.next().unwrap_or(STABLE);
        println!("{name}: next attempt in {:.1} s", pause.as_secs_f32());
        sleep(pause).await;
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

async fn connect_through(mut local: TcpStream, mut line: Line, target: SocketAddrV4) {
    let Some(tunnel) = up(&mut line).await else { return };
    match tunnel.tcp_connect(target).await {
        // each direction is shut down when its reader has ended: half-closed connections work
        Ok(mut remote) => drop(copy_bidirectional(&mut local, &mut remote).await),
        Err(error) => eprintln!("{}: no connection to {target}: {error}", tunnel.name()),
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

/// A tunnel that was up for so long starts its pauses anew
const STABLE: Duration = Duration::from_mins(1);
/// How long a local connection waits for its site to come up
const PATIENCE: Duration = Duration::from_secs(10);
/// A UDP peer that was silent for so long is forgotten
const SILENCE: Duration = Duration::from_mins(2);
/// Local UDP peers of one forward
const MOST_PEERS: usize = 1024;
