//! The daemon: a fleet with its ways in

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use pptp::Client;
use pptp_fleet::{Accepted, Fleet, FleetOptions};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    api_sites::ApiSites,
    clock,
    metrics_listener::{MetricsListener, MetricsPlan},
    narrate::narrate,
    secrets::SecretWatch,
    service,
    start::{ConfigurationFile, Start},
};
use crate::{
    api::{DaemonFacts, EventLog, Reading, metrics::Exporter},
    configuration::Sources,
    directory::Directory,
    host::{Confinement, Notifier},
    settings::{ApiListener, Settings},
    state_dir::StateDir,
    way_in::{Failed, Plan, WaysIn},
};

/// A fleet with its ways in, and the settings that both have
///
/// It ends with [`Self::shut_down`]; dropped, its sites are hung up without anybody to wait for that.
#[derive(Debug)]
pub struct Daemon {
    pub(super) directory: Directory,
    pub(super) ways: WaysIn,
    pub(super) events: Arc<EventLog>,
    pub(super) metrics: MetricsListener,
    pub(super) exporter: Exporter,
    /// The daemon itself, for a listener that must not hold it
    pub(super) this: Weak<Self>,
    pub(super) client: Client,
    pub(super) state: Option<StateDir>,
    /// The settings in force; locked for the time of a reload, so that there is one at a time
    pub(super) settings: Mutex<Settings>,
    /// The file that a reload reads
    pub(super) file: Option<ConfigurationFile>,
    /// What the settings were made of; locked for the time of a change, and until the first configuration is kept
    ///
    /// A reload and the changes of the control interface wait for each other, in the order in which they came.
    pub(super) in_force: Arc<Mutex<InForce>>,
    /// The version of the set of sites that were made through the control interface
    pub(super) version: StdMutex<String>,
    /// The further listeners of the control interface
    pub(super) api: watch::Sender<Arc<[ApiListener]>>,
    pub(super) secrets: Arc<SecretWatch>,
    /// What the process has given up
    pub(super) confinement: Option<Confinement>,
    /// The service manager
    pub(super) notifier: Notifier,
    facts: StdMutex<DaemonFacts>,
    /// The time at which driver and supervisor have both answered last
    turned: StdMutex<Option<Instant>>,
    /// The tasks beside the ways in
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the settings in force were made of
#[derive(Debug, Default)]
pub(super) struct InForce {
    /// The texts of the files
    pub(super) sources: Option<Sources>,
    /// The sites that were made through the control interface
    pub(super) api: ApiSites,
}

/// The reason why a daemon did not start
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Listeners could not be bound
    #[error("{}", lines(.0))]
    Bind(Vec<Failed>),
}

impl Daemon {
    /// Starts a daemon without a file
    ///
    /// # Errors
    /// As [`Self::start_with`].
    pub async fn start(client: Client, settings: Settings) -> Result<Arc<Self>, StartError> {
        Self::start_with(client, Start::of_settings(settings)).await
    }

    /// Starts a daemon
    ///
    /// Nothing is dialled before all listeners are bound. A forward whose address is not to be had is told, and tried
    /// again, unless the start is strict.
    ///
    /// # Errors
    /// Another listener could not be bound.
    pub async fn start_with(client: Client, start: Start) -> Result<Arc<Self>, StartError> {
        Self::start_bound(client, start, None).await
    }

    /// Starts a daemon whose listeners are bound already, if `bound` is given
    ///
    /// # Errors
    /// As [`Self::start_with`].
    pub async fn start_bound(
        client: Client,
        start: Start,
        bound: Option<Plan>,
    ) -> Result<Arc<Self>, StartError> {
        let Start { settings, facts, file, sources, is_to_be_kept, is_strict, .. } = start;
        let Start { api, memory, confinement, notifier, .. } = start;
        let state = settings.state.clone().map(StateDir::new);
        let fleet = Fleet::new(client.clone(), &fleet_options(&settings, state.as_ref(), memory));
        let directory = Directory::new(fleet);
        directory.replace(&settings.sites);
        let make_ways = if memory.is_some() { WaysIn::in_memory } else { WaysIn::new };
        let ways = make_ways(directory.clone(), &settings.limits);
        let prepared = match bound {
            Some(bound) => Ok(bound),
            None if is_strict => ways.prepare(&settings).await,
            None => ways.prepare_start(&settings).await,
        };
        let prepared = prepared.map_err(StartError::Bind)?;
        let metrics = MetricsListener::default();
        let metrics_plan = metrics.prepare(&settings.metrics).await;
        let metrics_plan = metrics_plan.map_err(|failed| StartError::Bind(vec![failed]))?;
        let started = SystemTime::now();
        let facts = DaemonFacts { started: Some(started), ..facts };
        let daemon = Arc::new_cyclic(|this| Self {
            metrics,
            exporter: Exporter::new(),
            this: Weak::clone(this),
            events: Arc::new(EventLog::new(started, events_for(settings.sites.len()))),
            directory,
            ways,
            client,
            state,
            api: watch::Sender::new(Arc::from(settings.api.as_slice())),
            settings: Mutex::new(settings),
            file,
            version: StdMutex::new(api.version()),
            in_force: Arc::new(Mutex::new(InForce { sources: sources.clone(), api })),
            secrets: Arc::default(),
            confinement,
            notifier,
            facts: StdMutex::new(facts),
            turned: StdMutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        daemon.spawn_tasks();
        daemon.change_sites(&*daemon.settings.lock().await).await;
        // a start has no earlier listener that could stand in the way: what is left is tried again
        for failure in daemon.commit_listeners(prepared, Some(metrics_plan)).await {
            daemon.tell_missing(&failure);
        }
        daemon.look().await;
        daemon.spawn_keeping(sources.filter(|_| is_to_be_kept)).await;
        Ok(daemon)
    }

    /// Returns the sites
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Returns the fleet
    pub const fn fleet(&self) -> &Fleet {
        self.directory.fleet()
    }

    /// Returns the ways in
    pub const fn ways(&self) -> &WaysIn {
        &self.ways
    }

    /// Returns the further listeners of the control interface, as they change
    pub fn api_listeners(&self) -> watch::Receiver<Arc<[ApiListener]>> {
        self.api.subscribe()
    }

    /// Returns the address of the metrics' own listener, with the port that the system has chosen for port 0
    pub async fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.address().await
    }

    /// Returns the events since the start
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// Makes the changes of the listeners; returns those that could not be had
    pub(super) async fn commit_listeners(
        &self,
        ways: Plan,
        metrics: Option<MetricsPlan>,
    ) -> Vec<Failed> {
        let mut failed = self.ways.commit(ways).await;
        if let Some(metrics) = metrics {
            failed.extend(self.metrics.commit(metrics, &self.this).await);
        }
        failed
    }

    /// Locks the facts about the daemon itself
    pub(super) fn lock_facts(&self) -> MutexGuard<'_, DaemonFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the files were read, and whether they came into force
    pub(super) fn note_reading(&self, is_in_force: bool) {
        self.lock_facts().last_reading = Some(Reading { at: SystemTime::now(), is_in_force });
    }

    /// Returns true if the driver and the supervisor have answered lately
    pub fn is_ready(&self) -> bool {
        let turned = *self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        turned.is_some_and(|at| at.elapsed() < MAX_SILENCE)
    }

    /// Hangs up all sites, within the time that the settings give; returns false if some are left
    ///
    /// First no client is accepted any more, and those that wait are refused. Then dials are given up and tunnels are
    /// hung up.
    pub async fn shut_down(&self) -> bool {
        let within = self.settings.lock().await.limits.shutdown;
        self.write_accepted().await;
        let ((), (), is_done) = tokio::join!(
            self.tell_stopping(within),
            self.ways.close_all(Duration::ZERO),
            self.fleet().shut_down(within)
        );
        self.metrics.close().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        is_done
    }

    fn spawn_tasks(self: &Arc<Self>) {
        let (fleet, events) = (self.fleet().clone(), Arc::clone(&self.events));
        let received = fleet.events();
        // it ends by itself, with the lines of the hang-ups
        self.tasks.spawn(narrate(fleet.clone(), fleet.events(), self.stop.clone()));
        self.spawn(async move { events.follow(received).await });
        self.spawn(clock::watch(fleet));
        self.spawn_secret_watch();
        self.spawn_service_tasks();
        let daemon = Arc::downgrade(self);
        self.spawn(async move {
            while let Some(daemon) = daemon.upgrade() {
                daemon.look().await;
                drop(daemon);
                sleep(LOOK_INTERVAL).await;
            }
        });
        let daemon = Arc::downgrade(self);
        self.spawn(async move {
            loop {
                sleep(RETRY_INTERVAL).await;
                let Some(daemon) = daemon.upgrade() else { return };
                daemon.retry_forwards().await;
            }
        });
        let daemon = Arc::downgrade(self);
        self.spawn(async move {
            loop {
                sleep(SAVE_INTERVAL).await;
                let Some(daemon) = daemon.upgrade() else { return };
                daemon.write_accepted().await;
            }
        });
    }

    /// Keeps the addresses, and the first configuration as the last good one, beside the start: a disk may take its time
    ///
    /// [`Self::shut_down`] waits for it. So does a reload, whose configuration is the later one.
    async fn spawn_keeping(self: &Arc<Self>, sources: Option<Sources>) {
        let deals = self.settings.lock().await.deals.clone();
        if sources.is_none() && deals.is_none() {
            return;
        }
        let in_force = Arc::clone(&self.in_force).lock_owned().await;
        let daemon = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = daemon.keep_addresses(deals.as_ref()).await {
                daemon.tell_not_kept(&error);
            }
            if let Some(sources) = sources {
                daemon.keep_as_last_good(sources).await;
            }
            drop(in_force);
        });
    }

    /// Tells of a forward that is not open
    fn tell_missing(&self, failure: &Failed) {
        tracing::error!("not open, and tried again: {failure}");
        self.events.forward_missing(failure.site.clone(), failure.to_string());
    }

    /// Tries the forwards again that are not open; one that is still missing is not told once more
    async fn retry_forwards(&self) {
        for way in self.ways.retry().await {
            tracing::info!("open now: {way}");
            self.events.forward_open(way.site().cloned(), way.to_string());
        }
    }

    /// Asks the driver and the supervisor for a sign of life
    async fn look(&self) {
        let answered = timeout(MAX_SILENCE, async {
            service::beat(self.client.clone(), self.fleet().clone()).await
        });
        if answered.await == Ok(true) {
            *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Spawns a task that ends with the daemon
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Writes the accepted logins, if there is a folder for the state
    async fn write_accepted(&self) {
        let Some(state) = self.state.clone() else { return };
        let Some(accepted) = self.fleet().accepted().await else { return };
        let save = move || {
            let text = accepted.to_text();
            if state.read(ACCEPTED).ok().flatten().as_ref() == Some(&text) {
                return;
            }
            if let Err(error) = state.write(ACCEPTED, &text) {
                tracing::error!("{error}");
            }
        };
        // a disk takes its time to sync; a panic in there has its own message
        let _ = tokio::task::spawn_blocking(save).await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // some of the tasks hold the fleet, which hangs up once nobody holds it
        self.stop.cancel();
    }
}

/// The options of the fleet, with the logins that servers have accepted
fn fleet_options(settings: &Settings, state: Option<&StateDir>, seed: Option<u64>) -> FleetOptions {
    let mut options = FleetOptions::default();
    options.dial_rate = settings.limits.dial_rate;
    options.seed = seed;
    match read_accepted(state) {
        Some(accepted) => options.accepted(accepted),
        None => options,
    }
}

/// Reads the logins that were accepted; what cannot be read is told, and none is known
fn read_accepted(state: Option<&StateDir>) -> Option<Accepted> {
    let text = match state?.read(ACCEPTED) {
        Ok(text) => text?,
        Err(error) => {
            tracing::error!("{error}");
            return None;
        }
    };
    let accepted = Accepted::parse(&text);
    accepted.inspect_err(|error| tracing::error!("the state {ACCEPTED}: {error}")).ok()
}

/// The number of events that are kept for so many sites
pub(super) fn events_for(sites: usize) -> usize {
    sites.saturating_mul(4)
}

fn lines(failures: &[Failed]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The file of the accepted logins, in the state folder
const ACCEPTED: &str = "accepted";

/// The time between two questions to the driver and the supervisor
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The time without an answer after which the daemon is not ready
const MAX_SILENCE: Duration = Duration::from_secs(5);

/// The time between two looks at the forwards that are not open
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The time between two looks at what has to be written
const SAVE_INTERVAL: Duration = Duration::from_mins(1);
