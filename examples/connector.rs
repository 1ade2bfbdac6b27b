//! Keeps tunnels to sites and forwards local ports into them: the library's tutorial
//!
//!     cargo run --release --example connector -- --site b1=10.99.0.11 --user testuser --password test123 \
//!         --forward tcp:127.0.0.1:8001=b1:192.168.1.3:80 --forward udp:127.0.0.1:3671=b1:192.168.1.3:3671
//!
//! A `Fleet` dials the sites, and dials those again that went: without storms, and with pauses that grow. A refused
//! login (error 691) is tried again after an hour, and later up to a day apart, since servers say the same while an
//! earlier session of the user is alive; if this program has seen the login accepted, after a minute. The exit code is
//! 0 after SIGINT and SIGTERM, 1 when no site is left that a dial can help, 2 for wrong arguments.

#[path = "connector/arguments.rs"]
mod arguments;
#[path = "connector/forward.rs"]
mod forward;
mod login;
mod policy;
#[path = "connector/recording.rs"]
mod recording;

use std::{error::Error, process::ExitCode, time::Duration};

use pptp::{Client, State, Tunnel, TunnelError, error::Class};
use pptp_fleet::{EventKind, Events, Fleet, FleetOptions, Secret, Site, SiteConfig, SiteState};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    arguments::{Arguments, Forward, wrong},
    forward::{Listener, Way},
    recording::Recording,
};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let password = std::env::var_os(login::VARIABLE);
    let arguments = Arguments::read(std::env::args_os(), password);
    let arguments = arguments.unwrap_or_else(|wrong| wrong.exit());
    let listeners = bind(&arguments.forwards).await.unwrap_or_else(|wrong| wrong.exit());
    let recordings = open_recordings(&arguments).unwrap_or_else(|wrong| wrong.exit());
    match run(arguments, listeners, recordings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes all local ports, before any site is dialled
async fn bind(forwards: &[Forward]) -> Result<Vec<Listener>, clap::Error> {
    let mut listeners = Vec::new();
    for forward in forwards {
        let listener = Listener::bind(forward.protocol, forward.local).await;
        let named = |error| wrong(format!("forward {forward}: cannot listen: {error}"));
        listeners.push(listener.map_err(named)?);
    }
    Ok(listeners)
}

/// Opens what each site is written down in, before any is dialled
fn open_recordings(arguments: &Arguments) -> Result<Vec<Recording>, clap::Error> {
    let open = |site: &arguments::Site| {
        let capture = arguments.captures.iter().find(|it| site.name == *it.site);
        let capture = capture.map(|it| it.file.as_path());
        Recording::open(arguments.record.as_deref(), capture)
    };
    let opened = arguments.sites.iter().map(open).collect::<Result<_, _>>();
    opened.map_err(|error| wrong(format!("cannot write: {error}")))
}

async fn run(
    arguments: Arguments,
    listeners: Vec<Listener>,
    recordings: Vec<Recording>,
) -> Result<(), Box<dyn Error>> {
    let Arguments { sites, user, password, policy, forwards, .. } = arguments;
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let client = Client::new()?;
    let fleet = Fleet::new(client.clone(), &FleetOptions::default());
    let mut followers = JoinSet::new();
    for (site, recording) in sites.into_iter().zip(recordings) {
        let config = SiteConfig::new(site.server, &user, Secret::literal(&*password))
            .tunnel(|tunnel| policy.apply(tunnel));
        let events = fleet.events();
        fleet.set(site.name.clone(), config).await;
        let site = fleet.site(site.name.as_str()).ok_or("the fleet is gone")?;
        followers.spawn(follow(site, events, recording));
    }
    let mut forwarding = JoinSet::new();
    for (Forward { site, target, .. }, listener) in forwards.into_iter().zip(listeners) {
        if let Some(site) = fleet.site(&site) {
            forwarding.spawn(listener.forward(Way { site, target }));
        }
    }
    let gave_up = tokio::select! {
        () = all_ended(&mut followers) => true,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
    };
    forwarding.shutdown().await;
    fleet.shut_down(LAST_WORDS).await;
    // their last lines
    let _ = timeout(LAST_WORDS, all_ended(&mut followers)).await;
    if gave_up { Err("no site is left to connect to".into()) } else { Ok(()) }
}

async fn all_ended(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Prints a line for each change of a site, until it is gone or no dial can help it
async fn follow(site: Site, mut events: Events, mut recording: Recording) {
    let name = site.name().clone();
    let (mut is_dialling, mut followed) = (false, None);
    while let Some(event) = events.next().await {
        let EventKind::Site { name: of, state } = event.kind else { continue };
        match state {
            _ if of != name => {}
            SiteState::Dialling { .. } => {
                println!("{name}: connecting");
                is_dialling = true;
            }
            SiteState::Up { since } if followed != Some(since) => {
                // it may have ended already
                let Some(lease) = site.lease() else { continue };
                (is_dialling, followed) = (false, Some(since));
                let reason = follow_tunnel(&site, &lease, &mut recording).await;
                println!("{name}: down: {reason}");
                if reason.class() != Class::OwnDeed {
                    recording.keep(&name, &lease.flight_record()).await;
                }
            }
            SiteState::Waiting { failure, .. } | SiteState::Stopped { failure } => {
                if std::mem::take(&mut is_dialling) {
                    println!("{name}: down: {failure}");
                    if let Some(record) = site.flight_record() {
                        recording.keep(&name, &record).await;
                    }
                }
                if failure.is_final() {
                    return println!("{name}: given up: the same again would fail again");
                }
                tell_pause(&site).await;
            }
            SiteState::HangingUp { .. } if is_dialling => {
                println!("{name}: down: stopped while connecting");
                is_dialling = false;
            }
            SiteState::Removed => return,
            _ => {}
        }
    }
}

/// Tells when a site is dialled next, as soon as nothing is left of the dial before
async fn tell_pause(site: &Site) {
    let is_left = |state: &SiteState| match state {
        SiteState::Waiting { until, .. } => *until > Instant::now(),
        _ => true,
    };
    let mut states = site.state();
    let state = states.wait_for(is_left).await.map(|state| state.clone());
    if let Ok(SiteState::Waiting { until, failure }) = state {
        let pause = until.saturating_duration_since(Instant::now());
        let why = if failure.class() == Class::Credentials { SPARINGLY } else { "" };
        println!("{}: next attempt in {:.1} s{why}", site.name(), pause.as_secs_f32());
    }
}

/// Prints a line for each change of a tunnel, and writes what passes through it, until it has ended
async fn follow_tunnel(site: &Site, tunnel: &Tunnel, recording: &mut Recording) -> TunnelError {
    println!("{}: connected in {:?}", site.name(), tunnel.info().connect_time);
    let capture = recording.captures().then(|| tunnel.capture());
    let (reason, ()) =
        tokio::join!(until_down(site, tunnel), recording.write(site.name(), capture));
    reason
}

async fn until_down(site: &Site, tunnel: &Tunnel) -> TunnelError {
    let mut state = tunnel.state();
    loop {
        let now = state.borrow_and_update().clone();
        match now {
            State::Up => println!("{}: up as {}", site.name(), tunnel.info().inner_address),
            State::Renegotiating => println!("{}: the server negotiates anew", site.name()),
            State::Down { reason } => return reason,
            _ => {}
        }
        // the sender lives as long as the tunnel
        let _ = state.changed().await;
    }
}

/// The reason why the next attempt is so late
const SPARINGLY: &str = ": many attempts with a refused login would lock the account";
/// A hang-up takes 11 s at most
const LAST_WORDS: Duration = Duration::from_secs(12);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use pptp_testkit::{Server, memory::Network};

    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 11);

    /// A fleet with one site, and a server for it
    async fn world() -> (Server, Client, Fleet, (Site, Events)) {
        let network = Network::new(0);
        network.set_latency(Duration::from_millis(5));
        let server = Server::builder(1).serve_memory(&network, SERVER).unwrap();
        let host = network.host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let fleet = Fleet::new(client.clone(), &FleetOptions::default());
        let config = SiteConfig::new(SERVER.to_string(), "testuser", Secret::literal("test123"));
        let events = fleet.events();
        fleet.set("b1".parse().unwrap(), config).await;
        let site = fleet.site("b1").unwrap();
        (server, client, fleet, (site, events))
    }

    #[tokio::test]
    async fn a_site_that_is_to_stop_hangs_up_and_ends_by_itself() {
        let (server, client, fleet, (site, events)) = world().await;
        let follower = tokio::spawn(follow(site.clone(), events, Recording::default()));
        let tunnel = site.tunnel(LAST_WORDS).await.unwrap();
        server.renegotiate_all();
        tunnel.state().wait_for(|state| matches!(state, State::Renegotiating)).await.unwrap();
        assert!(fleet.shut_down(LAST_WORDS).await);
        timeout(LAST_WORDS, follower).await.expect("in bounded time").unwrap();
        assert_eq!(tunnel.closed().await.name(), "Closed");
        client.wait_idle().await;
        server.idle().await;
        assert!(server.stats().ended[0].is_clean(), "{:?}", server.stats().ended);
    }

    /// Its folder has a record of each time that it was lost, and its file a section for each tunnel
    #[tokio::test]
    async fn a_site_that_is_lost_is_on_record_and_what_passed_was_captured() {
        let (server, _client, fleet, (site, events)) = world().await;
        let folder =
            std::env::temp_dir().join(format!("pptp-connector-lost-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let inside = folder.join("inside.pcapng");
        let recording = Recording::open(Some(&folder), Some(&inside)).unwrap();
        let follower = tokio::spawn(follow(site.clone(), events, recording));
        let tunnel = site.tunnel(LAST_WORDS).await.unwrap();
        let device = Ipv4Addr::new(192, 168, 1, 3);
        tunnel.ping(device, Duration::from_secs(5)).await.unwrap();
        server.shut_down().await;
        let mut states = site.state();
        let waits = |state: &SiteState| matches!(state, SiteState::Waiting { .. });
        timeout(LAST_WORDS, states.wait_for(waits)).await.unwrap().unwrap();
        assert!(fleet.shut_down(LAST_WORDS).await);
        timeout(LAST_WORDS, follower).await.expect("in bounded time").unwrap();
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = files.map(|path| std::fs::read(path).unwrap()).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(files.len() >= 2, "a record and the capture");
        for file in &files {
            assert_eq!(file[..4], [0x0A, 0x0D, 0x0D, 0x0A]);
        }
        let holds = |wanted: &[u8]| {
            files.iter().filter(|it| it.windows(wanted.len()).any(|some| some == wanted)).count()
        };
        assert_eq!(holds(&[tunnel.info().inner_address.octets(), device.octets()].concat()), 1);
        assert!(holds(b"flight record of the tunnel b1") >= 1);
    }

    /// A dial that fails is on record, too
    #[tokio::test(start_paused = true)]
    async fn a_site_that_is_refused_is_on_record() {
        let (server, _client, fleet, (site, events)) = world().await;
        server.remove_secret("testuser");
        let folder =
            std::env::temp_dir().join(format!("pptp-connector-refused-{}", std::process::id()));
        let recording = Recording::open(Some(&folder), None).unwrap();
        let follower = tokio::spawn(follow(site.clone(), events, recording));
        let waits = |state: &SiteState| matches!(state, SiteState::Waiting { .. });
        site.state().wait_for(waits).await.unwrap();
        assert!(site.flight_record().is_some());
        assert!(fleet.shut_down(LAST_WORDS).await);
        follower.await.unwrap();
        let files = std::fs::read_dir(&folder).unwrap().count();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(files, 1);
    }

    #[tokio::test]
    async fn a_local_address_that_is_taken_names_its_forward() {
        let taken_by = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken_by.local_addr().unwrap();
        let forward = format!("tcp:{taken}=b1:192.168.1.3:80");
        let error = bind(&[forward.parse().unwrap()]).await.err().expect("it is taken");
        assert!(error.to_string().contains(&forward), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
