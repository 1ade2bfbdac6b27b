//! Keeps tunnels to sites and forwards local ports into them: the library's tutorial
//!
//!     cargo run --release --example connector -- --site b1=10.99.0.11 --user testuser --password test123 \
//!         --forward tcp:127.0.0.1:8001=b1:192.168.1.3:80 --forward udp:127.0.0.1:3671=b1:192.168.1.3:3671
//!
//! A site that went is dialled again. A refused login (error 691) is tried again after an hour, and later
//! up to a day apart, since servers say the same while an earlier session of the user is alive. What the
//! same again cannot mend, as a disabled account or a server that may be an impostor, is given up. The
//! exit code is 0 after SIGINT and SIGTERM, 1 when all sites are given up, 2 for wrong arguments.

#[path = "connector/arguments.rs"]
mod arguments;
#[path = "connector/forward.rs"]
mod forward;
mod login;
#[path = "connector/pauses.rs"]
mod pauses;
mod policy;
#[path = "connector/recording.rs"]
mod recording;

use std::{
    collections::HashMap,
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use pptp::{Client, State, Tunnel, TunnelConfig, TunnelError, error::Class};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    arguments::{Arguments, Forward, Site, wrong},
    forward::{Listener, Way},
    pauses::Pauses,
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

/// What each site is written down in, before any is dialled
fn open_recordings(arguments: &Arguments) -> Result<Vec<Recording>, clap::Error> {
    let open = |site: &Site| {
        let capture = arguments.captures.iter().find(|it| it.site == site.name);
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
    let (stop, stopping) = watch::channel(false);
    let (mut lines, mut keepers) = (HashMap::new(), JoinSet::new());
    for (site, recording) in sites.into_iter().zip(recordings) {
        let config = TunnelConfig::new(site.server, &user, &password).name(&site.name);
        let config = policy.apply(config);
        let (sender, line) = watch::channel(None);
        keepers.spawn(keep_connected(
            client.clone(),
            config,
            site.name.clone(),
            sender,
            recording,
            stopping.clone(),
        ));
        lines.insert(site.name, line);
    }
    let mut forwarding = JoinSet::new();
    for (forward, listener) in forwards.into_iter().zip(listeners) {
        if let Some(line) = lines.get(&forward.site) {
            let (site, line, target) = (forward.site.into(), line.clone(), forward.target);
            forwarding.spawn(listener.forward(Way { site, line, target }));
        }
    }
    let gave_up = tokio::select! {
        () = all_ended(&mut keepers) => true,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
    };
    forwarding.shutdown().await;
    stop.send_replace(true);
    let hung_up = async {
        all_ended(&mut keepers).await;
        client.wait_idle().await;
    };
    let _ = timeout(LAST_WORDS, hung_up).await;
    if gave_up { Err("no site is left to connect to".into()) } else { Ok(()) }
}

async fn all_ended(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Connects, again and again with a pause that grows, until trying makes no sense any more
async fn keep_connected(
    client: Client,
    mut config: TunnelConfig,
    name: String,
    line: watch::Sender<Option<Tunnel>>,
    mut recording: Recording,
    mut stop: watch::Receiver<bool>,
) {
    let mut pauses = Pauses::default();
    loop {
        println!("{name}: connecting");
        let mut connecting = client.connect(config.clone());
        let connected = tokio::select! {
            connected = &mut connecting => connected,
            () = stopped(&mut stop) => return println!("{name}: down: stopped while connecting"),
        };
        let (reason, record) = match connected {
            Ok(tunnel) => {
                let since = Instant::now();
                println!("{name}: connected in {:?}", tunnel.info().connect_time);
                let capture = recording.captures().then(|| tunnel.capture());
                line.send_replace(Some(tunnel.clone()));
                let (reason, ()) =
                    tokio::join!(until_down(&tunnel, &mut stop), recording.write(&name, capture));
                line.send_replace(None);
                config = config.resuming(&tunnel.info());
                if since.elapsed() > STABLE {
                    pauses.start_over();
                }
                (reason, tunnel.flight_record())
            }
            Err(reason) => (reason, connecting.flight_record()),
        };
        println!("{name}: down: {reason}");
        if *stop.borrow() {
            return;
        }
        recording.keep(&name, &record).await;
        let Some(pause) = pauses.after(&reason) else {
            return println!("{name}: given up: the same again would fail again");
        };
        let why = if reason.class() == Class::Credentials { SPARINGLY } else { "" };
        println!("{name}: next attempt in {:.1} s{why}", pause.as_secs_f32());
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Why the tunnel has ended, by itself or because it was to stop
async fn until_down(tunnel: &Tunnel, stop: &mut watch::Receiver<bool>) -> TunnelError {
    tokio::select! {
        reason = follow(tunnel) => reason,
        () = stopped(stop) => {
            tunnel.hang_up();
            tunnel.closed().await
        }
    }
}

/// Prints a line for each change of a tunnel, until it is down
async fn follow(tunnel: &Tunnel) -> TunnelError {
    let (name, mut state) = (tunnel.name(), tunnel.state());
    loop {
        let now = state.borrow_and_update().clone();
        match now {
            State::Up => println!("{name}: up as {}", tunnel.info().inner_address),
            State::Renegotiating => println!("{name}: the server negotiates anew"),
            State::Down { reason } => return reason,
            _ => {}
        }
        // the sender lives as long as the tunnel
        let _ = state.changed().await;
    }
}

/// A tunnel that was up for so long starts its pauses anew
const STABLE: Duration = Duration::from_mins(1);
/// Why the next attempt is so late
const SPARINGLY: &str = ": many attempts with a refused login would lock the account";
/// A hang-up takes 9 s at most
const LAST_WORDS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use pptp_testkit::{Server, memory::Network};

    use super::*;

    #[tokio::test]
    async fn a_site_that_is_to_stop_hangs_up_and_ends_by_itself() {
        let (network, address) = (Network::new(0), Ipv4Addr::new(10, 99, 0, 11));
        network.set_latency(Duration::from_millis(5));
        let server = Server::builder(1).serve_memory(&network, address).unwrap();
        let host = network.host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let config = TunnelConfig::new(address.to_string(), "testuser", "test123").name("b1");
        let (sender, mut line) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let keeper = tokio::spawn(keep_connected(
            client.clone(),
            config,
            "b1".into(),
            sender,
            Recording::default(),
            stopping,
        ));
        let tunnel = line.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        server.renegotiate_all();
        tunnel.state().wait_for(|state| matches!(state, State::Renegotiating)).await.unwrap();
        stop.send_replace(true);
        timeout(LAST_WORDS, keeper).await.expect("in bounded time").unwrap();
        assert_eq!(tunnel.closed().await.name(), "Closed");
        client.wait_idle().await;
        server.idle().await;
        assert!(server.stats().ended[0].is_clean(), "{:?}", server.stats().ended);
    }

    /// Its folder has a record of each time that it was lost, and its file a section for each tunnel
    #[tokio::test]
    async fn a_site_that_is_lost_is_on_record_and_what_passed_was_captured() {
        let (network, address) = (Network::new(0), Ipv4Addr::new(10, 99, 0, 11));
        let server = Server::builder(1).serve_memory(&network, address).unwrap();
        let host = network.host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let config = TunnelConfig::new(address.to_string(), "testuser", "test123").name("b1");
        let folder =
            std::env::temp_dir().join(format!("pptp-connector-lost-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let inside = folder.join("inside.pcapng");
        let recording = Recording::open(Some(&folder), Some(&inside)).unwrap();
        let (sender, mut line) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let keeper = tokio::spawn(keep_connected(
            client.clone(),
            config,
            "b1".into(),
            sender,
            recording,
            stopping,
        ));
        let tunnel = line.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        let device = Ipv4Addr::new(192, 168, 1, 3);
        tunnel.ping(device, Duration::from_secs(5)).await.unwrap();
        server.shut_down().await;
        line.wait_for(Option::is_none).await.unwrap();
        stop.send_replace(true);
        timeout(LAST_WORDS, keeper).await.expect("in bounded time").unwrap();
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = files.map(|path| std::fs::read(path).unwrap()).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(files.len(), 2, "a record and the capture");
        for file in &files {
            assert_eq!(file[..4], [0x0A, 0x0D, 0x0D, 0x0A]);
        }
        let holds = |wanted: &[u8]| {
            files.iter().filter(|it| it.windows(wanted.len()).any(|some| some == wanted)).count()
        };
        assert_eq!(holds(&[tunnel.info().inner_address.octets(), device.octets()].concat()), 1);
        assert_eq!(holds(b"flight record of the tunnel b1"), 1);
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

    /// What a power cut leaves on a server that allows one session: the login works an hour later
    #[tokio::test(start_paused = true)]
    async fn a_refused_login_is_tried_again_an_hour_later_and_does_not_end_the_program() {
        let (network, address) = (Network::new(0), Ipv4Addr::new(10, 99, 0, 11));
        network.set_latency(Duration::from_millis(5));
        let other = Server::builder(1).secret("testuser", "not yet");
        let server = other.serve_memory(&network, address).unwrap();
        let host = network.host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let config = TunnelConfig::new(address.to_string(), "testuser", "test123").name("b1");
        let (sender, mut line) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let began = tokio::time::Instant::now();
        let keeper = tokio::spawn(keep_connected(
            client.clone(),
            config,
            "b1".into(),
            sender,
            Recording::default(),
            stopping,
        ));
        sleep(Duration::from_mins(59)).await;
        assert_eq!(server.stats().connections_ever, 1, "one attempt, and it waits");
        server.shut_down().await;
        let _server = Server::builder(1).serve_memory(&network, address).unwrap();
        let tunnel = line.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        let waited = began.elapsed();
        assert!(
            (Duration::from_hours(1)..Duration::from_mins(121)).contains(&waited),
            "{waited:?}"
        );
        stop.send_replace(true);
        timeout(LAST_WORDS, keeper).await.expect("in bounded time").unwrap();
        assert_eq!(tunnel.closed().await.name(), "Closed");
    }
}
