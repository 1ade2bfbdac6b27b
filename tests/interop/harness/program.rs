//! Programs that a trial runs, as a user would: the examples, and the foreign tools they are used with.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// An example of the workspace, or its program, built for release as its users build it
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Example {
    /// Dials buildings at once and shows what each answers
    TwoBuildings,
    /// Keeps sites connected and forwards ports to them
    Connector,
    /// Tells why a connection fails
    Doctor,
    /// The program `pptp-connector`
    PptpConnector,
}

/// A running program, with everything it prints; killed with its whole process group when dropped
#[derive(Debug)]
pub struct Program {
    child: Child,
    printed: Arc<Mutex<String>>,
    readers: [JoinHandle<()>; 2],
}

/// A program that came to its end
#[derive(Debug)]
pub struct Finished {
    /// How it ended
    pub status: ExitStatus,
    /// What it wrote to its standard output and error, line by line as the lines came
    pub printed: String,
}

impl Example {
    const ALL: [Self; 4] = [Self::TwoBuildings, Self::Connector, Self::Doctor, Self::PptpConnector];

    /// The built program
    pub fn path(self) -> io::Result<PathBuf> {
        let path = env::var_os(self.variable()).map(PathBuf::from);
        path.ok_or_else(|| io::Error::other(format!("{} was not built", self.name())))
    }

    /// Its command line to begin with
    pub fn command(self) -> io::Result<Command> {
        self.path().map(Command::new)
    }

    /// Build all of them, and name each one's path in the environment of the inner process.
    pub(crate) fn build_all() -> io::Result<Vec<(&'static str, OsString)>> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args([
            "build",
            "--release",
            "--locked",
            "--message-format=json-render-diagnostics",
        ]);
        command.args(["--package", "pptp-examples", "--package", "pptp-connector"]);
        for example in Self::ALL {
            let kind = if example == Self::PptpConnector { "--bin" } else { "--example" };
            command.args([kind, example.name()]);
        }
        command.current_dir(workspace());
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(io::Error::other("the examples do not build"));
        }
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        Self::ALL
            .into_iter()
            .map(|example| Ok((example.variable(), example.built(&messages)?)))
            .collect()
    }

    /// The path of this example among cargo's `messages`
    fn built(self, messages: &str) -> io::Result<OsString> {
        let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut ours = messages.filter(|message: &serde_json::Value| {
            message["target"]["name"] == self.name() && message["executable"].is_string()
        });
        let executable =
            ours.next().and_then(|message| message["executable"].as_str().map(OsString::from));
        executable.ok_or_else(|| io::Error::other(format!("cargo built no {}", self.name())))
    }

    fn name(self) -> &'static str {
        match self {
            Self::TwoBuildings => "two_buildings",
            Self::Connector => "connector",
            Self::Doctor => "doctor",
            Self::PptpConnector => "pptp-connector",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::TwoBuildings => "PPTP_INTEROP_TWO_BUILDINGS",
            Self::Connector => "PPTP_INTEROP_CONNECTOR",
            Self::Doctor => "PPTP_INTEROP_DOCTOR",
            Self::PptpConnector => "PPTP_INTEROP_PPTP_CONNECTOR",
        }
    }
}

impl Program {
    /// Start `command` without standard input.
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null());
        Self::start_with_input(command)
    }

    /// Start `command` with the standard input that it was given.
    pub fn start_with_input(mut command: Command) -> io::Result<Self> {
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(command).spawn()?;
        let printed = Arc::new(Mutex::new(String::new()));
        let readers = [
            tokio::spawn(collect(child.stdout.take(), printed.clone())),
            tokio::spawn(collect(child.stderr.take(), printed.clone())),
        ];
        Ok(Self { child, printed, readers })
    }

    /// Run `command` to its end; an error after `limit`.
    pub async fn run(command: Command, limit: Duration) -> io::Result<Finished> {
        Self::start(command)?.finish(limit).await
    }

    /// Wait until it has printed `wanted`; an error if it ends before, or after `limit`.
    pub async fn wait_for(&mut self, wanted: &str, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        while !self.printed().contains(wanted) {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let told =
                    format!("{wanted:?} was not printed ({ended:?}), but:\n{}", self.printed());
                return Err(io::Error::new(io::ErrorKind::TimedOut, told));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Wait for its end; an error after `limit`.
    pub async fn finish(mut self, limit: Duration) -> io::Result<Finished> {
        let Ok(status) = timeout(limit, self.child.wait()).await else {
            let told = format!("not ended within {limit:?}; printed:\n{}", self.printed());
            return Err(io::Error::new(io::ErrorKind::TimedOut, told));
        };
        for reader in &mut self.readers {
            let _ = timeout(Duration::from_secs(1), reader).await;
        }
        Ok(Finished { status: status?, printed: self.printed() })
    }

    /// Send it the signal that Ctrl-C sends.
    pub fn interrupt(&self) -> io::Result<()> {
        self.signal(Signal::SIGINT)
    }

    /// Send it the signal by which a daemon is asked to read its files again.
    pub fn hang_up(&self) -> io::Result<()> {
        self.signal(Signal::SIGHUP)
    }

    /// Kill it as a machine does that has no memory left.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Send it the signal by which systemd stops a program.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Everything it has printed so far
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.id().ok_or_else(|| io::Error::other("it has ended already"))?;
        Ok(kill(id, signal)?)
    }

    fn id(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // `id` is none once the end was waited for: nobody else's process is hit.
        let Some(group) = self.id() else { return };
        let _ = killpg(group, Signal::SIGKILL);
        // Its ports are free only when it is gone.
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Finished {
    /// The lines that are JSON objects
    pub fn objects(&self) -> Vec<serde_json::Value> {
        let lines = self.printed.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(serde_json::Value::is_object).collect()
    }
}

async fn collect(pipe: Option<impl AsyncRead + Unpin>, printed: Arc<Mutex<String>>) {
    let Some(pipe) = pipe else { return };
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        printed.push_str(&line);
        printed.push('\n');
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
