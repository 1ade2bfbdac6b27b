//! The daemon of `pptp-connector`, with its files in a folder of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libtest_mimic::Failed;
use tokio::time::{Instant, sleep};

use crate::lab::Building;
use crate::program::{Example, Finished, Program};
use crate::trial::Outcome;

/// A running `pptp-connector run`; killed when dropped, and its folder removed
#[derive(Debug)]
pub struct Daemon {
    folder: Folder,
    program: Program,
}

/// The folder of a daemon's files, gone when dropped
#[derive(Debug)]
struct Folder(PathBuf);

impl Daemon {
    /// Start it with this configuration, to which its control socket and its state folder are added.
    pub fn start(configuration: &str) -> Result<Self, Failed> {
        let folder = Folder::new()?;
        folder.write(configuration)?;
        let program = Program::start(folder.run()?)?;
        Ok(Self { folder, program })
    }

    /// Run a command that reads a configuration and needs no daemon, with this one, to its end.
    pub async fn run_alone(configuration: &str, arguments: &[&str]) -> Result<Finished, Failed> {
        let folder = Folder::new()?;
        folder.write(configuration)?;
        let mut command = Example::PptpConnector.command()?;
        command.args(arguments).arg("--config").arg(folder.file());
        Ok(Program::run(command, Duration::from_secs(30)).await?)
    }

    /// Write another configuration, which counts from the next reload on.
    pub fn configure(&self, configuration: &str) -> io::Result<()> {
        self.folder.write(configuration)
    }

    /// Kill it as nobody can prepare for, and start it again with the same files.
    pub async fn kill_and_start(self) -> Result<Self, Failed> {
        let Self { folder, program } = self;
        program.kill()?;
        program.finish(Duration::from_secs(10)).await?;
        let program = Program::start(folder.run()?)?;
        Ok(Self { folder, program })
    }

    /// One of its commands, which finds it by its control socket
    pub fn command(&self, arguments: &[&str]) -> Result<Command, Failed> {
        let mut command = Example::PptpConnector.command()?;
        command.arg("--socket").arg(self.folder.socket()).args(arguments);
        Ok(command)
    }

    /// Run one of its commands to its end.
    pub async fn ask(&self, arguments: &[&str]) -> Result<Finished, Failed> {
        Ok(Program::run(self.command(arguments)?, Duration::from_secs(30)).await?)
    }

    /// Wait for its end; an error after `limit`.
    pub async fn finish(self, limit: Duration) -> Result<Finished, Failed> {
        let Self { folder, program } = self;
        let finished = program.finish(limit).await?;
        drop(folder);
        Ok(finished)
    }

    /// The program itself
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// Wait until `site` is up; an error after `limit`.
    pub async fn is_up(&self, site: Building, limit: Duration) -> Outcome {
        self.is_in(site, "up", limit).await
    }

    /// Wait until the state of `site` is called `state`; an error after `limit`.
    pub async fn is_in(&self, site: Building, state: &str, limit: Duration) -> Outcome {
        let deadline = Instant::now() + limit;
        loop {
            let view = self.view(site).await;
            if view.as_ref().is_ok_and(|view| view["state"] == state) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let printed = self.program.printed();
                return Err(format!("not {state} but {view:?}; it printed:\n{printed}").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// All that it tells of `site`
    pub async fn view(&self, site: Building) -> Result<serde_json::Value, Failed> {
        let name = format!("b{}", site.number());
        let shown = self.ask(&["show", "--json", &name]).await?;
        let parsed = serde_json::from_str(&shown.printed);
        parsed.map_err(|error| format!("{error}: {}", shown.printed).into())
    }
}

impl Folder {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pptp-interop-daemon-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0)?;
        Ok(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("connector.toml")
    }

    fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    fn run(&self) -> io::Result<Command> {
        let mut command = Example::PptpConnector.command()?;
        command.arg("run").arg("--config").arg(self.file());
        Ok(command)
    }

    fn write(&self, configuration: &str) -> io::Result<()> {
        let quoted = |path: &Path| format!("{:?}", path.to_string_lossy());
        let [state, socket] = [quoted(&self.0.join("state")), quoted(&self.socket())];
        let own = format!("state = {state}\n[control]\nsocket = {socket}\n");
        fs::write(self.file(), format!("{own}{configuration}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
