//! The listeners that run, and their change by a reload

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use pptp_fleet::SiteName;
use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept,
    bind::{Bound, Socket},
    client::Origin,
    counters::Counters,
    key::Key,
    limits::Places,
    listener::Listener,
    memory::{MemoryDatagrams, MemoryStream},
    missing::Missing,
    way::{ListenKey, Way},
};
use crate::{
    directory::Directory,
    settings::{Limits, Settings},
    unix::{self, Identity},
};

/// The ways in of a process: its listeners
///
/// A change has two phases: [`prepare`](Self::prepare) binds what is new and may fail, and nothing else is touched;
/// [`commit`](Self::commit) changes what runs.
#[derive(Debug)]
pub struct WaysIn {
    directory: Directory,
    process: Arc<Places>,
    has_sockets: bool,
    table: Mutex<Table>,
    /// Listeners that are closed, and whose connections have a while
    draining: TaskTracker,
    /// Ends the draining
    cut: CancellationToken,
}

/// The listeners that run, and the forwards that are to run and do not yet
#[derive(Debug, Default)]
struct Table {
    running: BTreeMap<Key, Running>,
    missing: Missing,
}

/// A change that is ready to be made
#[derive(Debug)]
pub struct Plan {
    wanted: BTreeMap<Key, Way>,
    bound: BTreeMap<Key, Bound>,
    /// The ports that are wanted again for listeners on port 0
    ports: BTreeMap<String, u16>,
    /// Forwards that could not be bound, and are tried again
    missing: BTreeMap<Key, (Way, String)>,
    connections: usize,
}

impl Plan {
    /// Binds the sockets of a start, without a runtime: before the process gives up what they may need
    ///
    /// Unless the start is strict, a forward that cannot be had is tried again by [`WaysIn::retry`].
    ///
    /// # Errors
    /// All other listeners that cannot be had.
    pub fn of_start(settings: &Settings, is_strict: bool) -> Result<Self, Vec<Failed>> {
        let (wanted, mut failed) = keyed(Way::all(settings));
        let (mut bound, mut missing) = (BTreeMap::new(), BTreeMap::new());
        for (key, way) in &wanted {
            match Bound::bind(way, key.port_in(&settings.ports)) {
                Ok(socket) => _ = bound.insert(key.clone(), socket),
                Err(error) if way.site().is_some() && !is_strict => {
                    missing.insert(key.clone(), (way.clone(), error.to_string()));
                }
                Err(error) => failed.push(Failed::new(way, &error.to_string())),
            }
        }
        if failed.is_empty() {
            let (ports, connections) = (settings.ports.clone(), settings.limits.connections);
            Ok(Self { wanted, bound, ports, missing, connections })
        } else {
            Err(failed)
        }
    }
}

/// The port that was chosen for a forward on port 0
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenPort {
    /// The site
    pub site: SiteName,
    /// The forward's line, which is the same after a restart
    pub line: String,
    /// The port
    pub port: u16,
}

/// A listener that could not be made as it is wanted
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{way}: {error}")]
pub struct Failed {
    /// The listener
    pub way: String,
    /// Its key
    pub key: ListenKey,
    /// Its site, if it is a forward
    pub site: Option<SiteName>,
    /// The reason
    pub error: String,
    /// True if it is tried again by itself
    pub is_tried_again: bool,
}

/// A listener that runs
#[derive(Debug)]
struct Running {
    listener: Arc<Listener>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
    /// The file of its unix socket
    file: Option<Identity>,
    /// The clients' end of a UDP forward in memory
    datagrams: Option<MemoryDatagrams>,
}

/// The facts of a listener
#[derive(Debug, Clone)]
pub struct ListenerStatus {
    /// Its key
    pub key: ListenKey,
    /// Its settings
    pub way: Arc<Way>,
    /// The address that is bound, with the port that the system chose for port 0; `None` for a unix socket
    pub bound: Option<SocketAddr>,
    /// Its counters
    pub counters: Arc<Counters>,
    /// The reason why it is not open, if it is a forward that is tried again
    pub error: Option<String>,
}

impl WaysIn {
    /// Makes a table without listeners
    pub fn new(directory: Directory, limits: &Limits) -> Self {
        Self::with(directory, limits, true)
    }

    /// Makes a table whose listeners have no socket of the kernel: clients come by [`offer`](Self::offer) and
    /// [`datagrams`](Self::datagrams), also in virtual time
    pub fn in_memory(directory: Directory, limits: &Limits) -> Self {
        Self::with(directory, limits, false)
    }

    /// Binds the sockets that other settings need, beside those that run
    ///
    /// An address that overlaps one that is going to be closed is bound by [`commit`](Self::commit). A forward that is
    /// tried again already may go on without its address.
    ///
    /// # Errors
    /// All other listeners that cannot be had.
    pub async fn prepare(&self, settings: &Settings) -> Result<Plan, Vec<Failed>> {
        let (plan, failed) = self.prepare_with(settings, false).await;
        if failed.is_empty() { Ok(plan) } else { Err(failed) }
    }

    /// As [`prepare`](Self::prepare), but with those that cannot be had beside: [`commit`](Self::commit) tries them again
    pub async fn prepare_most(&self, settings: &Settings) -> (Plan, Vec<Failed>) {
        self.prepare_with(settings, false).await
    }

    /// Binds sockets as [`Self::prepare`] does; each forward that cannot be had is tried again by
    /// [`retry`](Self::retry)
    ///
    /// # Errors
    /// All proxies that cannot be had, and two listeners with one address.
    pub async fn prepare_start(&self, settings: &Settings) -> Result<Plan, Vec<Failed>> {
        let (plan, failed) = self.prepare_with(settings, true).await;
        if failed.is_empty() { Ok(plan) } else { Err(failed) }
    }

    async fn prepare_with(&self, settings: &Settings, is_start: bool) -> (Plan, Vec<Failed>) {
        let (wanted, mut failed) = keyed(Way::all(settings));
        let (mut bound, mut missing) = (BTreeMap::new(), BTreeMap::new());
        let table = self.table.lock().await;
        for (key, way) in &wanted {
            let has_to_wait = table
                .running
                .keys()
                .any(|old| !wanted.contains_key(old) && old.listen.overlaps(&key.listen));
            if table.running.contains_key(key) || has_to_wait {
                continue;
            }
            let may_be_missing = way.site().is_some() && (is_start || table.missing.has(key));
            match self.bind(way, key.port_in(&settings.ports)) {
                Ok(socket) => _ = bound.insert(key.clone(), socket),
                Err(error) if may_be_missing => {
                    missing.insert(key.clone(), (way.clone(), error.to_string()));
                }
                Err(error) => failed.push(Failed::new(way, &error.to_string())),
            }
        }
        drop(table);
        let (ports, connections) = (settings.ports.clone(), settings.limits.connections);
        (Plan { wanted, bound, ports, missing, connections }, failed)
    }

    /// Returns the ports of all forwards on port 0, as they will be after a change
    pub async fn chosen_ports(&self, plan: &Plan) -> Vec<ChosenPort> {
        let table = self.table.lock().await;
        let chosen = plan.wanted.iter().filter_map(|(key, way)| {
            let Way::Forward { site, .. } = way else { return None };
            let line = key.line()?;
            let of_bound = plan.bound.get(key).and_then(Bound::address);
            let of_running = table.running.get(key).and_then(|it| it.listener.bound());
            let port = of_bound.or(of_running)?.port();
            Some(ChosenPort { site: site.clone(), line, port })
        });
        chosen.collect()
    }

    /// Makes a change: swaps the settings of listeners that stay, closes those that are gone, and starts the new ones
    ///
    /// A listener that is gone accepts nobody from now on; its connections have 30 s, and are then reset. The directory
    /// has to be up to date before, since access is looked at anew.
    ///
    /// Returns the listeners that could not be had: those whose address overlapped one that is gone, which is then put
    /// back, unix sockets whose mode or group could not be set, and forwards that are tried again.
    pub async fn commit(&self, plan: Plan) -> Vec<Failed> {
        let Plan { wanted, mut bound, missing: not_bound, ports, connections } = plan;
        self.process.set_most(connections);
        let mut failed = Vec::new();
        let mut table = self.table.lock().await;
        let Table { running, missing } = &mut *table;
        let gone: Vec<_> =
            running.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        let mut closed = Vec::new();
        for key in gone {
            if let Some(old) = running.remove(&key) {
                let way = old.listener.way();
                self.close(old, DRAIN).await;
                closed.push((key, way));
            }
        }
        for (key, way) in wanted {
            if let Some(running) = running.get(&key) {
                failed.extend(change(running, way));
                continue;
            }
            if not_bound.contains_key(&key) {
                continue;
            }
            let socket = match bound.remove(&key) {
                Some(socket) => Ok(socket),
                None => self.bind(&way, key.port_in(&ports)),
            };
            match socket.and_then(Bound::open) {
                Ok(socket) => _ = running.insert(key, self.start(way, socket)),
                Err(error) => failed.push(Failed::new(&way, &error.to_string())),
            }
        }
        let is_free = |key: &Key, running: &BTreeMap<Key, Running>| {
            !running.keys().any(|other| other.listen.overlaps(&key.listen))
        };
        for (key, way) in closed {
            let was_in_the_way = failed.iter().any(|failed| failed.key.overlaps(&key.listen));
            if !was_in_the_way || !is_free(&key, running) {
                continue;
            }
            if let Ok(socket) = self.bind(&way, None).and_then(Bound::open) {
                running.insert(key, self.start((*way).clone(), socket));
            }
        }
        missing.replace(not_bound);
        failed.extend(missing.failures());
        failed
    }

    /// Tries those forwards again that could not be had, and whose time has come; returns those that are open now
    ///
    /// An address is tried again after 10 s, and then after twice as long each time, up to a minute.
    pub async fn retry(&self) -> Vec<Way> {
        let mut table = self.table.lock().await;
        let (now, mut opened) = (Instant::now(), Vec::new());
        for (key, way) in table.missing.due(now) {
            match self.bind(&way, None).and_then(Bound::open) {
                Ok(socket) => {
                    table.missing.opened(&key);
                    table.running.insert(key, self.start(way.clone(), socket));
                    opened.push(way);
                }
                Err(error) => table.missing.failed(&key, error.to_string(), now),
            }
        }
        opened
    }

    /// Closes all listeners, for good; their connections have `patience`, and are then reset
    ///
    /// Those of listeners that a reload has closed have no more time than the others.
    pub async fn close_all(&self, patience: Duration) {
        let table = std::mem::take(&mut *self.table.lock().await);
        for (_, old) in table.running {
            self.close(old, patience).await;
        }
        self.draining.close();
        if timeout(patience, self.draining.wait()).await.is_err() {
            self.cut.cancel();
            self.draining.wait().await;
        }
    }

    /// Returns what is known of all listeners, in the order of their keys; those that are not open come last
    pub async fn status(&self) -> Vec<ListenerStatus> {
        let Table { running, missing } = &*self.table.lock().await;
        let status = |(key, running): (&Key, &Running)| ListenerStatus {
            key: key.listen.clone(),
            way: running.listener.way(),
            bound: running.listener.bound(),
            counters: Arc::clone(&running.listener.counters),
            error: None,
        };
        let missing = missing.all().map(|(way, error)| ListenerStatus {
            key: way.key(),
            way: Arc::new(way.clone()),
            bound: None,
            counters: Arc::default(),
            error: Some(error.to_owned()),
        });
        running.iter().map(status).chain(missing).collect()
    }

    /// Gives a listener a client, as if it had accepted it; waits while all its places are taken
    ///
    /// Returns false if there is no such listener; one on port 0 cannot be named.
    pub async fn offer(&self, key: &ListenKey, origin: Origin, stream: MemoryStream) -> bool {
        let table = self.table.lock().await;
        let Some(running) = table.running.get(&Key::named(key)) else { return false };
        let listener = Arc::clone(&running.listener);
        let stop = running.stop.clone();
        drop(table);
        let place = stop.run_until_cancelled(listener.limits.listener()).await;
        let is_taken = place.is_some();
        if let Some(place) = place {
            listener.spawn(stream, origin, place);
        }
        is_taken
    }

    /// Takes the clients' end of a UDP forward in memory; once for each listener
    pub async fn datagrams(&self, key: &ListenKey) -> Option<MemoryDatagrams> {
        self.table.lock().await.running.get_mut(&Key::named(key))?.datagrams.take()
    }

    fn with(directory: Directory, limits: &Limits, has_sockets: bool) -> Self {
        Self {
            directory,
            process: Places::new(limits.connections),
            has_sockets,
            table: Mutex::default(),
            draining: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Binds the socket of a listener; `port` is wanted in place of port 0, if it can be had
    fn bind(&self, way: &Way, port: Option<u16>) -> std::io::Result<Bound> {
        if self.has_sockets { Bound::bind(way, port) } else { Ok(Bound::Memory) }
    }

    fn start(&self, way: Way, mut socket: Socket) -> Running {
        let mut datagrams = None;
        if matches!(socket, Socket::Memory) && way.is_udp() {
            let (ours, theirs) = MemoryDatagrams::pair();
            (socket, datagrams) = (Socket::MemoryUdp(ours), Some(theirs));
        }
        let (directory, process) = (self.directory.clone(), Arc::clone(&self.process));
        let listener = Listener::new(way, socket.address(), directory, process);
        let (stop, file) = (CancellationToken::new(), socket.file());
        let accepting = accept::run(Arc::clone(&listener), socket, stop.clone());
        Running { listener, stop, accepting: tokio::spawn(accepting), file, datagrams }
    }

    /// Closes a listener: its socket now, its connections later
    async fn close(&self, old: Running, patience: Duration) {
        old.stop.cancel();
        // the address is free when the task has ended; a panic in it frees it as well
        let _ = old.accepting.await;
        let (listener, cut) = (old.listener, self.cut.clone());
        self.draining.spawn(async move { listener.drain(patience, cut).await });
    }
}

impl Drop for WaysIn {
    fn drop(&mut self) {
        for running in self.table.get_mut().running.values() {
            running.stop.cancel();
        }
    }
}

impl Failed {
    pub(super) fn new(way: &Way, error: &str) -> Self {
        let (site, error) = (way.site().cloned(), error.to_owned());
        Self { way: way.to_string(), key: way.key(), site, error, is_tried_again: false }
    }
}

/// Swaps the settings of a listener
fn change(Running { listener, file, .. }: &Running, way: Way) -> Option<Failed> {
    let old = listener.way();
    let mode = way.unix().filter(|socket| old.unix() != Some(socket));
    let changed = mode.map_or(Ok(()), |socket| unix::set_mode(socket, *file));
    let failed = changed.err().map(|error| Failed::new(&way, &error.to_string()));
    listener.set_way(way);
    failed
}

/// Gives each listener its key; two of one address fail
fn keyed(ways: Vec<Way>) -> (BTreeMap<Key, Way>, Vec<Failed>) {
    let (mut wanted, mut failed) = (BTreeMap::<Key, Way>::new(), Vec::new());
    for way in ways {
        let mut key = Key::of(&way);
        while let Some(first) = wanted.get(&key) {
            if key.leads_to.is_empty() {
                failed.push(Failed::new(&way, &format!("the address is taken by: {first}")));
                break;
            }
            key.nth = key.nth.saturating_add(1);
        }
        wanted.entry(key).or_insert(way);
    }
    (wanted, failed)
}

/// The time that connections have after their listener is gone
const DRAIN: Duration = Duration::from_secs(30);
