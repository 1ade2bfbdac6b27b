//! Changes of the sites that are made through the control interface

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use pptp_fleet::SiteName;
use tokio::task::spawn_blocking;

use super::{
    addresses::known,
    api_sites::text_of,
    lifecycle::{Daemon, InForce},
    reload::{PANICKED, guard, keep_what_needs_a_restart, not_bound, told},
    site_store::StoreChange,
};
use crate::{
    api::{
        ReloadError, ReloadProblem, ReloadReport, SiteChange, SitesChanged, SitesRefused,
        SitesWanted,
    },
    configuration::{Asked, MAX_SHOWN, Sealer, SiteDocument, Sources},
    settings::Settings,
    way_in::{ChosenPort, Failed},
};

/// A change that was read and found right
struct Read {
    settings: Settings,
    /// The table of each site that was asked for
    tables: BTreeMap<SiteName, String>,
    /// The sites that are removed
    removed: BTreeSet<SiteName>,
    warnings: Vec<String>,
}

impl Daemon {
    /// Changes the sites that are made through the control interface
    ///
    /// It waits for a reload that is under way, and for the changes before it. What is answered as done is on the disk.
    ///
    /// # Errors
    /// See [`SitesRefused`]; then nothing has changed.
    pub async fn change_sites_of_api(
        &self,
        change: SiteChange,
    ) -> Result<SitesChanged, SitesRefused> {
        let mut in_force = self.in_force.lock().await;
        if let Some(reason) = in_force.api.problem() {
            return Err(SitesRefused::Impossible(format!("the state could not be read: {reason}")));
        }
        check_version(&change, &in_force.api.version())?;
        let read = self.read_change(&change, &in_force).await?;
        let mut changed = self.make_change(&change, read, &mut in_force).await?;
        changed.version = in_force.api.version();
        changed
            .version
            .clone_into(&mut self.version.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(changed)
    }

    /// Reads a change beside the files that are in force, which are not read again
    async fn read_change(
        &self,
        change: &SiteChange,
        in_force: &InForce,
    ) -> Result<Read, SitesRefused> {
        let sources = in_force.sources.clone().ok_or_else(no_files)?;
        if in_force.api.store().is_none() {
            return Err(SitesRefused::Impossible(NO_STATE.to_owned()));
        }
        let (documents, removed) = self.wanted(change, in_force).await?;
        let is_gone = |name: &SiteName| removed.contains(name) || documents.contains_key(name);
        let beside = in_force.api.beside_without(sources, is_gone);
        let (state, deals) = {
            let settings = self.settings.lock().await;
            (settings.state.clone(), settings.deals.clone())
        };
        let (folder, sealed) = (in_force.api.folder(), in_force.api.sealed());
        let max_files = self.file.as_ref().and_then(|file| file.max_files);
        // 10,000 sites take their time, and the key is a file
        let asked = spawn_blocking(move || {
            let sealer = Sealer::new(state.clone(), sealed);
            let known = known(state.as_deref(), deals);
            Asked::read(beside, (&folder, max_files), documents, (&sealer, known))
        });
        let asked = asked.await.map_err(|_| SitesRefused::Impossible(PANICKED.to_owned()))?;
        refuse(&asked)?;
        let tables = asked.texts();
        for name in tables.keys() {
            let labels = asked.settings().sites.get(name).map(|site| &site.labels);
            if !labels.is_some_and(|labels| change.sites.has(name, labels)) {
                return Err(SitesRefused::NotAllowed(name.clone()));
            }
        }
        Ok(Read { settings: asked.settings().clone(), tables, removed, warnings: asked.warnings() })
    }

    /// Returns the sites that are asked for, and those that are removed
    async fn wanted(
        &self,
        change: &SiteChange,
        in_force: &InForce,
    ) -> Result<(BTreeMap<SiteName, SiteDocument>, BTreeSet<SiteName>), SitesRefused> {
        let settings = self.settings.lock().await;
        let may_change = |name: &SiteName| {
            settings.sites.get(name).is_none_or(|site| change.sites.has(name, &site.labels))
        };
        match &change.wanted {
            SitesWanted::One(name, document) if may_change(name) => {
                Ok(([(name.clone(), document.clone())].into(), BTreeSet::new()))
            }
            SitesWanted::One(name, _) => Err(SitesRefused::NotAllowed(name.clone())),
            SitesWanted::Without(name) => {
                if !settings.sites.contains_key(name) || !may_change(name) {
                    return Err(SitesRefused::NoSuchSite(name.clone()));
                }
                check_owner(name, in_force)?;
                Ok((BTreeMap::new(), [name.clone()].into()))
            }
            SitesWanted::All(wanted) => {
                if let Some(name) = wanted.keys().find(|name| !may_change(name)) {
                    return Err(SitesRefused::NotAllowed(name.clone()));
                }
                let ours: Vec<_> = in_force.api.names().filter(|name| may_change(name)).collect();
                let gone = ours.iter().copied().filter(|name| !wanted.contains_key(*name));
                let gone: BTreeSet<_> = gone.cloned().collect();
                guard(gone.len(), ours.len(), change.removes).map_err(|error| too_many(&error))?;
                Ok((wanted.clone(), gone))
            }
        }
    }

    /// Binds, writes, and then changes what runs; a change that changes nothing is not written
    async fn make_change(
        &self,
        change: &SiteChange,
        read: Read,
        in_force: &mut InForce,
    ) -> Result<SitesChanged, SitesRefused> {
        let Read { mut settings, mut tables, removed, mut warnings } = read;
        tables.retain(|name, table| !in_force.api.has_table(name, table));
        let mut running = self.settings.lock().await;
        let mut restart = Vec::new();
        keep_what_needs_a_restart(&running, &mut settings, &mut restart);
        if tables.is_empty() && removed.is_empty() {
            let report = ReloadReport { warnings, ..Default::default() };
            return Ok(SitesChanged { report, ..SitesChanged::default() });
        }
        let (plan, failed) = self.ways.prepare_most(&settings).await;
        refuse_unbound(failed, &tables)?;
        if change.dry_run {
            let planned = self.plan(&running, &settings);
            let report = ReloadReport { warnings, ..planned };
            return Ok(SitesChanged { report, ..SitesChanged::default() });
        }
        let ports = self.ways.chosen_ports(&plan).await;
        let kept = self.keep(change, &tables, &removed, &ports, in_force).await?;
        let changed: Vec<_> = kept.keys().cloned().collect();
        in_force.api.change(kept);
        settings.ports.extend(ports.into_iter().map(|it| (it.line, it.port)));
        let mut report = self.commit(&mut running, (plan, None), settings).await;
        drop(running);
        self.wake_secret_watch();
        for name in changed {
            self.events.site_changed(name.clone(), removed.contains(&name), &change.by);
        }
        warnings.append(&mut report.warnings);
        report.warnings = warnings;
        Ok(SitesChanged { report, ..SitesChanged::default() })
    }

    /// Writes a change to the disk
    async fn keep(
        &self,
        change: &SiteChange,
        tables: &BTreeMap<SiteName, String>,
        removed: &BTreeSet<SiteName>,
        ports: &[ChosenPort],
        in_force: &InForce,
    ) -> Result<StoreChange, SitesRefused> {
        let store = in_force.api.store();
        let store = store.ok_or_else(|| SitesRefused::Impossible(NO_STATE.to_owned()))?;
        let text = |(name, table): (&SiteName, &String)| {
            let ports = ports.iter().filter(|it| it.site == *name);
            let ports = ports.map(|it| (it.line.clone(), it.port)).collect();
            (name.clone(), Some(text_of(table, &change.by, &ports)))
        };
        let mut kept: StoreChange = tables.iter().map(text).collect();
        kept.extend(removed.iter().map(|name| (name.clone(), None)));
        // a disk takes its time to sync
        let write = move || store.change(&kept).map(|()| kept);
        let written = spawn_blocking(write).await;
        let written = written.map_err(|_| SitesRefused::Impossible(PANICKED.to_owned()))?;
        written.map_err(|error| {
            tracing::error!("{error}");
            let (is_disk_full, reason) = (error.is_disk_full(), error.to_string());
            SitesRefused::NotKept { is_disk_full, reason }
        })
    }
}

fn check_version(change: &SiteChange, version: &str) -> Result<(), SitesRefused> {
    match &change.if_match {
        Some(known) if known == version => Ok(()),
        Some(_) => Err(SitesRefused::Version { version: version.to_owned() }),
        None if matches!(change.wanted, SitesWanted::All(_)) => Err(SitesRefused::NoVersion),
        None => Ok(()),
    }
}

/// Refuses the removal of a site that a file has
fn check_owner(name: &SiteName, in_force: &InForce) -> Result<(), SitesRefused> {
    if in_force.api.has(name) {
        return Ok(());
    }
    let at = in_force.sources.as_ref().and_then(|files| files.place_of_site(name));
    let at = at.unwrap_or_else(|| "the command line".to_owned());
    Err(SitesRefused::OfFile { site: name.clone(), at })
}

/// Refuses a request that a file stands against, or that has problems
fn refuse(asked: &Asked) -> Result<(), SitesRefused> {
    if let Some(clash) = asked.clash() {
        return Err(SitesRefused::OfFile { site: clash.site, at: clash.at });
    }
    let all = asked.problems();
    if all.is_empty() {
        return Ok(());
    }
    let (count, sources): (_, &Sources) = (all.len(), asked.sources());
    let problems = all.into_iter().take(MAX_SHOWN).map(|(problem, pointer)| match pointer {
        // the lines are those of a text that the caller has not written
        Some(pointer) => ReloadProblem {
            pointer: Some(pointer.to_owned()),
            message: problem.message.clone(),
            help: problem.help.clone(),
            ..ReloadProblem::default()
        },
        None => told(problem, sources),
    });
    Err(SitesRefused::Problems { problems: problems.collect(), count })
}

/// Refuses a change whose own listeners cannot be bound; those of others are as they were
fn refuse_unbound(
    failed: Vec<Failed>,
    tables: &BTreeMap<SiteName, String>,
) -> Result<(), SitesRefused> {
    let is_ours = |it: &Failed| it.site.as_ref().is_some_and(|it| tables.contains_key(it));
    let ours: Vec<_> = failed.into_iter().filter(is_ours).collect();
    if ours.is_empty() {
        return Ok(());
    }
    match not_bound(&ours) {
        ReloadError::Impossible(reason) => Err(SitesRefused::NotBound(reason)),
        _ => Ok(()),
    }
}

fn too_many(error: &ReloadError) -> SitesRefused {
    match *error {
        ReloadError::TooManyRemoved { removes, of } => SitesRefused::TooManyRemoved { removes, of },
        _ => SitesRefused::Impossible(String::new()),
    }
}

fn no_files() -> SitesRefused {
    let reason = "this daemon has no configuration file: it was started by its command line";
    SitesRefused::Impossible(reason.to_owned())
}

/// The reason without a folder
const NO_STATE: &str = "the configuration names no `state` folder, in which the sites would be kept: write state = \"…\"";
