//! `run`: the daemon with its files

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use pptp::{Client, ClientError};
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
    control::{ApiSocket, Serving, Sockets},
    core_dumps, counted,
    exit::Exit,
    signals::Signals,
};
use crate::{
    api::ReloadOptions,
    daemon::{ConfigurationFile, Daemon, Start, StartError},
    settings::{ControlSocket, Outer, Settings},
    unix::{self, BoundSocket},
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
}

impl FileArgument {
    /// Returns the file, for a process with the limits of this one
    pub fn file(&self) -> ConfigurationFile {
        // the library raises the limit to the hard one
        let max_files = getrlimit(Resource::Nofile).maximum;
        ConfigurationFile { path: self.config.clone(), max_files }
    }
}

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP makes it read its files again
pub async fn run(arguments: &RunArguments, terminal: &mut Terminal) -> Exit {
    // sockets and state are for this user, unless the configuration says otherwise
    umask(Mode::from_raw_mode(0o077));
    let outcome = match core_dumps::forbid() {
        Ok(()) => serve(arguments, terminal).await,
        Err(failure) => Err(failure),
    };
    terminal.finish(outcome)
}

async fn serve(arguments: &RunArguments, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let hangups = signal(SignalKind::hangup());
    let hangups =
        hangups.map_err(|error| Failure::new(Exit::Program, format!("no signals: {error}")))?;
    let Some(started) = unless(signals.end(), start(arguments, terminal)).await else {
        return Ok(Exit::Success);
    };
    let (daemon, sockets) = started?;
    let sites = counted(daemon.fleet().sites().len(), "site");
    tracing::info!("{sites}, control socket {}", sockets.control.path().display());
    let serving = Serving::begin(&daemon, sockets);
    let reloading = tokio::spawn(reload_at(hangups, Arc::clone(&daemon)));
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

/// Runs a start unless the end comes first; what hangs, such as a folder on a network, is left behind
async fn unless<T>(end: impl Future<Output = ()>, start: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = end => None,
        started = start => Some(started),
    }
}

/// Reads the files, binds the control socket, and starts the daemon
async fn start(
    arguments: &RunArguments,
    terminal: &mut Terminal,
) -> Result<(Arc<Daemon>, Sockets), Failure> {
    let (file, is_strict) = (arguments.file.file(), arguments.strict);
    let start = spawn_blocking(move || Start::of_file(file, is_strict)).await;
    let start = start.map_err(|error| Failure::new(Exit::Program, error.to_string()))?;
    let start = start.map_err(|problems| {
        let command = format!("pptp-connector check -c {}", arguments.file.config.display());
        terminal.complain(problems.to_string().trim_end());
        Failure::new(Exit::Usage, format!("not started; see also: {command}"))
    })?;
    tell_problems(&start);
    // before the first dial: of two daemons with one socket the second does nothing
    let sockets = bind_all(start.settings()).await?;
    let client = client(&start.settings().outer).map_err(|error| no_client(&error))?;
    let daemon = Daemon::start_with(client, start).await.map_err(|error| not_started(&error))?;
    Ok((daemon, sockets))
}

/// Binds the control socket and the further listeners of the control interface
async fn bind_all(settings: &Settings) -> Result<Sockets, Failure> {
    let mut sockets = Sockets { control: bind(&settings.control)?, api: Vec::new() };
    for listener in &settings.api {
        sockets.api.push(ApiSocket::bind(listener).await?);
    }
    Ok(sockets)
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

fn client(outer: &Outer) -> Result<Client, ClientError> {
    let mut builder = Client::builder();
    if let Some(device) = &outer.device {
        builder = builder.device(device);
    }
    if let Some(address) = outer.local_address {
        builder = builder.local_address(address);
    }
    if let Some(mark) = outer.fwmark {
        builder = builder.fwmark(mark);
    }
    if let Some(drivers) = outer.drivers {
        builder = builder.drivers(drivers);
    }
    if let Some(octets) = outer.receive_buffer {
        builder = builder.receive_buffer(octets);
    }
    builder.build()
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
