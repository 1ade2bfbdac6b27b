//! The two processes of a run, and what the first checks and starts for the second.

use std::env;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use tokio::signal::unix::{SignalKind, signal};

use crate::lab::Lab;
use crate::program::Example;

/// What the environment asks this process to be
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was asked for: every trial is ignored.
    Off,
    /// `cargo test` started this process: it starts the lab and the inner process.
    Outside,
    /// This process is in the lab's namespace: it runs the trials.
    Inside,
    /// A trial started this process without privileges, with a raw socket for its standard input.
    HandedSocket,
}

/// The variable by which the user asks for the interop tests
const SWITCH: &str = "PPTP_INTEROP";
/// The variable by which one process of the run tells the next which it is
const STAGE: &str = "PPTP_INTEROP_STAGE";
const INSIDE: &str = "inside";
const HANDED_SOCKET: &str = "handed-socket";

/// How many trials run at once, of those that may
const BESIDE_EACH_OTHER: usize = 16;

/// What must be installed: a program, and Debian's package that has it.
const NEEDED: [(&str, &str); 22] = [
    ("linux.uml", "user-mode-linux"),
    ("pptpd", "pptpd"),
    ("pppd", "ppp"),
    ("pptp", "pptp-linux"),
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("dnsmasq", "dnsmasq-base"),
    ("knxd", "knxd"),
    ("python3", "python3"),
    ("socat", "socat"),
    ("nft", "nftables"),
    ("tshark", "tshark"),
    ("curl", "curl"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("sshd", "openssh-server"),
    ("psql", "postgresql-client"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("openssl", "openssl"),
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
];

/// What Python programs need: a file of a package, and its name
const NEEDED_BY_PYTHON: [(&str, &str); 3] = [
    ("/usr/lib/python3/dist-packages/socks.py", "python3-socks"),
    ("/usr/lib/python3/dist-packages/websockets", "python3-websockets"),
    ("/usr/local/lib/pptp-interop/xknx", "xknx"),
];

impl Stage {
    /// What the environment asks for
    pub fn of_this_process() -> Self {
        match env::var(STAGE).as_deref() {
            Ok(INSIDE) => Self::Inside,
            Ok(HANDED_SOCKET) => Self::HandedSocket,
            _ if env::var(SWITCH).is_ok_and(|value| value == "1") => Self::Outside,
            _ => Self::Off,
        }
    }

    /// Ask `command`, this same program, to be a [`Stage::HandedSocket`].
    pub fn ask_for_handed_socket(command: &mut Command) {
        command.env(STAGE, HANDED_SOCKET);
    }
}

/// Run `trials`, in the lab if the environment asks for it, and tell how it went.
///
/// The lab is there for `life` at most.
pub fn run(life: Duration, trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Of those that have the lab to themselves one runs at a time, whatever this says.
    arguments.test_threads = Some(BESIDE_EACH_OTHER);
    match Stage::of_this_process() {
        _ if arguments.list => libtest_mimic::run(&arguments, trials).exit_code(),
        Stage::Off => ignore(&arguments, trials),
        Stage::Outside => outside(life).unwrap_or_else(|error| {
            eprintln!("interop tests: {error}");
            ExitCode::FAILURE
        }),
        Stage::Inside | Stage::HandedSocket => libtest_mimic::run(&arguments, trials).exit_code(),
    }
}

fn ignore(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    println!(
        "interop tests: ignored; set {SWITCH}=1 as root to run them (tests/interop/README.md)"
    );
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(true)).collect();
    libtest_mimic::run(arguments, trials).exit_code()
}

/// The first process: everything that must be there before the trials, and that must go after them.
fn outside(life: Duration) -> io::Result<ExitCode> {
    require_everything()?;
    let examples = Example::build_all()?;
    let lab = Lab::new();
    let _alone = only_run_of(&lab)?;
    let _lab = Up::start(&lab, life)?;
    let mut inner = lab.command("exec");
    inner.arg(env::current_exe()?).args(env::args_os().skip(1));
    inner.env(STAGE, INSIDE).envs(examples);
    let status = wait_or_end(inner)?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A lab that is up until this is dropped
struct Up<'l>(&'l Lab);

impl<'l> Up<'l> {
    fn start(lab: &'l Lab, life: Duration) -> io::Result<Self> {
        let up = Self(lab);
        up.0.up(life).map(|()| up)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.down() {
            eprintln!("interop tests: {error}");
        }
    }
}

fn require_everything() -> io::Result<()> {
    if !geteuid().is_root() {
        let told = "the lab makes network namespaces and the client raw sockets: run as root";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, told));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<_> =
        env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).collect();
    let there = |program: &str| places.iter().any(|place| place.join(program).is_file());
    let programs = NEEDED.iter().filter(|(program, _)| !there(program));
    let files = NEEDED_BY_PYTHON.iter().filter(|(file, _)| !Path::new(file).exists());
    let missing: Vec<_> = programs.chain(files).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let told = format!("not installed: {}; run tests/interop/lab/lab setup", missing.join(" "));
    Err(io::Error::new(io::ErrorKind::NotFound, told))
}

/// Wait until no other run uses a lab of this name; the lock goes with the process.
fn only_run_of(lab: &Lab) -> io::Result<File> {
    let file = File::create(format!("/run/{}.lock", lab.name()))?;
    file.lock()?;
    Ok(file)
}

/// Run the inner process in a group of its own, and end that group if this process is told to end.
fn wait_or_end(mut inner: Command) -> io::Result<ExitStatus> {
    inner.process_group(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut child = tokio::process::Command::from(inner).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if let Some(group) = group {
            killpg(group, Signal::SIGKILL)?;
        }
        child.wait().await
    })
}
