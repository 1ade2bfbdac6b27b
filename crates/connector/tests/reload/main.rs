//! A daemon with files: its start, its reloads, and the last good configuration

mod metrics;

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pptp::Client;
use pptp_connector::{
    api::{Control, ReloadError, ReloadOptions, ReloadReport},
    daemon::{ConfigurationFile, Daemon, Start},
};
use pptp_fleet::{SiteFailure, SiteName, SiteState};
use pptp_testkit::{Server, memory};
use tokio::time::timeout;

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
    tokio::time::sleep(Duration::from_secs(61)).await;
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
    world.write("[site.b1]\nconnect = \"manual\"\n[outer]\nfwmark = 7\n[limits]\ndial_rate = 3\n");
    let report = reload(&daemon).await.unwrap();
    let needs =
        |what: &str| format!("{what} has changed: that needs a restart, and is not in force");
    assert_eq!(report.warnings, [needs("[outer]"), needs("`dial_rate`")]);
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

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 11);
const HUB: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
