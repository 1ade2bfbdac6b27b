//! The listeners that run, and their change by a reload

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use pptp_fleet::SiteName;
use tokio::{sync::Mutex, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept,
    bind::Socket,
    client::Origin,
    counters::Counters,
    key::Key,
    limits::Places,
    listener::Listener,
    memory::{MemoryDatagrams, MemoryStream},
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
    running: Mutex<BTreeMap<Key, Running>>,
    /// Listeners that are closed, and whose connections have a while
    draining: TaskTracker,
    /// Ends the draining
    cut: CancellationToken,
}

/// A change that is ready to be made
#[derive(Debug)]
pub struct Plan {
    wanted: BTreeMap<Key, Way>,
    bound: BTreeMap<Key, Socket>,
    /// The ports that are wanted again for listeners on port 0
    ports: BTreeMap<String, u16>,
    connections: usize,
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
    /// An address that overlaps one that is going to be closed is bound by [`commit`](Self::commit).
    ///
    /// # Errors
    /// All listeners that cannot be had.
    pub async fn prepare(&self, settings: &Settings) -> Result<Plan, Vec<Failed>> {
        let (plan, failed) = self.prepare_most(settings).await;
        if failed.is_empty() { Ok(plan) } else { Err(failed) }
    }

    /// As [`prepare`](Self::prepare), but with those that cannot be had beside: [`commit`](Self::commit) tries them again
    pub async fn prepare_most(&self, settings: &Settings) -> (Plan, Vec<Failed>) {
        let (wanted, mut failed) = keyed(Way::all(settings));
        let mut bound = BTreeMap::new();
        let running = self.running.lock().await;
        for (key, way) in &wanted {
            let has_to_wait = running
                .keys()
                .any(|old| !wanted.contains_key(old) && old.listen.overlaps(&key.listen));
            if running.contains_key(key) || has_to_wait {
                continue;
            }
            match self.bind(way, key.port_in(&settings.ports)).await {
                Ok(socket) => _ = bound.insert(key.clone(), socket),
                Err(error) => failed.push(Failed::new(way, &error.to_string())),
            }
        }
        drop(running);
        let (ports, connections) = (settings.ports.clone(), settings.limits.connections);
        (Plan { wanted, bound, ports, connections }, failed)
    }

    /// Returns the ports of all forwards on port 0, as they will be after a change
    pub async fn chosen_ports(&self, plan: &Plan) -> Vec<ChosenPort> {
        let running = self.running.lock().await;
        let chosen = plan.wanted.iter().filter_map(|(key, way)| {
            let Way::Forward { site, .. } = way else { return None };
            let line = key.line()?;
            let of_bound = plan.bound.get(key).and_then(Socket::address);
            let of_running = running.get(key).and_then(|it| it.listener.bound());
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
    /// back, and unix sockets whose mode or group could not be set.
    pub async fn commit(&self, plan: Plan) -> Vec<Failed> {
        let Plan { wanted, mut bound, ports, connections } = plan;
        self.process.set_most(connections);
        let mut failed = Vec::new();
        let mut running = self.running.lock().await;
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
            let socket = match bound.remove(&key) {
                Some(socket) => Ok(socket),
                None => self.bind(&way, key.port_in(&ports)).await,
            };
            match socket {
                Ok(socket) => _ = running.insert(key, self.start(way, socket)),
                Err(error) => failed.push(Failed::new(&way, &error.to_string())),
            }
        }
        let is_free = |key: &Key, running: &BTreeMap<Key, Running>| {
            !running.keys().any(|other| other.listen.overlaps(&key.listen))
        };
        for (key, way) in closed {
            let was_in_the_way = failed.iter().any(|failed| failed.key.overlaps(&key.listen));
            if !was_in_the_way || !is_free(&key, &running) {
                continue;
            }
            if let Ok(socket) = self.bind(&way, None).await {
                running.insert(key, self.start((*way).clone(), socket));
            }
        }
        failed
    }

    /// Closes all listeners, for good; their connections have `patience`, and are then reset
    ///
    /// Those of listeners that a reload has closed have no more time than the others.
    pub async fn close_all(&self, patience: Duration) {
        let running = std::mem::take(&mut *self.running.lock().await);
        for (_, old) in running {
            self.close(old, patience).await;
        }
        self.draining.close();
        if timeout(patience, self.draining.wait()).await.is_err() {
            self.cut.cancel();
            self.draining.wait().await;
        }
    }

    /// Returns what is known of all listeners, in the order of their keys
    pub async fn status(&self) -> Vec<ListenerStatus> {
        let running = self.running.lock().await;
        let status = |(key, running): (&Key, &Running)| ListenerStatus {
            key: key.listen.clone(),
            way: running.listener.way(),
            bound: running.listener.bound(),
            counters: Arc::clone(&running.listener.counters),
        };
        running.iter().map(status).collect()
    }

    /// Gives a listener a client, as if it had accepted it; waits while all its places are taken
    ///
    /// Returns false if there is no such listener; one on port 0 cannot be named.
    pub async fn offer(&self, key: &ListenKey, origin: Origin, stream: MemoryStream) -> bool {
        let running = self.running.lock().await;
        let Some(running_one) = running.get(&Key::named(key)) else { return false };
        let listener = Arc::clone(&running_one.listener);
        let stop = running_one.stop.clone();
        drop(running);
        let place = stop.run_until_cancelled(listener.limits.listener()).await;
        let is_taken = place.is_some();
        if let Some(place) = place {
            listener.spawn(stream, origin, place);
        }
        is_taken
    }

    /// Takes the clients' end of a UDP forward in memory; once for each listener
    pub async fn datagrams(&self, key: &ListenKey) -> Option<MemoryDatagrams> {
        self.running.lock().await.get_mut(&Key::named(key))?.datagrams.take()
    }

    fn with(directory: Directory, limits: &Limits, has_sockets: bool) -> Self {
        Self {
            directory,
            process: Places::new(limits.connections),
            has_sockets,
            running: Mutex::default(),
            draining: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Binds the socket of a listener; `port` is wanted in place of port 0, if it can be had
    async fn bind(&self, way: &Way, port: Option<u16>) -> std::io::Result<Socket> {
        if !self.has_sockets {
            return Ok(Socket::Memory);
        }
        if let Some(port) = port {
            match Socket::bind_at(way, Some(port)).await {
                Ok(socket) => return Ok(socket),
                Err(error) => tracing::warn!("{way}: not on port {port} as before: {error}"),
            }
        }
        Socket::bind_at(way, None).await
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
        for running in self.running.get_mut().values() {
            running.stop.cancel();
        }
    }
}

impl Failed {
    fn new(way: &Way, error: &str) -> Self {
        let site = match way {
            Way::Forward { site, .. } => Some(site.clone()),
            Way::Proxy(_) => None,
        };
        Self { way: way.to_string(), key: way.key(), site, error: error.to_owned() }
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
