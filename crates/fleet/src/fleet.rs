//! The fleet: supervised sites of one client

use std::{convert::Infallible, sync::Arc, time::Duration};

use pptp::Client;
use tokio::{
    sync::{broadcast, mpsc},
    time::timeout,
};

use crate::{
    Accepted, Applied, Caller, Change, Events, Figures, FleetOptions, FleetStatus, NotApplied,
    Plan, Site, SiteConfig, SiteName, SiteStatus,
    commands::{Command, Commands},
    registry::Registry,
    supervisor::Supervisor,
    wanted::Wanted,
};

/// Supervised sites: each is dialled, kept up, and dialled again
///
/// A clone is the same fleet. When the last handle is gone, all sites are hung up.
///
/// ```no_run
/// use std::time::Duration;
///
/// use pptp_fleet::{Fleet, FleetOptions, Secret, SiteConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let fleet = Fleet::new(pptp::Client::new()?, &FleetOptions::default());
/// let config = SiteConfig::new("vpn17.example.net", "svc", Secret::literal("test123"));
/// fleet.set("b17".parse()?, config).await;
/// let site = fleet.site("b17").ok_or("it was set")?;
/// let tunnel = site.tunnel(Duration::from_secs(30)).await?;
/// let knx = tunnel.tcp_connect(([192, 168, 1, 3], 80)).await?;
/// # let _ = knx;
/// fleet.shut_down(Duration::from_secs(12)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fleet {
    commands: Commands,
    registry: Arc<Registry>,
    wanted: Arc<Wanted>,
    events: broadcast::Sender<crate::FleetEvent>,
}

impl Fleet {
    /// Starts a fleet without sites on the current runtime
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(client: Client, options: &FleetOptions) -> Self {
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        let (events, _) = broadcast::channel(MAX_EVENTS);
        let registry = Arc::<Registry>::default();
        let to_supervisor = (events.clone(), Arc::clone(&registry));
        let supervisor =
            Supervisor::new(client, options, receiver, to_supervisor.0, to_supervisor.1);
        tokio::spawn(supervisor.run());
        Self { commands: Commands(commands), registry, wanted: Arc::default(), events }
    }

    /// Adds a site, or changes it; a tunnel stays unless the change concerns it
    ///
    /// `None` if the fleet is shut down.
    pub async fn set(&self, name: SiteName, config: SiteConfig) -> Option<Change> {
        let config = Arc::new(config);
        let asked = self.commands.ask_with(|permit, answer| {
            let mut latest = self.wanted.lock();
            latest.set(&name, Some(&config));
            permit.send(Command::Set { name, config, answer });
            Ok::<_, Infallible>(())
        });
        asked.await?.ok()
    }

    /// Removes a site; false if there is none
    ///
    /// It is gone when its tunnel is hung up. A site of the same name that is added meanwhile waits for that.
    pub async fn remove(&self, name: &SiteName) -> bool {
        let asked = self.commands.ask_with(|permit, answer| {
            let mut latest = self.wanted.lock();
            latest.set(name, None);
            permit.send(Command::Remove { name: name.clone(), answer });
            Ok::<_, Infallible>(())
        });
        asked.await.is_some_and(|answer| answer == Ok(true))
    }

    /// Returns the changes that these sites would make in place of all present ones; nothing is changed yet
    ///
    /// A difference is one against the configuration with which a live tunnel was dialled: a change that is taken back
    /// before its turn dials nothing. Equal sites have no part in the plan. Of two configurations for one name the
    /// latter counts.
    ///
    /// ```no_run
    /// # use std::collections::BTreeMap;
    /// # use pptp_fleet::{Fleet, NotApplied, SiteConfig, SiteName};
    /// # async fn example(fleet: Fleet, wanted: BTreeMap<SiteName, SiteConfig>) -> Result<(), NotApplied> {
    /// let plan = fleet.plan(&wanted);
    /// for (site, options) in &plan.changes().redialled {
    ///     println!("{site} is dialled anew: {}", options.join(", "));
    /// }
    /// fleet.apply(plan).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan<'a>(
        &self,
        wanted: impl IntoIterator<Item = (&'a SiteName, &'a SiteConfig)>,
    ) -> Plan {
        Plan::new(&self.wanted, &self.registry, wanted)
    }

    /// Applies a plan, and returns what was decided; sites that are equal are not touched
    ///
    /// Tunnels that have to be dialled anew stay until their turn comes. Ten are hung up first, chosen by chance. If
    /// more than a fifth of those hung up so far are not up again within a minute, the others keep their tunnels:
    /// [`EventKind::RolloutPaused`](crate::EventKind::RolloutPaused). [`Self::set`] waits for the same turns. A plan
    /// ends a pause, also one without changes, and begins with ten again.
    ///
    /// # Errors
    /// The plan is out of date, or the fleet is shut down; nothing is changed.
    ///
    /// # Cancel safety
    /// The plan is applied, or not at all.
    pub async fn apply(&self, plan: Plan) -> Result<Applied, NotApplied> {
        let asked = self.commands.ask_with(|permit, answer| {
            let mut latest = self.wanted.lock();
            let is_own = Arc::ptr_eq(&plan.wanted, &self.wanted);
            if !is_own || latest.generation != plan.generation {
                return Err(NotApplied::OutOfDate);
            }
            latest.set_all(&plan.wishes);
            permit.send(Command::Apply { wishes: plan.wishes, answer });
            Ok(())
        });
        asked.await.unwrap_or(Err(NotApplied::ShutDown))
    }

    /// Ends the pause of a rollout, which begins with ten again; returns the number of sites that are left
    ///
    /// `None` if the fleet is shut down.
    pub async fn continue_rollout(&self) -> Option<usize> {
        self.commands.ask(|answer| Command::ContinueRollout { answer }).await
    }

    /// Wants a site up, and dials it now; false if there is none
    pub async fn up(&self, name: &SiteName) -> bool {
        self.command(|answer| Command::Up { name: name.clone(), answer }).await
    }

    /// Wants a site down until somebody wants it up; false if there is none
    pub async fn down(&self, name: &SiteName, by: Caller) -> bool {
        self.command(|answer| Command::Down { name: name.clone(), by, answer }).await
    }

    /// Hangs a site up and dials it again; false if there is none
    pub async fn restart(&self, name: &SiteName) -> bool {
        self.command(|answer| Command::Restart { name: name.clone(), answer }).await
    }

    /// Tells that a site's password may be another now: a site that waits or has stopped is dialled
    pub async fn secret_changed(&self, name: &SiteName) -> bool {
        self.command(|answer| Command::SecretChanged { name: name.clone(), answer }).await
    }

    /// Tells that this machine was asleep: pauses for the network are over, and each tunnel asks its server for a sign
    /// of life
    pub async fn clock_jumped(&self) {
        // a fleet that is shut down has no pauses
        let _ = self.commands.ask(|answer| Command::ClockJumped { answer }).await;
    }

    /// Waits until the supervisor takes a command that came after this call; false if the fleet is shut down
    ///
    /// A watchdog asks so whether sites are dialled and hung up at all, as it asks the driver by
    /// [`Client::beat`]. The supervisor does what is due before it takes a command. While it applies a plan it takes
    /// none, and that is over after a moment.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(client: pptp::Client, fleet: pptp_fleet::Fleet) {
    /// # fn feed_the_watchdog() {}
    /// while client.beat().await.is_ok() && fleet.beat().await {
    ///     feed_the_watchdog();
    ///     tokio::time::sleep(Duration::from_secs(5)).await;
    /// }
    /// # }
    /// ```
    pub async fn beat(&self) -> bool {
        self.commands.ask(|answer| Command::Beat { answer }).await.is_some()
    }

    /// Returns a site
    pub fn site(&self, name: &str) -> Option<Site> {
        let shared = self.registry.sites().get(name).map(Arc::clone)?;
        Some(Site { shared, commands: self.commands.clone() })
    }

    /// Returns all sites, in the order of their names
    pub fn sites(&self) -> Vec<Site> {
        let shared: Vec<_> = self.registry.sites().values().map(Arc::clone).collect();
        shared.into_iter().map(|shared| Site { shared, commands: self.commands.clone() }).collect()
    }

    /// Returns the events from now on
    pub fn events(&self) -> Events {
        let receiver = self.events.subscribe();
        Events::new(receiver, self.registry.next_event())
    }

    /// Returns the figures of the fleet; `None` if it is shut down
    pub async fn status(&self) -> Option<FleetStatus> {
        self.commands.ask(|answer| Command::FleetStatus { answer }).await
    }

    /// Returns the figures of all sites, in the order of their names; `None` if it is shut down
    ///
    /// One look at each tunnel: some microseconds a site.
    pub async fn statuses(&self) -> Option<Vec<(SiteName, SiteStatus)>> {
        self.commands.ask(|answer| Command::SiteStatuses { answer }).await
    }

    /// Returns the figures of the fleet and of all sites, of one moment; `None` if it is shut down
    ///
    /// The supervisor needs some hundred nanoseconds a site for them, and reads no tunnel: the caller does so, by
    /// [`SiteFigures::stats`](crate::SiteFigures::stats), on a thread of its choice. They keep the tunnels as handles do.
    pub async fn figures(&self) -> Option<Box<Figures>> {
        self.commands.ask(|answer| Command::Figures { answer }).await
    }

    /// Returns the logins that servers have accepted, for the next fleet; `None` if it is shut down
    ///
    /// See [`Accepted`]. To be asked before [`Self::shut_down`], and now and then, for the case that the program is killed.
    pub async fn accepted(&self) -> Option<Accepted> {
        self.commands.ask(|answer| Command::Accepted { answer }).await
    }

    /// Hangs up all sites, and waits for that; returns false if some are left after `within`
    ///
    /// # Cancel safety
    /// The hang-ups go on.
    pub async fn shut_down(&self, within: Duration) -> bool {
        let done = self.commands.ask(|answer| Command::ShutDown { answer });
        timeout(within, done).await.is_ok()
    }

    async fn command(
        &self,
        command: impl FnOnce(tokio::sync::oneshot::Sender<bool>) -> Command,
    ) -> bool {
        self.commands.ask(command).await.unwrap_or(false)
    }
}

/// Commands that wait for the supervisor
const MAX_COMMANDS: usize = 256;

/// Events that a slow reader may be behind
const MAX_EVENTS: usize = 4096;
