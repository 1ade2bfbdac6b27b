//! All of it, with the daemon, and the commands of its owner and of persons

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pptp::Client;
use pptp_connector::{
    daemon::{Daemon, Start},
    settings::Settings,
    way_in::{ListenKey, MemoryClient, MemoryDatagrams, Origin, Way, memory_stream},
};
use pptp_fleet::{Caller, SiteState};
use pptp_testkit::memory;
use tokio::{
    sync::{Mutex, RwLock},
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};

use crate::{
    building::Building,
    outside::{Hub, Outside, serve_silence},
    plan::{Plan, host_name, name, number, outer},
    watch::Watch,
};

/// The servers, the daemon, and the watch over it
pub(crate) struct World {
    pub(crate) plan: Plan,
    network: memory::Network,
    pub(crate) outside: Arc<Outside>,
    pub(crate) buildings: Vec<Arc<Building>>,
    pub(crate) watch: Arc<Watch>,
    running: RwLock<Running>,
    reloads: AtomicU64,
    folder: PathBuf,
}

/// A daemon, as long as it lives
struct Running {
    daemon: Arc<Daemon>,
    settings: Settings,
    hub: memory::Host,
    following: JoinHandle<()>,
    /// The sites of forwards by their ports
    forwards: BTreeMap<u16, usize>,
    datagrams: BTreeMap<u16, Arc<Mutex<MemoryDatagrams>>>,
}

impl World {
    /// Starts the servers and the daemon; its sites are up when it returns
    pub(crate) async fn start(plan: Plan) -> Arc<Self> {
        let network = memory::Network::new(plan.seed);
        network.set_latency(LATENCY);
        let outside = Arc::<Outside>::default();
        let buildings = (0..plan.servers()).map(|server| {
            outside.names.lock().unwrap().insert(host_name(server), outer(server));
            outside.set_silent(outer(server), plan.is_silent(server));
            Building::start(&plan, server, &network)
        });
        let buildings = buildings.collect();
        serve_silence(&network);
        let folder = format!("pptp-day-{}-{}", plan.sites, std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let _ = fs::remove_dir_all(&folder);
        let settings = Settings { state: Some(folder.clone()), ..plan.settings(&outside) };
        let watch = Arc::new(Watch::new(plan, settings.limits.dial_rate));
        let all = u32::try_from(plan.sites).expect("a few");
        let start_time = Duration::from_secs(1) * all / settings.limits.dial_rate;
        let running = Running::start(plan.seed, hub(&network, 0), &outside, settings, &watch).await;
        let world = Arc::new(Self {
            plan,
            network,
            outside,
            buildings,
            watch,
            running: RwLock::new(running),
            reloads: AtomicU64::new(0),
            folder,
        });
        // the bound; those on demand are not dialled, and a password is had with a turn of its own
        sleep(start_time * 12 / 10).await;
        assert_eq!(world.not_up(|_| true).await, Vec::<String>::new(), "all are up in time");
        world
    }

    /// Returns the sites that are to be up and are not
    pub(crate) async fn not_up(&self, is_meant: impl Fn(usize) -> bool) -> Vec<String> {
        let running = self.running.read().await;
        let sites = running.sites();
        let not_up = sites.filter(|(site, state)| {
            is_meant(*site) && !state.is_up() && self.watch.is_to_be_up(*site, state)
        });
        not_up.map(|(site, state)| format!("b{site}: {state}")).collect()
    }

    /// Checks all promises that do not depend on an event
    pub(crate) async fn look(&self, with_servers: bool) {
        let running = self.running.read().await;
        flush().await;
        self.watch.look(running.sites());
        if with_servers {
            for (number, building) in self.buildings.iter().enumerate() {
                let hub = running.hub.address();
                self.watch.look_at_server(number, hub, &building.logged_in());
            }
        }
        self.watch.assert();
    }

    /// Cuts the daemon's line, or mends it
    pub(crate) async fn cut_uplink(&self, is_cut: bool) {
        let running = self.running.read().await;
        if is_cut { running.hub.unplug() } else { running.hub.plug_in() }
    }

    /// The machine of the daemon is gone without a word, and another daemon starts with its state
    pub(crate) async fn kill(&self) {
        let mut running = self.running.write().await;
        running.following.abort();
        running.hub.unplug();
        running.hub.forget_connections();
        self.watch.disturb_all(Duration::from_mins(1));
        let [.., number] = running.hub.address().octets();
        let hub = hub(&self.network, number + 1);
        let settings = running.settings.clone();
        let seed = self.plan.seed + u64::from(number) + 1;
        *running = Running::start(seed, hub, &self.outside, settings, &self.watch).await;
    }

    /// Applies other settings, and checks that what is equal is left alone
    pub(crate) async fn reload(&self, change: impl FnOnce(&mut Settings)) {
        let mut running = self.running.write().await;
        let mut settings = running.settings.clone();
        change(&mut settings);
        let before = std::mem::replace(&mut running.settings, settings.clone());
        let report = running.daemon.apply(settings.clone()).await.expect("no kernel is asked");
        self.reloads.fetch_add(1, Ordering::Relaxed);
        running.find_forwards().await;
        flush().await;
        for name in report.changed.iter().chain(report.redialled.iter().map(|(name, _)| name)) {
            let (old, new) = (&before.sites[name], &settings.sites[name]);
            let is_equal = format!("{old:?}") == format!("{new:?}");
            // what was changed before and waits for its turn is told again
            let waits = self.watch.lock().sites[&number(name)].may.be_redialled;
            if is_equal && !waits {
                self.watch.broken(format!("a reload changes {name}, which is equal: {report:?}"));
            }
        }
    }

    pub(crate) fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    pub(crate) async fn down(&self, site: usize) {
        let running = self.running.read().await;
        self.watch.with_site(site, |seen| seen.may.be_down = true);
        let is_there = running.daemon.fleet().down(&name(site), Caller("anna".to_owned())).await;
        flush().await;
        self.watch.with_site(site, |seen| {
            seen.is_down = is_there;
            seen.is_asked &= !is_there;
        });
    }

    pub(crate) async fn up(&self, site: usize) {
        let running = self.running.read().await;
        self.forgive(site);
        self.watch.with_site(site, |seen| seen.is_asked = true);
        running.daemon.fleet().up(&name(site)).await;
        flush().await;
    }

    pub(crate) async fn restart(&self, site: usize) {
        let running = self.running.read().await;
        self.forgive(site);
        self.watch.with_site(site, |seen| (seen.may.be_restarted, seen.is_asked) = (true, true));
        running.daemon.fleet().restart(&name(site)).await;
        flush().await;
    }

    fn forgive(&self, site: usize) {
        self.watch.forgive(site);
        self.watch.with_site(site, |seen| {
            seen.is_down = false;
            seen.may.be_down = false;
        });
    }

    pub(crate) async fn jump(&self) {
        let running = self.running.read().await;
        self.watch.jump();
        running.daemon.fleet().clock_jumped().await;
        flush().await;
    }

    /// Disables sites, or enables them again; those that are gone meanwhile are left out
    pub(crate) async fn set_enabled(&self, sites: &BTreeSet<usize>, is_enabled: bool) {
        for site in sites {
            self.watch.with_site(*site, |seen| {
                seen.is_disabled = !is_enabled;
                seen.asked = Some(Instant::now());
            });
        }
        self.reload(|settings| {
            for site in sites {
                if let Some(site) = settings.sites.get_mut(&name(*site)) {
                    site.dial = site.dial.clone().enabled(is_enabled);
                }
            }
        })
        .await;
    }

    /// Returns the site that a forward leads to, whose port is of this site
    pub(crate) async fn site_at(&self, first: u16, site: usize) -> Option<usize> {
        let port = first + u16::try_from(site).ok()?;
        self.running.read().await.forwards.get(&port).copied()
    }

    /// A client of this machine, at a listener on a port
    pub(crate) async fn client(&self, port: u16) -> Option<MemoryClient> {
        let (stream, client) = memory_stream();
        let key = ListenKey::Tcp(local(port));
        let running = self.running.read().await;
        let origin = Origin::Address(local(40_000));
        running.daemon.ways().offer(&key, origin, stream).await.then_some(client)
    }

    /// The clients' end of a UDP forward
    pub(crate) async fn datagrams(&self, port: u16) -> Option<Arc<Mutex<MemoryDatagrams>>> {
        self.running.read().await.datagrams.get(&port).cloned()
    }

    /// Waits until all sites are as they are wanted, with all that fails well again
    pub(crate) async fn until_all_are_up(&self) {
        let began = Instant::now();
        let mut not_up = self.not_up(|_| true).await;
        while !not_up.is_empty() && began.elapsed() < MAX_RECOVERY {
            sleep(Duration::from_mins(1)).await;
            self.look(true).await;
            not_up = self.not_up(|_| true).await;
        }
        assert_eq!(not_up, Vec::<String>::new(), "seed {}: all are up at last", self.plan.seed);
        println!("all sites are up {:?} after the last fault", began.elapsed());
    }

    /// Ends the daemon: all servers see a proper hang-up
    pub(crate) async fn shut_down(&self) {
        let mut running = self.running.write().await;
        running.following.abort();
        assert!(running.daemon.shut_down().await, "all are hung up in time");
        running.forwards.clear();
        drop(running);
        sleep(Duration::from_secs(1)).await;
        for (number, building) in self.buildings.iter().enumerate() {
            assert_eq!(building.logged_in(), [], "server {number}");
        }
        self.watch.assert();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    async fn start(
        seed: u64,
        hub: memory::Host,
        outside: &Arc<Outside>,
        settings: Settings,
        watch: &Arc<Watch>,
    ) -> Self {
        let host = Hub { host: hub.clone(), outside: Arc::clone(outside) };
        let client = Client::builder().memory(host).build().expect("it is in memory");
        let start = Start::of_settings(settings.clone()).in_memory(seed);
        let daemon = Daemon::start_with(client, start).await.expect("no kernel is asked");
        let events = daemon.fleet().events();
        let following = tokio::spawn(Arc::clone(watch).follow(events));
        let (forwards, datagrams) = (BTreeMap::new(), BTreeMap::new());
        let mut running = Self { daemon, settings, hub, following, forwards, datagrams };
        watch.begin(running.sites());
        running.find_forwards().await;
        running
    }

    /// The sites that are to be there, and their states
    fn sites(&self) -> impl Iterator<Item = (usize, SiteState)> {
        let there = self.settings.sites.keys();
        there.filter_map(|name| {
            let site = self.daemon.fleet().site(name.as_str())?;
            Some((number(name), site.state().borrow().clone()))
        })
    }

    async fn find_forwards(&mut self) {
        self.forwards.clear();
        for way in Way::all(&self.settings) {
            let Way::Forward { site, .. } = &way else { continue };
            let key = way.key();
            let (ListenKey::Tcp(address) | ListenKey::Udp(address)) = &key else { continue };
            self.forwards.insert(address.port(), number(site));
            if let Some(datagrams) = self.daemon.ways().datagrams(&key).await {
                self.datagrams.insert(address.port(), Arc::new(Mutex::new(datagrams)));
            }
        }
    }
}

/// Lets the watch see all events so far
async fn flush() {
    for _ in 0..64 {
        yield_now().await;
    }
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// The host of a daemon: each has its own, so that sessions of an earlier one are told apart
fn hub(network: &memory::Network, number: u8) -> memory::Host {
    network.host(Ipv4Addr::new(10, 98, 0, number))
}

/// From any host to any other, one way
const LATENCY: Duration = Duration::from_millis(20);

/// A login that was refused for ten minutes waits for hours at most
const MAX_RECOVERY: Duration = Duration::from_hours(4);
