//! The configuration that a daemon starts with: its files, or the last good ones

use std::{
    collections::BTreeSet,
    env, fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{addresses::known, api_sites::ApiSites, reload::guard};
use crate::{
    api::{DaemonFacts, Reading, date},
    configuration::{Configuration, Sources},
    deals::Deals,
    host::{Confinement, Folders, Notifier},
    settings::Settings,
    state_dir::{StateDir, StateError},
};

/// The configuration that a daemon starts with, and where it came from
#[derive(Debug, Clone)]
pub struct Start {
    pub(super) settings: Settings,
    pub(super) facts: DaemonFacts,
    /// The file to read again at a reload
    pub(super) file: Option<ConfigurationFile>,
    /// The texts of the files that are in force, without the sites that were made through the control interface
    pub(super) sources: Option<Sources>,
    /// True if they are to be kept as the last good ones
    pub(super) is_to_be_kept: bool,
    /// The sites that were made through the control interface
    pub(super) api: ApiSites,
    /// True if a forward that cannot be had ends the start
    pub(super) is_strict: bool,
    /// The seed of the fleet's chance, of a daemon whose ways in are in memory
    pub(super) memory: Option<u64>,
    /// All that is read, now and at reloads
    paths: BTreeSet<PathBuf>,
    pub(super) confinement: Option<Confinement>,
    pub(super) notifier: Notifier,
}

/// The file of a configuration
#[derive(Debug, Clone)]
pub struct ConfigurationFile {
    /// Its path
    pub path: PathBuf,
    /// The files that the process may have open
    pub max_files: Option<u64>,
}

/// The reason why there is no configuration to start with, with all problems as a terminal shows them
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoConfiguration(pub String);

impl Start {
    /// Starts with settings that came from the command line
    pub fn of_settings(settings: Settings) -> Self {
        let facts = DaemonFacts {
            config_read: Some(SystemTime::now()),
            last_reading: Some(read_now(true)),
            ..DaemonFacts::default()
        };
        Self::with(settings, facts, None)
    }

    fn with(settings: Settings, facts: DaemonFacts, file: Option<ConfigurationFile>) -> Self {
        Self {
            settings,
            facts,
            file,
            sources: None,
            is_to_be_kept: false,
            api: ApiSites::default(),
            is_strict: true,
            memory: None,
            paths: BTreeSet::new(),
            confinement: None,
            notifier: Notifier::default(),
        }
    }

    /// Tells the daemon what its process has given up: what a reload needs of that is refused
    #[must_use]
    pub fn confined(mut self, confinement: Confinement) -> Self {
        self.confinement = Some(confinement);
        self
    }

    /// Gives the daemon a service manager, which is told of reloads
    #[must_use]
    pub fn notify(mut self, notifier: Notifier) -> Self {
        self.notifier = notifier;
        self
    }

    /// Gives the daemon ways in that have no socket of the kernel, for tests in virtual time
    ///
    /// `seed` decides the chance in the pauses of its sites.
    #[must_use]
    pub const fn in_memory(mut self, seed: u64) -> Self {
        self.memory = Some(seed);
        self
    }

    /// Reads a file; with problems in it, the last good configuration
    ///
    /// Without a last good one, a site with problems stops with them, and the others are kept up. `is_strict` wants all
    /// files to be without problems, and all listeners to be had.
    ///
    /// # Errors
    /// There is nothing to start with.
    pub fn of_file(mut file: ConfigurationFile, is_strict: bool) -> Result<Self, NoConfiguration> {
        // the last good texts are read from wherever the next process is started
        file.path = std::path::absolute(&file.path).unwrap_or(file.path);
        let loaded = Sources::load(&file.path).map_err(|error| error.to_string());
        let state = loaded.as_ref().ok().and_then(Sources::state_folder).or_else(systemd_state);
        let api = match state.clone() {
            Some(state) => ApiSites::load(state)
                .map_err(|newer| NoConfiguration(format!("error: {newer}\n")))?,
            None => ApiSites::default(),
        };
        let (read, problems, shown) = match loaded {
            Ok(sources) => {
                let known = |state: Option<&Path>| known(state, None);
                let read = Configuration::read_with(api.beside(sources), file.max_files, known);
                let (problems, shown) = (read.lines(), read.rendered_errors());
                (Some(read), problems, shown)
            }
            Err(error) => (None, vec![error.clone()], format!("error: {error}\n\n")),
        };
        let is_good = read.as_ref().is_some_and(Configuration::is_good);
        if is_strict && !is_good {
            return Err(NoConfiguration(shown));
        }
        let last_good = state.clone().and_then(|state| LastGood::read(state, file.max_files, &api));
        // also of files with problems: a reload may find them mended
        let mut paths = BTreeSet::from([file.path.clone()]);
        paths.extend(read.iter().flat_map(Configuration::paths));
        paths.extend(last_good.iter().flat_map(|good| good.read.paths()));
        let mut start = match (read, last_good) {
            (Some(read), Some(last_good)) if is_good && !is_strict => {
                match last_good.refuses(&read) {
                    Some(problem) => Self::on_last_good(file, last_good, vec![problem]),
                    None => Self::new(file, read, Vec::new()),
                }
            }
            (Some(read), _) if is_good => Self { is_strict, ..Self::new(file, read, Vec::new()) },
            (_, Some(last_good)) => Self::on_last_good(file, last_good, problems),
            (Some(read), None) if read.is_usable() => Self::new(file, read, problems),
            _ => return Err(NoConfiguration(shown + &no_last_good(state.as_deref()))),
        };
        if let Some(problem) = api.problem() {
            if start.facts.problems.is_empty() {
                "the sites that were made through the API are not there:"
                    .clone_into(&mut start.facts.problems_title);
            }
            start.facts.problems.push(problem.to_owned());
        }
        Ok(Self { api, paths, ..start })
    }

    /// Returns the folders that the daemon needs, now and at reloads
    pub fn folders(&self) -> Folders {
        Folders::new(self.paths.iter().map(PathBuf::as_path), &self.settings)
    }

    /// Returns true if a forward that cannot be had ends the start
    pub const fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Returns the settings
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the facts about the configuration
    pub const fn facts(&self) -> &DaemonFacts {
        &self.facts
    }

    fn new(file: ConfigurationFile, read: Configuration, problems: Vec<String>) -> Self {
        let is_good = read.is_good();
        let facts = DaemonFacts {
            config: Some(file.path.clone()),
            config_read: Some(SystemTime::now()),
            last_reading: Some(read_now(is_good)),
            problems_title: "sites with problems are not dialled:".to_owned(),
            problems,
            ..DaemonFacts::default()
        };
        let (sources, settings) = read.into_parts();
        let sources = Some(sources.files_alone());
        let start = Self::with(settings, facts, Some(file));
        Self { sources, is_to_be_kept: is_good, is_strict: false, ..start }
    }

    fn on_last_good(file: ConfigurationFile, good: LastGood, problems: Vec<String>) -> Self {
        let LastGood { read, written } = good;
        let facts = DaemonFacts {
            config: Some(file.path.clone()),
            config_read: Some(written),
            last_reading: Some(read_now(false)),
            is_running_last_good: true,
            problems_title: format!(
                "the files are not in force, but the last good configuration of {}:",
                date(written)
            ),
            problems,
            ..DaemonFacts::default()
        };
        let (sources, settings) = read.into_parts();
        let sources = Some(sources.files_alone());
        Self { sources, is_strict: false, ..Self::with(settings, facts, Some(file)) }
    }
}

impl ConfigurationFile {
    /// Reads the file, and those that it includes
    ///
    /// # Errors
    /// The file itself cannot be read.
    pub fn read(&self) -> Result<Configuration, String> {
        self.read_beside(&ApiSites::default(), None)
    }

    /// Reads the file beside the sites that were made through the control interface, and with the addresses that are dealt
    /// out already if they are known
    pub(super) fn read_beside(
        &self,
        api: &ApiSites,
        deals: Option<Deals>,
    ) -> Result<Configuration, String> {
        let sources = Sources::load(&self.path).map_err(|error| error.to_string())?;
        let known = |state: Option<&Path>| known(state, deals);
        Ok(Configuration::read_with(api.beside(sources), self.max_files, known))
    }
}

/// The reading of the files that begins a daemon
fn read_now(is_in_force: bool) -> Reading {
    Reading { at: SystemTime::now(), is_in_force }
}

/// The last good configuration
#[derive(Debug)]
struct LastGood {
    read: Configuration,
    /// The time at which it came into force
    written: SystemTime,
}

/// The last good configuration as a file
#[derive(Serialize, Deserialize)]
struct LastGoodFile {
    /// The seconds since 1970 at which it came into force
    written: u64,
    sources: Sources,
}

/// Writes the texts of a configuration as the last good one
pub(super) fn write_last_good(state: &StateDir, sources: Sources) -> Result<(), StateError> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let file = LastGoodFile { written: since.map_or(0, |since| since.as_secs()), sources };
    // a map of texts always has a form
    state.write(LAST_GOOD, &serde_json::to_string(&file).unwrap_or_default())
}

impl LastGood {
    /// Reads it; `None` if there is none that can be used, and the log says why
    fn read(state: PathBuf, max_files: Option<u64>, api: &ApiSites) -> Option<Self> {
        let path = state.join(LAST_GOOD);
        let refuse = |reason: &dyn fmt::Display| {
            tracing::error!("{} is of no use: {reason}", path.display());
        };
        let text = match StateDir::new(state).read(LAST_GOOD) {
            Ok(text) => text?,
            Err(error) => {
                refuse(&error);
                return None;
            }
        };
        let file = serde_json::from_str::<LastGoodFile>(&text);
        let LastGoodFile { written, sources } =
            file.inspect_err(|error| refuse(&error)).ok().filter(|it| !it.sources.is_empty())?;
        let written = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(written));
        let known = |state: Option<&Path>| known(state, None);
        let read = Configuration::read_with(api.beside(sources), max_files, known);
        if !read.is_usable() {
            refuse(&read.lines().first().cloned().unwrap_or_default());
            return None;
        }
        Some(Self { read, written: written.unwrap_or(SystemTime::UNIX_EPOCH) })
    }

    /// Returns the problem if files would remove more of its sites than the guard against mass changes allows
    ///
    /// Files that a power cut has emptied are TOML, and have no site.
    fn refuses(&self, files: &Configuration) -> Option<String> {
        let (good, wanted) = (&self.read.settings().sites, &files.settings().sites);
        let removes = good.keys().filter(|name| !wanted.contains_key(*name)).count();
        guard(removes, good.len(), None).err().map(|_| {
            format!(
                "the files would remove {removes} of {} sites; if that is right: \
                 pptp-connector reload --removes {removes}",
                good.len()
            )
        })
    }
}

/// Says why there is no last good configuration either
fn no_last_good(state: Option<&Path>) -> String {
    match state {
        Some(state) => format!("no last good configuration was kept in {}\n", state.display()),
        None => "there is no last good configuration: no `state` is named\n".to_owned(),
    }
}

/// The state folder that systemd gives, for a file that is too broken to name one
fn systemd_state() -> Option<PathBuf> {
    let folders = env::var("STATE_DIRECTORY").ok()?;
    let first = folders.split(':').next().filter(|folder| Path::new(folder).is_absolute());
    first.map(PathBuf::from)
}

impl fmt::Display for NoConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The file of the last good configuration, in the state folder
const LAST_GOOD: &str = "last-good.json";
