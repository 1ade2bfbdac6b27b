//! The addresses of servers' names: one lookup for each name, at most 32 at once in the process
//!
//! The system's resolver blocks its thread for as long as the name servers are silent, and cannot
//! be stopped. So its calls have threads of their own, few of them, and take none of a runtime's:
//! what waits here waits as a future. All clients and runtimes of a process share one resolver,
//! because they share the system's.

use std::{
    fmt, io,
    net::IpAddr,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use pptp_driver::now;

use self::lookup_table::{LookupTable, Told};

mod lookup_table;
mod system;
#[cfg(test)]
mod tests;

/// Lookups that run at the same time, at most: each keeps a thread
pub(crate) const MAX_LOOKUPS: usize = 32;

/// The time after which the last good addresses are used, if there are some
///
/// RFC 8767 §5 names it as the client response timer, with this time.
pub(crate) const CLIENT_RESPONSE_TIMEOUT: Duration = Duration::from_millis(1800);

/// The age up to which the last good addresses are used; RFC 8767 §5 has one to three days
pub(crate) const MAX_AGE: Duration = Duration::from_hours(24);

/// The number of names whose last good addresses are kept: some 100 octets each with one address
pub(crate) const MAX_NAMES: usize = 16_384;

/// The number of addresses of a name that are taken
pub(crate) const MAX_ADDRESSES: usize = 16;

/// Looks names up, each once however many wait for it
pub(crate) struct Resolver {
    table: Mutex<LookupTable>,
    start: Box<dyn Fn(Worker) -> io::Result<()> + Send + Sync>,
}

/// The resolver's answer about a name
pub(crate) type Outcome = Result<Arc<[IpAddr]>, Unresolved>;

/// The reason why a name has no addresses
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The resolver is sure that there is no such name, or that it has no address
    NoSuchName(String),
    /// The resolver could not find out
    Temporary(String),
}

impl Unresolved {
    /// The resolver's own words
    pub(crate) fn reason(self) -> String {
        match self {
            Self::NoSuchName(reason) | Self::Temporary(reason) => reason,
        }
    }
}

impl Resolver {
    /// A resolver whose workers are run by `start`, which must not wait for them
    pub(crate) fn new(
        start: impl Fn(Worker) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), start: Box::new(start) })
    }

    /// The resolver of this process, which asks the system's
    pub(crate) fn of_process() -> &'static Arc<Self> {
        static RESOLVER: LazyLock<Arc<Resolver>> = LazyLock::new(|| Resolver::new(system::start));
        &RESOLVER
    }

    /// The addresses of a name, fresh ones or else the last good ones
    ///
    /// Those are used when the resolver fails for now, and when it says nothing for [`CLIENT_RESPONSE_TIMEOUT`];
    /// not when it is sure that the name does not exist.
    ///
    /// # Cancel safety
    /// A lookup that has not begun, and that nothing else waits for, is given up.
    pub(crate) async fn addresses(self: &Arc<Self>, name: &str) -> Outcome {
        let name = Arc::from(name.to_ascii_lowercase());
        let old = self.table().last_good(&name, now());
        let mut question = self.ask(&name);
        let Some((addresses, since)) = old else { return question.answer().await };
        let why = match timeout(CLIENT_RESPONSE_TIMEOUT, question.answer()).await {
            Ok(Err(Unresolved::Temporary(why))) => why,
            Ok(certain) => return certain,
            Err(_) => "it has not answered yet".into(),
        };
        let age = now().saturating_duration_since(since).as_secs();
        tracing::warn!(
            %name, age, %why,
            "the name resolver does not help: the addresses that it gave `age` seconds ago are used"
        );
        Ok(addresses)
    }

    /// Asks for a name, together with all others that ask for it now
    fn ask(self: &Arc<Self>, name: &Arc<str>) -> Question {
        let (outcome, wants_worker) = self.table().ask(name);
        if wants_worker {
            self.hire();
        }
        Question { resolver: Arc::clone(self), name: Arc::clone(name), outcome: Some(outcome) }
    }

    /// Tells an outcome to all that wait for it
    #[expect(clippy::disallowed_methods, reason = "only tunnels' control tasks wait for it")]
    fn tell(waiting: &Told, outcome: Outcome) {
        waiting.send_replace(Some(outcome));
    }

    /// Starts a worker, for which the table has a place already
    fn hire(self: &Arc<Self>) {
        let worker = Worker { resolver: Arc::clone(self), has_place: true };
        // a worker that cannot be started is dropped, and gives its place back
        if let Err(error) = (self.start)(worker) {
            let why = Unresolved::Temporary(format!("no thread for a name lookup: {error}"));
            let unserved = self.table().take_unserved();
            for waiting in unserved {
                Self::tell(&waiting, Err(why.clone()));
            }
        }
    }

    fn finish(&self, name: &Arc<str>, outcome: Outcome) {
        let waiting = self.table().finish(name, &outcome, now());
        if let Some(waiting) = waiting {
            Self::tell(&waiting, outcome);
        }
    }

    fn table(&self) -> MutexGuard<'_, LookupTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// Somebody's interest in the outcome of a lookup
struct Question {
    resolver: Arc<Resolver>,
    name: Arc<str>,
    /// `None` only while it is dropped
    outcome: Option<watch::Receiver<Option<Outcome>>>,
}

impl Question {
    async fn answer(&mut self) -> Outcome {
        let gone = || Err(Unresolved::Temporary("the lookup was given up".into()));
        let Some(outcome) = &mut self.outcome else { return gone() };
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => gone(),
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.outcome = None;
        self.resolver.table().forget_unwanted(&self.name);
    }
}

/// One of the [`MAX_LOOKUPS`] threads: makes lookups until no name waits
///
/// Its owner calls [`Self::next`], and looks up what that returns, until it returns `None`.
pub(crate) struct Worker {
    resolver: Arc<Resolver>,
    has_place: bool,
}

impl Worker {
    /// The next lookup, if one waits
    pub(crate) fn next(&mut self) -> Option<Lookup> {
        let name = self.resolver.table().begin_next();
        // the table has given the place to others in the same moment in which it saw that none waits
        self.has_place = name.is_some();
        Some(Lookup { resolver: Arc::clone(&self.resolver), name: name?, is_told: false })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.has_place {
            self.resolver.table().leave();
        }
    }
}

/// A lookup that has begun
pub(crate) struct Lookup {
    resolver: Arc<Resolver>,
    name: Arc<str>,
    is_told: bool,
}

impl Lookup {
    /// The name, in lower case
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Tells all that wait for the name
    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Outcome) {
        self.is_told = true;
        self.resolver.finish(&self.name, outcome);
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(Err(Unresolved::Temporary("the lookup panicked".into())));
        }
    }
}
