//! The processes that this program plays

use std::{
    env,
    net::Ipv4Addr,
    process::{Child, Command, ExitCode, Stdio},
};

use libtest_mimic::{Arguments, Failed};
use pptp_testkit::Server;
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::inside;

/// A trial in namespaces of its own
#[derive(Clone, Copy)]
pub(crate) struct Trial {
    name: &'static str,
    body: fn(),
    /// What a shell does before
    script: &'static str,
}

impl Trial {
    pub(crate) const fn new(name: &'static str, body: fn()) -> Self {
        Self { name, body, script: "true" }
    }

    pub(crate) const fn after(self, script: &'static str) -> Self {
        Self { script, ..self }
    }

    /// Runs the trial in a process of its own
    fn start(self) -> Result<(), Failed> {
        let Self { name, script, .. } = self;
        let script = format!("ip link set lo up && {script} && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", &script, "sh"]);
        command.arg(env::current_exe()?).env(ROLE, name);
        let output = command.stdin(Stdio::null()).output()?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        println!("{name}:\n{printed}");
        if output.status.success() { Ok(()) } else { Err(printed.into_owned().into()) }
    }
}

/// Plays the part that the environment names, or runs all trials
pub(crate) fn run(trials: &[Trial]) -> ExitCode {
    match env::var(ROLE).as_deref() {
        Ok(SERVER) => return serve(),
        Ok(INSIDE) => return inside::main(),
        Ok(name) => {
            let trial = trials.iter().find(|trial| trial.name == name).expect("a trial");
            (trial.body)();
            return ExitCode::SUCCESS;
        }
        Err(_) => {}
    }
    let may_run = geteuid().is_root() && env::var("PPTP_INTEROP").as_deref() == Ok("1");
    let tests = trials.iter().map(|trial| {
        let trial = *trial;
        libtest_mimic::Trial::test(trial.name, move || trial.start()).with_ignored_flag(!may_run)
    });
    libtest_mimic::run(&Arguments::from_args(), tests.collect()).exit_code()
}

/// Returns a command that plays a part of this program
pub(crate) fn play(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.env(ROLE, role);
    command
}

/// A process that is killed when dropped
#[derive(Debug)]
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it lives");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a PPTP server with building 1 behind it, as a process of its own
pub(crate) fn server() -> Process {
    let mut command = play(SERVER);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("this program");
    let mut ready = [0];
    let out = child.stdout.as_mut().expect("piped");
    std::io::Read::read_exact(out, &mut ready).expect("it serves");
    Process(child)
}

fn serve() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = Server::builder(1).secret(USER, PASSWORD);
        let _server = server.serve(SERVER_ADDRESS).await.expect("a server");
        print!("!");
        std::io::Write::flush(&mut std::io::stdout()).expect("a reader");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

/// The part that a process plays
pub(crate) const ROLE: &str = "PPTP_HOST_ROLE";

const SERVER: &str = "server";

/// The part of a confined process
pub(crate) const INSIDE: &str = "inside";

pub(crate) const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

pub(crate) const USER: &str = "svc";

pub(crate) const PASSWORD: &str = "test123";
