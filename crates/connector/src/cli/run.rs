//! `run`: the daemon with its files

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use pptp::ClientBuilder;
use rustix::{
    fs::{CWD, Mode, OFlags, fchmod, openat},
    process::{Resource, getrlimit, umask},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    task::spawn_blocking,
};

use super::{
    client::{Failure, Terminal},
    connect::no_client,
    control::{BoundApi, BoundSockets, Serving},
    core_dumps, counted,
    exit::Exit,
    log::WaitingLog,
    privileges, runtime,
    signals::Signals,
};
use crate::{
    api::ReloadOptions,
    daemon::{ConfigurationFile, Daemon, Start, StartError},
    host::{Capabilities, Confinement, NotConfined, Notifier},
    settings::{ControlSocket, Settings},
    state_dir::StateDir,
    unix::{self, BoundSocket},
    way_in::Plan,
};

/// The file of a configuration, as several commands name it
#[derive(Debug, Clone, Args)]
pub struct FileArgument {
    /// The configuration
    #[arg(short, long, value_name = "PATH", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
}

/// The arguments of `run`
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    #[command(flatten)]
    file: FileArgument,
    /// Do not start with problems in the files, neither on the last good configuration nor without some sites or forwards
    #[arg(long)]
    strict: bool,
    /// Keep the capabilities and the reach of all folders, for reloads that need them
    #[arg(long)]
    no_sandbox: bool,
}

impl FileArgument {
    /// Returns the file, for a process with the limits of this one
    pub fn file(&self) -> ConfigurationFile {
        // the library raises the limit to the hard one
        let max_files = getrlimit(Resource::Nofile).maximum;
        ConfigurationFile { path: self.config.clone(), max_files }
    }
}

/// All that a daemon starts with, made by a process that may do what it was started with
struct Prepared {
    start: Start,
    listeners: Plan,
    control: BoundSockets,
    signals: Signals,
    hangups: Signal,
}

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP makes it read its files again
///
/// First it reads and binds and opens all that it needs. Then it gives up what it has beside that, and only then it
/// makes threads and dials.
pub(super) fn run(arguments: &RunArguments, log: &mut WaitingLog, terminal: &mut Terminal) -> Exit {
    // sockets and state are for this user, unless the configuration says otherwise
    umask(Mode::from_raw_mode(0o077));
    let outcome = start(arguments, log, terminal);
    terminal.finish(outcome)
}

fn start(
    arguments: &RunArguments,
    log: &mut WaitingLog,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    core_dumps::forbid()?;
    let Some(mut prepared) = runtime::prepare(unless_ended(arguments, terminal))?.transpose()?
    else {
        return Ok(Exit::Success);
    };
    tell_problems(&prepared.start);
    let notifier = Notifier::of_process().unwrap_or_else(|error| {
        tracing::warn!("the service manager is told nothing: NOTIFY_SOCKET: {error}");
        Notifier::default()
    });
    let client = privileges::open_sockets(&prepared.start.settings().outer);
    let client = client.map_err(|error| no_client(&error))?;
    let confinement = confine(&prepared.start, arguments.no_sandbox)?;
    tracing::info!("{confinement}");
    prepared.start = prepared.start.confined(confinement).notify(notifier);
    runtime::block_on(log, serve(prepared, client))?
}

/// Reads the files and binds all sockets, unless a signal comes first
async fn unless_ended(
    arguments: &RunArguments,
    terminal: &mut Terminal,
) -> Option<Result<Prepared, Failure>> {
    let signals = Signals::new().and_then(|signals| Ok((signals, take_hangups()?)));
    let (mut signals, hangups) = match signals {
        Ok(both) => both,
        Err(failure) => return Some(Err(failure)),
    };
    let prepared = unless(signals.end(), prepare(arguments, terminal)).await?;
    Some(prepared.map(|(start, listeners, control)| Prepared {
        start,
        listeners,
        control,
        signals,
        hangups,
    }))
}

fn take_hangups() -> Result<Signal, Failure> {
    let hangups = signal(SignalKind::hangup());
    hangups.map_err(|error| Failure::new(Exit::Program, format!("no signals: {error}")))
}

/// Runs a start unless the end comes first; what hangs, such as a folder on a network, is left behind
async fn unless<T>(end: impl Future<Output = ()>, start: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = end => None,
        started = start => Some(started),
    }
}

/// Reads the files, and binds the control socket and the listeners
async fn prepare(
    arguments: &RunArguments,
    terminal: &mut Terminal,
) -> Result<(Start, Plan, BoundSockets), Failure> {
    let (file, is_strict) = (arguments.file.file(), arguments.strict);
    let start = spawn_blocking(move || Start::of_file(file, is_strict)).await;
    let start = start.map_err(|error| Failure::new(Exit::Program, error.to_string()))?;
    let start = start.map_err(|problems| {
        let command = format!("pptp-connector check -c {}", arguments.file.config.display());
        terminal.complain(problems.to_string().trim_end());
        Failure::new(Exit::Usage, format!("not started; see also: {command}"))
    })?;
    // before the first dial: of two daemons with one socket the second does nothing
    let control = bind_all(start.settings())?;
    let listeners = Plan::of_start(start.settings(), start.is_strict());
    let listeners = listeners.map_err(|failures| not_started(&StartError::Bind(failures)))?;
    if let Some(state) = &start.settings().state {
        // the folder itself cannot be made later; what is wrong with it is told when it is used
        let _ = StateDir::new(state).make();
    }
    Ok((start, listeners, control))
}

/// Gives up all that the process has no need of any more
fn confine(start: &Start, is_unwanted: bool) -> Result<Confinement, Failure> {
    if is_unwanted {
        return Ok(Confinement::unwanted());
    }
    let keep = match start.settings().outer.fwmark {
        Some(_) => Capabilities::for_marks().map_err(NotConfined::from),
        None => Ok(Capabilities::NONE),
    };
    let confined = keep.and_then(|keep| Confinement::begin(start.folders(), keep));
    confined.map_err(|error| {
        let message = format!("{error}; to run without: pptp-connector run --no-sandbox");
        Failure::new(Exit::Program, message)
    })
}

/// Serves until a signal ends it
async fn serve(prepared: Prepared, client: ClientBuilder) -> Result<Exit, Failure> {
    let Prepared { start, listeners, control, mut signals, hangups } = prepared;
    let client = client.build().map_err(|error| no_client(&error))?;
    let control = control.open()?;
    let path = start.settings().control.0.path.clone();
    let daemon = Daemon::start_bound(client, start, Some(listeners));
    let Some(daemon) = unless(signals.end(), daemon).await else { return Ok(Exit::Success) };
    let daemon = daemon.map_err(|error| not_started(&error))?;
    let sites = counted(daemon.fleet().sites().len(), "site");
    tracing::info!("{sites}, control socket {}", path.display());
    let serving = Serving::begin(&daemon, control);
    let reloading = tokio::spawn(reload_at(hangups, Arc::clone(&daemon)));
    daemon.tell_ready().await;
    signals.end().await;
    tracing::info!("hanging up");
    reloading.abort();
    tokio::select! {
        biased;
        is_done = daemon.shut_down() => {
            if !is_done {
                tracing::warn!("some servers did not take the hang-up in time");
            }
        }
        // at once: whatever could be waited for may be what hangs
        () = signals.end() => std::process::exit(Exit::Success.code().into()),
    }
    serving.end().await;
    Ok(Exit::Success)
}

/// Binds the control socket and the further listeners of the control interface
fn bind_all(settings: &Settings) -> Result<BoundSockets, Failure> {
    let control = bind(&settings.control)?;
    let api = settings.api.iter().map(BoundApi::bind).collect::<Result<_, _>>()?;
    Ok(BoundSockets { control, api })
}

/// Reads the files again at each signal; those that come during a reload are one
async fn reload_at(mut hangups: Signal, daemon: Arc<Daemon>) {
    let wanted = Arc::new(Notify::new());
    let also_wanted = Arc::clone(&wanted);
    let reloads = async move {
        loop {
            wanted.notified().await;
            // it logs what has happened
            let _ = daemon.reload(ReloadOptions::default()).await;
        }
    };
    let signals = async move {
        while hangups.recv().await.is_some() {
            also_wanted.notify_one();
        }
    };
    tokio::join!(reloads, signals);
}

fn tell_problems(start: &Start) {
    let facts = start.facts();
    if !facts.problems.is_empty() {
        tracing::error!("{}", facts.problems_title);
    }
    for problem in &facts.problems {
        tracing::error!("{problem}");
    }
}

/// Binds the control socket; its folder is made if only that is missing
fn bind(control: &ControlSocket) -> Result<BoundSocket, Failure> {
    let path = &control.0.path;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder).map_err(|error| {
            let folder = folder.display();
            let message =
                format!("cannot make {folder}, the folder of the control socket: {error}");
            Failure::new(Exit::Program, message)
        })?;
    }
    unix::bind(&control.0).map_err(|error| Failure::new(Exit::Program, error.to_string()))
}

/// Makes a folder that all can enter, whatever the umask: each socket in it has a mode of its own
fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        // systemd has made it
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(CWD, folder, flags, Mode::empty())?;
    Ok(fchmod(made, Mode::from_raw_mode(0o755))?)
}

fn not_started(error: &StartError) -> Failure {
    Failure::new(Exit::Program, format!("not started: {error}"))
}

/// The configuration, unless the command line names another
const DEFAULT_FILE: &str = "/etc/pptp-connector/connector.toml";

#[cfg(test)]
mod tests {
    use std::{
        fs,
        future::{pending, ready},
        os::unix::fs::PermissionsExt,
    };

    use super::*;
    use crate::settings::UnixSocket;

    #[tokio::test]
    async fn a_start_that_hangs_is_ended_by_a_signal() {
        assert_eq!(unless(ready(()), pending::<u8>()).await, None);
        assert_eq!(unless(pending(), ready(1)).await, Some(1));
    }

    #[tokio::test]
    async fn the_folder_of_the_control_socket_is_open_whatever_the_umask_and_one_level_is_made() {
        let parent = std::env::temp_dir().join(format!("pptp-run-{}", std::process::id()));
        fs::create_dir_all(&parent).unwrap();
        let socket = |path: &str| {
            ControlSocket(UnixSocket { mode: 0o660, ..UnixSocket::private(parent.join(path)) })
        };
        umask(Mode::from_raw_mode(0o077));
        let bound = bind(&socket("one/control.sock"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let modes = (mode(&parent.join("one")), mode(&parent.join("one/control.sock")));
        let error = bind(&socket("none/two/control.sock")).unwrap_err();
        drop(bound);
        fs::remove_dir_all(&parent).unwrap();
        assert_eq!(modes, (0o755, 0o660));
        assert!(error.message.contains("none/two, the folder of"), "{}", error.message);
    }
}
