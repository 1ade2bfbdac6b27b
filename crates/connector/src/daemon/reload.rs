//! A reload: the files are read again, and what has changed is applied

use std::{path::PathBuf, time::SystemTime};

use super::{
    lifecycle::{Daemon, InForce},
    start::{ConfigurationFile, write_last_good},
};
use crate::{
    api::{ReloadError, ReloadOptions, ReloadProblem, ReloadReport, date},
    configuration::{Configuration, MAX_SHOWN, Problem, Sources},
    settings::{ApiListener, Settings},
    state_dir::StateError,
    way_in::Failed,
};

impl Daemon {
    /// Reads the files again, and applies what has changed
    ///
    /// One reload at a time; another waits. With a problem in the files nothing is changed.
    ///
    /// # Errors
    /// The files have problems, more sites would be removed than the guard allows, listeners cannot be bound, or there
    /// are no files.
    pub async fn reload(&self, options: ReloadOptions) -> Result<ReloadReport, ReloadError> {
        let file = self.file.clone().ok_or_else(no_file)?;
        let mut in_force = self.in_force.lock().await;
        if !options.dry_run {
            self.notifier.reloading().await;
        }
        let outcome = self.read_and_apply(file, options, &mut in_force).await;
        match &outcome {
            Ok(report) if !options.dry_run => {
                self.events.reloaded(report);
                tracing::info!("reloaded: {}", summary(report));
            }
            Ok(_) => {}
            Err(error) => self.tell_failure(error, options.dry_run),
        }
        if !options.dry_run {
            self.tell_ready().await;
        }
        outcome
    }

    async fn read_and_apply(
        &self,
        file: ConfigurationFile,
        options: ReloadOptions,
        in_force: &mut InForce,
    ) -> Result<ReloadReport, ReloadError> {
        // files may lie on a network, and 10,000 sites take their time
        let deals = self.settings.lock().await.deals.clone();
        let api = in_force.api.clone();
        let read = tokio::task::spawn_blocking(move || file.read_beside(&api, deals)).await;
        let read = read.map_err(|_| ReloadError::Impossible(PANICKED.to_owned()))?;
        let read = read.map_err(unreadable)?;
        let running = self.settings.lock().await.clone();
        let read = self.check_restart(read, &running).await?;
        if !read.is_good() {
            return Err(problems_of(&read));
        }
        let mut warnings: Vec<_> =
            read.warnings().map(|problem| problem.line(read.sources())).collect();
        let (sources, mut wanted) = read.into_parts();
        keep_what_needs_a_restart(&running, &mut wanted, &mut warnings);
        let planned = self.plan(&running, &wanted);
        guard(planned.removed.len(), running.sites.len(), options.removes)?;
        if options.dry_run {
            // what cannot be bound would be refused
            self.ways.prepare(&wanted).await.map_err(|failures| not_bound(&failures))?;
            return Ok(ReloadReport { warnings, ..planned });
        }
        let report = self.apply(wanted).await.map_err(|failures| not_bound(&failures))?;
        self.wake_secret_watch();
        let sources = sources.files_alone();
        in_force.sources = Some(sources.clone());
        self.note_good(sources, report.failures.clone()).await;
        warnings.extend(report.warnings);
        Ok(ReloadReport { warnings, ..report })
    }

    /// Refuses what only a restart can give
    ///
    /// # Errors
    /// The reasons. The network of the raw sockets is another one, or the process has given up what it would need.
    async fn check_restart(
        &self,
        read: Configuration,
        running: &Settings,
    ) -> Result<Configuration, ReloadError> {
        let (confinement, running) = (self.confinement.clone(), running.clone());
        let check = move || {
            let paths = read.paths();
            let paths = paths.iter().map(PathBuf::as_path);
            let refused = confinement.map(|it| it.refusals(paths, &running, read.settings()));
            let mut reasons = refused.unwrap_or_default();
            if read.is_good() && running.outer != read.settings().outer {
                reasons.push("[outer] has changed".to_owned());
            }
            if reasons.is_empty() { Ok(read) } else { Err(ReloadError::NeedsRestart(reasons)) }
        };
        // it looks at the folder of each password
        let checked = tokio::task::spawn_blocking(check).await;
        checked.map_err(|_| ReloadError::Impossible(PANICKED.to_owned()))?
    }

    /// Notes that these texts are in force, but for what could not be applied
    async fn note_good(&self, sources: Sources, failures: Vec<String>) {
        self.note_reading(failures.is_empty());
        {
            let mut facts = self.lock_facts();
            facts.config_read = Some(SystemTime::now());
            facts.is_running_last_good = false;
            "what is configured and not in force:".clone_into(&mut facts.problems_title);
            facts.problems = failures;
        }
        self.keep_as_last_good(sources).await;
    }

    /// Writes the texts as the last good ones, if there is a folder for the state
    pub(super) async fn keep_as_last_good(&self, sources: Sources) {
        let Some(state) = self.state.clone() else { return };
        // a disk takes its time to sync; a panic in there has its own message
        let write = move || write_last_good(&state, sources);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
            self.tell_not_kept(&error);
        }
    }

    /// Tells what the next start will not know
    pub(super) fn tell_not_kept(&self, error: &StateError) {
        tracing::error!("{error}");
        let mut facts = self.lock_facts();
        if facts.problems.is_empty() {
            "what is not kept for the next start:".clone_into(&mut facts.problems_title);
        }
        facts.problems.push(error.to_string());
    }

    fn tell_failure(&self, error: &ReloadError, is_dry_run: bool) {
        let lines = match error {
            ReloadError::Problems { problems, .. } => problems.iter().map(one_line).collect(),
            ReloadError::TooManyRemoved { removes, of } => {
                vec![format!("the reload would remove {removes} of {of} sites")]
            }
            ReloadError::NeedsRestart(reasons) => {
                let shown = reasons.iter().take(MAX_SHOWN);
                shown.map(|reason| format!("{reason}: that needs a restart")).collect()
            }
            ReloadError::Impossible(reason) => vec![reason.clone()],
        };
        if is_dry_run {
            return;
        }
        self.note_reading(false);
        for line in &lines {
            tracing::error!("not reloaded: {line}");
        }
        self.events.reload_failed(lines.first().cloned().unwrap_or_default());
        let mut facts = self.lock_facts();
        let in_force = if facts.is_running_last_good {
            "the last good configuration"
        } else {
            "the one before"
        };
        let now = date(SystemTime::now());
        facts.problems_title = format!("the reload at {now} was refused; {in_force} is in force:");
        facts.problems = lines;
    }
}

/// Keeps the running values of what only a restart can change, and says so
pub(super) fn keep_what_needs_a_restart(
    running: &Settings,
    wanted: &mut Settings,
    warnings: &mut Vec<String>,
) {
    let mut keep = |is_changed: bool, what: &str| {
        if is_changed {
            warnings.push(format!("{what} has changed: that needs a restart, and is not in force"));
        }
    };
    keep(running.control != wanted.control, "[control]");
    keep(running.state != wanted.state, "`state`");
    let places = |settings: &Settings| -> Vec<_> {
        let places: std::collections::BTreeSet<_> =
            settings.api.iter().map(ApiListener::listen).collect();
        places.into_iter().collect()
    };
    let has_other_places = places(running) != places(wanted);
    keep(has_other_places, "the list of places of [[api]]");
    keep(running.limits.dial_rate != wanted.limits.dial_rate, "`dial_rate`");
    wanted.control = running.control.clone();
    wanted.state.clone_from(&running.state);
    if has_other_places {
        // who may use a place that stays is changed all the same: a token that is gone is gone
        wanted.api = running.api.iter().map(|old| with_rights_of(old, &wanted.api)).collect();
    }
    wanted.limits.dial_rate = running.limits.dial_rate;
}

/// Returns a listener that runs, with the rights that are wanted at its place; none if it is wanted no more
fn with_rights_of(old: &ApiListener, wanted: &[ApiListener]) -> ApiListener {
    let found = wanted.iter().find_map(|it| match (old, it) {
        (ApiListener::Unix { socket, .. }, ApiListener::Unix { socket: other, rights })
            if socket.path == other.path =>
        {
            // its mode and its group are those of the socket that is bound
            Some(ApiListener::Unix { socket: socket.clone(), rights: rights.clone() })
        }
        (ApiListener::Tcp { .. }, ApiListener::Tcp { .. }) if old.listen() == it.listen() => {
            Some(it.clone())
        }
        _ => None,
    });
    found.unwrap_or_else(|| old.without_rights())
}

/// Refuses a change that removes many sites, unless the caller has named their number
///
/// A folder that is not mounted, or a file that is half written, looks like a wish to remove all.
pub(super) fn guard(removes: usize, of: usize, named: Option<usize>) -> Result<(), ReloadError> {
    let most = of.div_ceil(5).max(10);
    if removes <= most || named == Some(removes) {
        return Ok(());
    }
    Err(ReloadError::TooManyRemoved { removes, of })
}

pub(super) fn not_bound(failures: &[Failed]) -> ReloadError {
    let lines: Vec<_> = failures.iter().map(ToString::to_string).collect();
    ReloadError::Impossible(lines.join("; "))
}

fn no_file() -> ReloadError {
    let reason = "this daemon has no configuration file: it was started by its command line";
    ReloadError::Impossible(reason.to_owned())
}

/// The error of files with problems, of which so many are told
fn problems_of(read: &Configuration) -> ReloadError {
    let all: Vec<_> = read.errors().collect();
    let told = all.iter().take(MAX_SHOWN).map(|it| told(it, read.sources())).collect();
    ReloadError::Problems { problems: told, count: all.len() }
}

pub(super) fn told(problem: &Problem, sources: &Sources) -> ReloadProblem {
    let position = problem.position(sources);
    ReloadProblem {
        file: problem.file(sources).map(|path| path.display().to_string()),
        line: position.map(|it| it.line),
        column: position.map(|it| it.column),
        pointer: None,
        message: problem.message.clone(),
        help: problem.help.clone(),
        rendered: problem.render(sources),
    }
}

/// The error of a file that cannot be read at all
fn unreadable(error: String) -> ReloadError {
    let rendered = format!("error: {error}");
    let problem = ReloadProblem { message: error, rendered, ..ReloadProblem::default() };
    ReloadError::Problems { problems: vec![problem], count: 1 }
}

fn one_line(problem: &ReloadProblem) -> String {
    let place = match (&problem.file, problem.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        (Some(file), None) => format!("{file}: "),
        _ => String::new(),
    };
    format!("{place}{}", problem.message)
}

fn summary(report: &ReloadReport) -> String {
    let ReloadReport { added, changed, redialled, removed, listeners, .. } = report;
    format!(
        "{} added, {} changed, {} dialled anew, {} removed, {} changes of listeners",
        added.len(),
        changed.len(),
        redialled.len(),
        removed.len(),
        listeners.len()
    )
}

/// The reason if the reader itself fails
pub(super) const PANICKED: &str = "a fault of this program: see the log";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_removes_many_sites_needs_their_number() {
        for (removes, of, named, is_allowed) in [
            (10, 10, None, true),
            (11, 50, None, false),
            (11, 50, Some(11), true),
            (11, 50, Some(10), false),
            (600, 3000, None, true),
            (601, 3000, None, false),
            (3000, 3000, Some(3000), true),
        ] {
            let outcome = guard(removes, of, named);
            assert_eq!(outcome.is_ok(), is_allowed, "{removes} of {of}, {named:?}");
        }
    }
}
