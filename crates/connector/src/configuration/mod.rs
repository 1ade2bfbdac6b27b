//! The configuration: settings from files, with all problems at once
//!
//! | file | content |
//! |---|---|
//! | `source` | the texts: the file that the user names, and those that it includes |
//! | `problem` | problems with their places, and how a terminal shows them |
//! | `mask` | lines without the passwords in them |
//! | `reader` | values and tables in general, and the macro that defines a table |
//! | `values` | the kinds of values: times, places to listen, choices |
//! | `access_values` | those that say who may do what |
//! | `label` | labels of sites that are labels of Prometheus, too |
//! | `keys` | all tables with their keys |
//! | `layers` | `[defaults]`, templates and sites, over all files |
//! | `builder` | the maker of sites and listeners |
//! | `site`, `forward`, `proxy` | the settings that they make |
//! | `site_secret` | the secret of a site |
//! | `secret` | places of passwords |
//! | `metrics` | the settings of the metrics |
//! | `api` | the control interface's further listeners, and the bounds of what it may make |
//! | `bounds` | whether a site is within these bounds |
//! | `document`, `asked` | sites as requests of the control interface have them |
//! | `listeners` | rules that concern several listeners |
//! | `loopback` | addresses for the sites that have none of their own |
//! | `schema` | the JSON Schema and the reference |
//!
//! A reading has three steps. [`Sources::load`] reads the files. `layers` reads their tables, and tells of every key
//! that is wrong. [`Configuration::read`] makes settings of them, and tells of what is wrong among them. The last two
//! have no I/O.

mod access_values;
mod api;
mod asked;
mod bounds;
mod builder;
mod document;
mod forward;
mod keys;
mod label;
mod layers;
mod listeners;
mod loopback;
mod mask;
mod metrics;
mod problem;
mod proxy;
mod reader;
mod schema;
mod secret;
mod site;
mod site_secret;
mod source;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::{Path, PathBuf},
};

use pptp_fleet::SiteName;

pub(crate) use self::{asked::Asked, schema::site_schema, secret::Sealer};
use self::{
    builder::{Builder, invalid},
    keys::{ControlKeys, LimitKeys, OuterKeys, TopKeys},
    layers::EffectiveSite,
    listeners::check_path,
    loopback::Loopback,
    problem::{Place, Problems},
    reader::Found,
    site::Means,
    source::Origin,
};
pub use self::{
    document::{InvalidDocument, SiteDocument},
    loopback::KnownDeals,
    problem::{Position, Problem, Severity},
    schema::{reference, schema},
    source::{Sources, Unreadable},
};
use crate::{
    seal::{KeyPlace, Sealed},
    settings::{ControlSocket, Limits, Listen, Outer, Settings, UnixSocket},
    way_in::ListenKey,
};

/// A configuration that was read, with its problems
#[derive(Debug, Clone)]
pub struct Configuration {
    sources: Sources,
    /// The settings; a site with problems is among them, and stops with them
    settings: Settings,
    problems: Vec<Problem>,
    /// The sites that a file has and a caller of the control interface, too: the place in the file
    clashes: BTreeMap<SiteName, Place>,
    /// The sealed passwords of sites that were made through the control interface
    sealed: BTreeMap<SiteName, Sealed>,
    /// The files of passwords
    secrets: BTreeSet<PathBuf>,
}

impl Configuration {
    /// Makes settings of texts, and tells of all problems
    ///
    /// `max_files` is the number of files that the process may have open: listeners and tunnels must fit into it.
    pub fn read(sources: Sources, max_files: Option<u64>) -> Self {
        Self::read_with(sources, max_files, |_| KnownDeals::default())
    }

    /// Makes settings of texts, as [`Self::read`] does, and with the addresses that were dealt out before
    ///
    /// `known` is asked for them if the texts have a network of loopback addresses; it is given the folder of the state.
    pub fn read_with(
        sources: Sources,
        max_files: Option<u64>,
        known: impl FnOnce(Option<&Path>) -> KnownDeals,
    ) -> Self {
        Self::read_all(sources, max_files, known, None)
    }

    fn read_all(
        sources: Sources,
        max_files: Option<u64>,
        known: impl FnOnce(Option<&Path>) -> KnownDeals,
        sealer: Option<&Sealer>,
    ) -> Self {
        let mut problems = Problems::default();
        let document = layers::read(&sources, &mut problems);
        let top = &document.top;
        let state = top.state.as_ref().map(|it| sources.folder(0).join(&it.value));
        let mut loopback = Loopback::new(&document, || known(state.as_deref()), &mut problems);
        let api_bounds = api::bounds(top.api_sites.as_ref());
        let (key, bounds) = (KeyPlace::new(state.clone()), api_bounds.clone());
        let means = Means { sources: &sources, key, bounds, sealer };
        let control = control(top.control.as_ref(), &mut problems);
        let mut built = Builder::new(means, &mut problems);
        built.listeners.reserve(ListenKey::Unix(control.0.path.clone()));
        let (files, others) = split(document.sites, Origin::File);
        let (kept, asked) = split(others, Origin::Kept);
        let mut sites = built.sites(files, &mut loopback);
        let has = |name: &SiteName| kept.contains_key(name) || asked.contains_key(name);
        let proxies = built.proxies(top, |name| sites.contains_key(name) || has(name));
        let api = built.api(top);
        let metrics = built.metrics(top);
        // what is asked for now comes last: what is in its way is its own problem
        for others in [kept, asked] {
            sites.append(&mut built.sites(others, &mut loopback));
        }
        let (listeners, sealed, secrets) = (built.listeners.count, built.sealed, built.secrets);
        let settings = Settings {
            control,
            limits: limits(top.limits.as_ref()),
            outer: outer(top.outer.as_ref()),
            state,
            api,
            api_bounds,
            ports: document.ports,
            deals: loopback.into_deals(),
            sites,
            proxies,
            metrics,
        };
        if settings.sites.is_empty() && document.top.api.is_none() {
            let start = Place { file: 0, span: 0..0, site: None };
            problems.warn(&start, "there is no site", None);
        }
        check_files(&settings, listeners, max_files, &document.top, &mut problems);
        let (problems, clashes) = (problems.into_sorted(), document.clashes);
        let mut configuration = Self { sources, settings, problems, clashes, sealed, secrets };
        configuration.stop_invalid_sites();
        configuration
    }

    /// Returns the settings
    ///
    /// A site with problems is among them, as one that stops with its problems. So are those that were read in vain if
    /// the configuration as a whole [cannot be used](Self::is_usable).
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the texts
    pub const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Returns all that it is read from, now and later: its files, the folders that it includes, its files of passwords
    pub fn paths(&self) -> BTreeSet<PathBuf> {
        self.sources.paths().chain(self.secrets.iter().cloned()).collect()
    }

    /// Returns the problems, in the order of the files
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns the problems that are more than a warning
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity > Severity::Warning)
    }

    /// Returns the problems that are warnings
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Warning)
    }

    /// Returns the problems, each in one line, and how many more there are
    pub fn lines(&self) -> Vec<String> {
        let errors = self.errors().map(|problem| problem.line(&self.sources));
        let mut lines: Vec<_> = errors.take(MAX_SHOWN).collect();
        lines.extend(more(self.errors().count()));
        lines
    }

    /// Returns the errors with their lines and carets, as a terminal shows them
    pub fn rendered_errors(&self) -> String {
        self.render(self.errors(), MAX_SHOWN)
    }

    /// Returns the errors and then the warnings, as a terminal shows them
    pub fn rendered(&self) -> String {
        let room = MAX_SHOWN.saturating_sub(self.errors().count()).max(MIN_WARNINGS);
        self.rendered_errors() + &self.render(self.warnings(), room)
    }

    fn render<'p>(&self, problems: impl Iterator<Item = &'p Problem>, most: usize) -> String {
        let (mut text, mut count) = (String::new(), 0_usize);
        for problem in problems {
            if count < most {
                text.push_str(&problem.render(&self.sources));
                text.push_str("\n\n");
            }
            count = count.saturating_add(1);
        }
        let more = count.saturating_sub(most);
        if more > 0 {
            // a text takes everything
            let _ = write!(text, "and {more} more\n\n");
        }
        text
    }

    /// Returns true if there are no problems but warnings
    pub fn is_good(&self) -> bool {
        self.errors().next().is_none()
    }

    /// Returns true if its problems concern single sites only: the others can be used
    pub fn is_usable(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity < Severity::Fatal)
    }

    /// Lets each site with a problem stop with it: it must not be dialled with a part of its keys
    fn stop_invalid_sites(&mut self) {
        let names = self.problems.iter().filter(|it| it.severity == Severity::Site);
        for name in names.filter_map(Problem::site) {
            if let Some(site) = self.settings.sites.get_mut(name) {
                *site = invalid(site.dial.server(), site.dial.user(), site.owner);
            }
        }
    }

    /// Returns the texts and the settings
    pub fn into_parts(self) -> (Sources, Settings) {
        (self.sources, self.settings)
    }
}

/// Splits sites into those that somebody has written, and the others
fn split(sites: AllSites, origin: Origin) -> (AllSites, AllSites) {
    if sites.values().all(|site| site.origin == origin) {
        return (sites, AllSites::new());
    }
    sites.into_iter().partition(|(_, site)| site.origin == origin)
}

/// Sites with all the keys that they have
type AllSites = BTreeMap<SiteName, Box<EffectiveSite>>;

fn control(keys: Option<&Found<ControlKeys>>, problems: &mut Problems) -> ControlSocket {
    let mut control = ControlSocket::default();
    let Some(ControlKeys { socket, mode, group, .. }) = keys.map(|it| &it.value) else {
        return control;
    };
    let UnixSocket { path, mode: in_force, group: of } = &mut control.0;
    if let Some(socket) = socket {
        *path = socket.value.clone().into();
        check_path(&Listen::Unix(UnixSocket::private(path.clone())), &socket.place, problems);
    }
    if let Some(mode) = mode {
        *in_force = mode.value.0;
    }
    *of = group.as_ref().map(|group| group.value.clone());
    control
}

fn limits(keys: Option<&Found<LimitKeys>>) -> Limits {
    let mut limits = Limits::default();
    let Some(LimitKeys { dial_rate, connections, shutdown, .. }) = keys.map(|it| &it.value) else {
        return limits;
    };
    if let Some(rate) = dial_rate {
        limits.dial_rate = rate.value.0;
    }
    limits.connections = count(connections.as_ref().map(|it| it.value.0), limits.connections);
    if let Some(shutdown) = shutdown {
        limits.shutdown = shutdown.value.0;
    }
    limits
}

fn outer(keys: Option<&Found<OuterKeys>>) -> Outer {
    let Some(keys) = keys.map(|it| &it.value) else { return Outer::default() };
    let OuterKeys { device, local_address, fwmark, drivers, receive_buffer, .. } = keys;
    Outer {
        device: device.as_ref().map(|it| it.value.clone()),
        local_address: local_address.as_ref().map(|it| it.value),
        fwmark: fwmark.as_ref().map(|it| it.value.0),
        drivers: drivers.as_ref().and_then(|it| u8::try_from(it.value.0).ok()),
        receive_buffer: receive_buffer.as_ref().and_then(|it| usize::try_from(it.value.0).ok()),
    }
}

/// Tells if all sites, listeners and connections need more files than the process may have
fn check_files(
    settings: &Settings,
    listeners: usize,
    max_files: Option<u64>,
    top: &TopKeys,
    problems: &mut Problems,
) {
    let Some(most) = max_files else { return };
    let parts = [settings.sites.len(), listeners, settings.limits.connections, OTHER_FILES];
    let needed = parts.into_iter().fold(0_usize, usize::saturating_add);
    if u64::try_from(needed).unwrap_or(u64::MAX) <= most {
        return;
    }
    let [sites, listeners, connections, others] = parts;
    let message = format!(
        "this needs {needed} files: {sites} sites, {listeners} listeners, {connections} connections of clients, \
         {others} others; the process may have {most}"
    );
    let help = "raise LimitNOFILE= of the unit (or ulimit -Hn), or lower `connections` of [limits]";
    let limits = top.limits.as_ref().map(|it| &it.place);
    let start = Place { file: 0, span: 0..0, site: None };
    problems.error(limits.unwrap_or(&start), message, help.to_owned());
}

/// Says how many problems are not shown
fn more(count: usize) -> Option<String> {
    let more = count.saturating_sub(MAX_SHOWN);
    (more > 0).then(|| format!("and {more} more"))
}

/// Returns a number that was read, or the default
fn count(read: Option<u32>, default: usize) -> usize {
    read.and_then(|it| usize::try_from(it).ok()).unwrap_or(default)
}

/// Returns a place for people: `sites.toml:3`
fn at(place: &Place, sources: &Sources) -> String {
    let Some(source) = sources.files.get(place.file) else { return String::new() };
    let before = source.text.get(..place.span.start).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    format!("{}:{line}", source.path.display())
}

/// The warnings that are shown beside any number of errors
const MIN_WARNINGS: usize = 3;

/// The problems that are shown at a time
pub const MAX_SHOWN: usize = 50;

/// Files of the process beside sites, listeners and clients: raw sockets, the control socket and its clients, state
const OTHER_FILES: usize = 64;

#[cfg(test)]
mod tests;
