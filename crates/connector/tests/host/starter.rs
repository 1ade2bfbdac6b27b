//! The daemon, started as its unit does it, with a service manager's socket

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    folder::{DAEMON, Folder, own},
    stage::Process,
};

/// A daemon that runs, and its manager
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) process: Process,
    manager: UnixDatagram,
    log: PathBuf,
}

/// The end of a command
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) printed: String,
}

impl Daemon {
    /// Starts it as the unit does: its user, its ambient capability, the variables of its manager
    pub(crate) fn start(folder: &Folder) -> Self {
        Self::start_with(folder, "net_raw", &[])
    }

    /// Starts it with other capabilities and arguments
    pub(crate) fn start_with(folder: &Folder, capabilities: &str, arguments: &[&str]) -> Self {
        Self::spawn(folder, as_user(capabilities), arguments)
    }

    /// Starts it with the folder of its credentials
    pub(crate) fn start_with_credentials(folder: &Folder, credentials: &Path) -> Self {
        let mut command = as_user("net_raw");
        command.env("CREDENTIALS_DIRECTORY", credentials);
        Self::spawn(folder, command, &[])
    }

    fn spawn(folder: &Folder, mut command: Command, arguments: &[&str]) -> Self {
        let socket = folder.path("notify");
        let _ = fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        own(&socket, DAEMON, 0o660);
        manager.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
        command.arg(folder.program()).arg("run").arg("--config");
        command.arg(folder.path("etc/connector.toml")).args(arguments);
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1500000");
        let log = folder.path("log");
        let file = fs::File::options().create(true).append(true).open(&log).expect("a file");
        let child = command.stdin(Stdio::null()).stderr(file).spawn().expect("setpriv");
        Self { process: Process(child), manager, log }
    }

    /// Waits for messages until one has this in it; returns all, that one last
    pub(crate) fn messages_until(&self, wanted: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut messages: Vec<String> = Vec::new();
        while Instant::now() < end {
            let Some(message) = self.message() else { continue };
            let is_last = message.contains(wanted);
            messages.push(message);
            if is_last {
                return messages;
            }
        }
        panic!("no {wanted} in {messages:?}; the log:\n{}", self.log());
    }

    /// Waits until the site is up, as the manager is told
    pub(crate) fn is_up(&self) {
        self.messages_until("STATUS=1 of 1 site up");
    }

    fn message(&self) -> Option<String> {
        let mut octets = [0; 4096];
        let length = self.manager.recv(&mut octets).ok()?;
        Some(String::from_utf8_lossy(&octets[..length]).into_owned())
    }

    /// Waits for its end; returns how, and after what time
    pub(crate) fn end(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.process.0.try_wait().expect("a child") {
                return (status, began.elapsed());
            }
            sleep(Duration::from_millis(10));
        }
        panic!("it does not end; the log:\n{}", self.log());
    }

    /// Ends it as the manager does, and asserts that it hangs up within its time
    pub(crate) fn stop(mut self) {
        self.process.signal(Signal::TERM);
        let (status, took) = self.end();
        assert!(status.success(), "{status}; the log:\n{}", self.log());
        assert!(took < Duration::from_secs(12), "{took:?}");
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The lines of each thread's status that begin with one of these words
    pub(crate) fn threads(&self, words: &[&str]) -> Vec<Vec<String>> {
        status_of_threads(&self.process, words)
    }
}

/// Runs a command of the program to its end, as root
pub(crate) fn ask(folder: &Folder, arguments: &[&str]) -> Ended {
    let mut command = Command::new(folder.program());
    let output = command.arg("--socket").arg(folder.socket()).args(arguments).output();
    let output = output.expect("the program");
    let printed = [output.stdout, output.stderr].concat();
    Ended { status: output.status, printed: String::from_utf8_lossy(&printed).into_owned() }
}

/// Begins a command of the daemon's user with these capabilities, and no others
pub(crate) fn as_user(capabilities: &str) -> Command {
    let list = capabilities.replace(',', ",+");
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={DAEMON}"), format!("--regid={DAEMON}")]);
    command.args(["--clear-groups", "--no-new-privs"]);
    for set in ["inh-caps", "ambient-caps", "bounding-set"] {
        command.arg(format!("--{set}=-all,+{list}"));
    }
    command
}

/// The lines of each thread's status that begin with one of these words
pub(crate) fn status_of_threads(process: &Process, words: &[&str]) -> Vec<Vec<String>> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.0.id())).expect("it lives");
    let texts = tasks.map(|task| task.expect("a task").path().join("status"));
    // a thread may end meanwhile
    let texts = texts.filter_map(|path| fs::read_to_string(path).ok());
    let wanted = |line: &&str| words.iter().any(|word| line.starts_with(word));
    texts.map(|text| text.lines().filter(wanted).map(str::to_owned).collect()).collect()
}

/// Longer than anything takes on a busy machine
const PATIENCE: Duration = Duration::from_secs(30);
