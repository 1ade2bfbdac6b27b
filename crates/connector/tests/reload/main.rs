//! A daemon with files: its start, its reloads, and the last good configuration

mod metrics;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pptp::Client;
use pptp_connector::{
    api::{Control, EventId, ReloadError, ReloadOptions, ReloadReport},
    daemon::{ConfigurationFile, Daemon, Start},
};
use pptp_fleet::{SiteFailure, SiteName, SiteState};
use pptp_testkit::{Server, memory};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// A folder with a configuration, and a network in memory with one server
struct World {
    folder: PathBuf,
    client: Client,
    server: Server,
}

impl World {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("pptp-reload-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let network = memory::Network::new(7);
        let server =
            Server::builder(1).secret("svc", "test123").serve_memory(&network, SERVER).unwrap();
        let client = Client::builder().memory(network.host(HUB)).build().unwrap();
        let world = Self { folder, client, server };
        world.write_secret("secret", "test123");
        world
    }

    fn file(&self) -> ConfigurationFile {
        ConfigurationFile { path: self.folder.join("connector.toml"), max_files: None }
    }

    fn write_secret(&self, name: &str, password: &str) {
        let path = self.folder.join(name);
        fs::write(&path, password).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes a configuration with a state folder, and these sites after the defaults
    fn write(&self, sites: &str) {
        let defaults = format!(
            "state = \"state\"\n[defaults]\nserver = \"{SERVER}\"\nuser = \"svc\"\nshare_login = true\n\
             password = {{ file = \"secret\" }}\n{sites}"
        );
        fs::write(self.folder.join("connector.toml"), defaults).unwrap();
    }

    async fn start(&self) -> Arc<Daemon> {
        let start = Start::of_file(self.file(), false).unwrap();
        Daemon::start_with(self.client.clone(), start).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn reload(daemon: &Daemon) -> Result<ReloadReport, ReloadError> {
    daemon.reload(ReloadOptions::default()).await
}

/// Waits until a site is in a state
async fn reach(daemon: &Daemon, site: &str, is_it: impl Fn(&SiteState) -> bool) -> SiteState {
    let site = daemon.fleet().site(site).expect("the site is there");
    let mut state = site.state();
    let reached = timeout(Duration::from_mins(2), state.wait_for(|state| is_it(state))).await;
    reached.expect("in time").expect("the fleet lives").clone()
}

fn names(names: &[SiteName]) -> Vec<&str> {
    names.iter().map(SiteName::as_str).collect()
}

fn last_good(folder: &Path) -> String {
    fs::read_to_string(folder.join("state/last-good.json")).unwrap_or_default()
}

/// Waits for the last good configuration, which is written beside the start
async fn kept(folder: &Path) -> String {
    // as many as a slow disk may need, and bounded
    for _ in 0..100_000 {
        let text = last_good(folder);
        if !text.is_empty() {
            return text;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await.unwrap();
    }
    panic!("not kept");
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_what_differs_and_nothing_else() {
    let world = World::new("changes");
    world.write("[site.b1]\n[site.b2]\n[site.b3]\n");
    let daemon = world.start().await;
    for site in ["b1", "b2", "b3"] {
        reach(&daemon, site, SiteState::is_up).await;
    }
    let since = daemon.fleet().site("b1").unwrap().state().borrow().clone();
    world.write("[site.b1]\n[site.b2]\nmru = 1300\n[site.b4]\n");
    let planned = daemon.reload(ReloadOptions { dry_run: true, removes: None }).await.unwrap();
    assert!(daemon.fleet().site("b4").is_none(), "a dry run changes nothing");
    let report = reload(&daemon).await.unwrap();
    assert_eq!(planned, report);
    assert_eq!((names(&report.added), names(&report.removed)), (vec!["b4"], vec!["b3"]));
    let (redialled, options) = &report.redialled[0];
    assert_eq!((redialled.as_str(), &options[..]), ("b2", &["mru".to_owned()][..]));
    reach(&daemon, "b4", SiteState::is_up).await;
    assert_eq!(*daemon.fleet().site("b1").unwrap().state().borrow(), since, "never touched");
    assert_eq!(reload(&daemon).await.unwrap(), ReloadReport::default());
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_changes_nothing_and_the_next_start_is_on_the_last_good_one() {
    let world = World::new("broken");
    world.write("[site.b1]\n");
    let daemon = world.start().await;
    reach(&daemon, "b1", SiteState::is_up).await;
    let good = kept(&world.folder).await;
    assert!(good.contains("[site.b1]") && !good.contains("test123"), "{good}");
    world.write("[site.b1]\nservr = \"x\"\n[site.b2]\n");
    let Err(ReloadError::Problems { problems, count: 1 }) = reload(&daemon).await else {
        panic!("one problem")
    };
    assert_eq!((problems[0].line, problems[0].column), (Some(8), Some(1)));
    assert!(problems[0].rendered.contains("did you mean `server`?"));
    assert!(daemon.fleet().site("b2").is_none());
    assert_eq!(daemon.facts().problems.len(), 1);
    assert!(reach(&daemon, "b1", SiteState::is_up).await.is_up());
    assert!(daemon.shut_down().await);

    assert!(Start::of_file(world.file(), true).is_err(), "strict wants all");
    let daemon = world.start().await;
    assert!(daemon.facts().is_running_last_good && daemon.facts().problems.len() == 1);
    reach(&daemon, "b1", SiteState::is_up).await;
    assert!(daemon.fleet().site("b2").is_none());
    assert_eq!(last_good(&world.folder), good, "a broken file is not taken for a good one");
    world.write("[site.b1]\n[site.b2]\n");
    assert_eq!(names(&reload(&daemon).await.unwrap().added), ["b2"]);
    assert!(!daemon.facts().is_running_last_good && daemon.facts().problems.is_empty());
    assert!(daemon.shut_down().await);
}

#[test]
fn a_start_does_not_wait_for_the_disk_and_the_end_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let world = World::new("disk");
        world.write("[site.b1]\nconnect = \"manual\"\n");
        let start = Start::of_file(world.file(), false).unwrap();
        // the only thread that could write is busy, as with a disk that hangs
        let busy = tokio::task::spawn_blocking(move || held.recv());
        let started = Daemon::start_with(world.client.clone(), start);
        let daemon = timeout(Duration::from_secs(20), started).await.expect("in time").unwrap();
        assert_eq!(last_good(&world.folder), "");
        release.send(()).unwrap();
        assert!(daemon.shut_down().await);
        assert!(last_good(&world.folder).contains("[site.b1]"));
        busy.await.unwrap().unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn without_a_last_good_one_a_site_with_a_problem_stops_and_the_others_come_up() {
    let world = World::new("invalid");
    world.write("[site.b1]\nmru = 1\n[site.b2]\n");
    let daemon = world.start().await;
    reach(&daemon, "b2", SiteState::is_up).await;
    let stopped = reach(&daemon, "b1", |state| matches!(state, SiteState::Stopped { .. })).await;
    assert!(matches!(stopped.failure(), Some(SiteFailure::Invalid(_))), "{stopped:?}");
    assert_eq!(last_good(&world.folder), "");
    world.write("[site.b1]\nmru = 1300\n[site.b2]\n");
    reload(&daemon).await.unwrap();
    reach(&daemon, "b1", SiteState::is_up).await;
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_removes_many_sites_needs_their_number() {
    let world = World::new("guard");
    let sites: Vec<_> =
        (0..20).map(|site| format!("[site.b{site}]\nconnect = \"manual\"\n")).collect();
    world.write(&sites.concat());
    let daemon = world.start().await;
    world.write("");
    let refused = reload(&daemon).await;
    assert_eq!(refused, Err(ReloadError::TooManyRemoved { removes: 20, of: 20 }));
    assert_eq!(daemon.fleet().sites().len(), 20);
    let named = ReloadOptions { removes: Some(20), dry_run: false };
    assert_eq!(daemon.reload(named).await.unwrap().removed.len(), 20);
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn files_that_a_power_cut_has_emptied_do_not_remove_the_sites() {
    let world = World::new("emptied");
    let sites: String = (0..20)
        .fold(String::new(), |all, site| all + &format!("[site.b{site}]\nconnect = \"manual\"\n"));
    world.write(&sites);
    let daemon = world.start().await;
    let good = kept(&world.folder).await;
    assert!(daemon.shut_down().await);
    world.write("");
    let daemon = world.start().await;
    let facts = daemon.facts();
    assert!(facts.is_running_last_good);
    assert!(facts.problems[0].contains("would remove 20 of 20 sites"), "{:?}", facts.problems);
    assert_eq!(daemon.fleet().sites().len(), 20);
    assert_eq!(last_good(&world.folder), good);
    assert!(reload(&daemon).await.is_err());
    let named = ReloadOptions { removes: Some(20), dry_run: false };
    assert_eq!(daemon.reload(named).await.unwrap().removed.len(), 20);
    assert!(!daemon.facts().is_running_last_good);
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_written_is_told() {
    let world = World::new("unwritable");
    world.write("[site.b1]\nconnect = \"manual\"\n");
    let daemon = world.start().await;
    kept(&world.folder).await;
    assert_eq!(daemon.facts().problems, [""; 0]);
    // by then the folder is there, and nobody writes to it
    kept(&world.folder).await;
    fs::create_dir(world.folder.join("state/last-good.new")).unwrap();
    world.write("[site.b2]\nconnect = \"manual\"\n");
    reload(&daemon).await.unwrap();
    let problems = daemon.facts().problems;
    assert!(problems[0].contains("last-good.json could not be written"), "{problems:?}");
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn another_password_in_the_file_wakes_the_site_and_the_same_one_does_not() {
    let world = World::new("secret");
    world.write_secret("secret", "wrong");
    world.write("[site.b1]\n");
    let daemon = world.start().await;
    let refused = |state: &SiteState| matches!(state, SiteState::Waiting { .. });
    let before = reach(&daemon, "b1", refused).await;
    sleep(Duration::from_secs(61)).await;
    assert_eq!(reach(&daemon, "b1", refused).await, before, "the same password is not tried again");
    world.write_secret("secret", "test123");
    reach(&daemon, "b1", SiteState::is_up).await;
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_restart_is_said_and_not_in_force() {
    let world = World::new("restart");
    world.write("[site.b1]\nconnect = \"manual\"\n");
    let daemon = world.start().await;
    world.write("[site.b1]\nconnect = \"manual\"\n[limits]\ndial_rate = 3\n");
    let report = reload(&daemon).await.unwrap();
    let said = "`dial_rate` has changed: that needs a restart, and is not in force";
    assert_eq!(report.warnings, [said]);
    world.write("[site.b2]\nconnect = \"manual\"\n[outer]\nfwmark = 7\n");
    let refused = reload(&daemon).await.unwrap_err();
    assert_eq!(refused, ReloadError::NeedsRestart(vec!["[outer] has changed".to_owned()]));
    assert!(daemon.fleet().site("b1").is_some() && daemon.fleet().site("b2").is_none());
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_is_dropped_hangs_up_its_sites() {
    let world = World::new("dropped");
    world.write("[site.b1]\n");
    let daemon = world.start().await;
    reach(&daemon, "b1", SiteState::is_up).await;
    drop(daemon);
    let hung_up = timeout(Duration::from_secs(30), world.server.idle()).await;
    hung_up.expect("nothing holds the fleet any more");
}

/// Sites with one forward each, whose address is dealt out of a network
fn offices(sites: &[&str]) -> String {
    let table = |site| format!("[site.{site}]\ntemplate = \"office\"\nconnect = \"manual\"\n");
    let sites = sites.iter().map(table).collect::<Vec<_>>().concat();
    format!(
        "[loopback]\nnetwork = \"127.77.0.0/16\"\n[template.office]\n\
         forward = [{{ to = \"udp:192.168.1.3:36711\" }}]\n{sites}"
    )
}

/// The places where the forwards of the sites listen, as the control interface tells them
async fn listens(daemon: &Daemon) -> Vec<(String, String)> {
    let listeners = daemon.listeners().await.into_iter();
    let mut all: Vec<_> = listeners
        .map(|it| (it.site.expect("a forward").to_string(), it.listen.to_string()))
        .collect();
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_dealt_out_stays_the_sites_over_reloads_and_restarts() {
    let world = World::new("dealt");
    world.write(&offices(&["b2", "b3"]));
    let daemon = world.start().await;
    let at = |site: &str, octet: u8| (site.to_owned(), format!("127.77.0.{octet}:36711"));
    assert_eq!(listens(&daemon).await, [at("b2", 1), at("b3", 2)]);
    assert_eq!(daemon.directory().site("b3").unwrap().1.address, Some([127, 77, 0, 2].into()));
    world.write(&offices(&["b1", "b2", "b3"]));
    let opened = "opened: forward udp 127.77.0.3:36711 to b1 192.168.1.3:36711";
    let planned = daemon.reload(ReloadOptions { dry_run: true, removes: None }).await.unwrap();
    assert_eq!(planned.listeners, [opened]);
    let report = reload(&daemon).await.unwrap();
    assert_eq!((report.listeners, report.changed.len()), (vec![opened.to_owned()], 0));
    // killed: what is in the folder is what the next one has
    daemon.ways().close_all(Duration::ZERO).await;
    drop(daemon);
    world.write(&offices(&["b0", "b1", "b3"]));
    let daemon = world.start().await;
    assert_eq!(listens(&daemon).await, [at("b0", 4), at("b1", 3), at("b3", 2)]);
    world.write(&offices(&["b1", "b2", "b3", "b4"]));
    reload(&daemon).await.unwrap();
    let all = [at("b1", 3), at("b2", 1), at("b3", 2), at("b4", 5)];
    assert_eq!(listens(&daemon).await, all);
    assert_eq!(reload(&daemon).await.unwrap(), ReloadReport::default());
    assert!(daemon.shut_down().await);
    let daemon = world.start().await;
    assert_eq!(listens(&daemon).await, all);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_cannot_be_kept_are_told_and_hold_as_long_as_the_daemon_lives() {
    let world = World::new("not-dealt");
    world.write(&offices(&["b2"]).replace("127.77", "127.78"));
    let daemon = world.start().await;
    kept(&world.folder).await;
    fs::create_dir(world.folder.join("state/addresses.new")).unwrap();
    world.write(&offices(&["b1", "b2"]).replace("127.77", "127.78"));
    let report = reload(&daemon).await.unwrap();
    assert!(report.failures[0].contains("addresses could not be written"), "{report:?}");
    world.write(&offices(&["b0", "b1", "b2"]).replace("127.77", "127.78"));
    reload(&daemon).await.unwrap();
    let at = |site: &str, octet: u8| (site.to_owned(), format!("127.78.0.{octet}:36711"));
    assert_eq!(listens(&daemon).await, [at("b0", 3), at("b1", 2), at("b2", 1)]);
    assert!(daemon.shut_down().await);
}

/// The kinds of all events about forwards, with their sites
async fn events_of_forwards(daemon: &Daemon) -> Vec<(&'static str, String)> {
    let first = EventId { number: 0, ..daemon.events().as_of() };
    let mut reader = daemon.events().reader(Some(&first));
    let mut all = Vec::new();
    while let Ok(Some(events)) = timeout(Duration::ZERO, reader.next()).await {
        let forwards = events.iter().filter(|event| event.kind.starts_with("forward-"));
        all.extend(forwards.map(|event| (event.kind, event.site.as_ref().unwrap().to_string())));
    }
    all
}

fn forward(site: &str, listen: SocketAddr) -> String {
    format!(
        "[site.{site}]\nconnect = \"manual\"\nforward = [{{ to = \"tcp:192.168.1.3:80\", listen = \"{listen}\" }}]\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_forward_whose_port_is_taken_is_told_and_tried_again_and_all_else_starts() {
    let world = World::new("taken");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, free) = (other.local_addr().unwrap(), "127.0.0.1:0".parse().unwrap());
    let sites = forward("b1", taken) + &forward("b2", free) + "[site.b3]\n";
    world.write(&sites);
    let strict = Start::of_file(world.file(), true).unwrap();
    let error = Daemon::start_with(world.client.clone(), strict).await.unwrap_err();
    assert!(error.to_string().contains(&taken.to_string()), "strict wants all: {error}");

    let daemon = world.start().await;
    reach(&daemon, "b3", SiteState::is_up).await;
    let errors = || async {
        let all = daemon.listeners().await.into_iter();
        let mut errors: Vec<_> =
            all.map(|it| (it.site.unwrap().to_string(), it.error.unwrap_or_default())).collect();
        errors.sort();
        errors
    };
    let [(b1, error), (b2, none)] = errors().await.try_into().unwrap();
    assert_eq!((&*b1, &*b2, &*none), ("b1", "b2", ""));
    assert!(error.contains("another program has it"), "{error}");
    assert_eq!(events_of_forwards(&daemon).await, [("forward-missing", "b1".to_owned())]);

    // what is missing already is no reason to refuse a reload, and what a reload adds is
    world.write(&(sites.clone() + "[site.b4]\n"));
    let report = reload(&daemon).await.unwrap();
    assert_eq!((names(&report.added), report.failures), (vec!["b4"], vec![]));
    assert!(report.warnings[0].starts_with("not open, and tried again: forward tcp"));
    assert_eq!(daemon.facts().problems, [""; 0], "show tells it as long as it is so");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let new = forward("b5", udp.local_addr().unwrap()).replace("tcp:", "udp:");
    world.write(&(sites.clone() + &new));
    assert!(matches!(reload(&daemon).await, Err(ReloadError::Impossible(_))));
    assert!(daemon.fleet().site("b4").is_some() && daemon.fleet().site("b5").is_none());

    drop(other);
    sleep(Duration::from_secs(61)).await;
    assert_eq!(
        errors().await,
        [("b1".to_owned(), String::new()), ("b2".to_owned(), String::new())]
    );
    let opened = [("forward-missing", "b1".to_owned()), ("forward-open", "b1".to_owned())];
    assert_eq!(events_of_forwards(&daemon).await, opened);
    TcpStream::connect(taken).await.unwrap();
    world.write(&sites);
    assert_eq!(reload(&daemon).await.unwrap().warnings, [""; 0]);
    assert!(daemon.shut_down().await);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_whose_port_is_taken_ends_the_start() {
    let world = World::new("taken-proxy");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    world.write(&format!("[site.b1]\n[[proxy]]\nsocks = \"{taken}\"\n"));
    let start = Start::of_file(world.file(), false).unwrap();
    let error = Daemon::start_with(world.client.clone(), start).await.unwrap_err();
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 11);
const HUB: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
