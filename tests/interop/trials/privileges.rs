//! What an unprivileged program is told, and how it can have the raw socket all the same.

use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use pptp::Client;
use pptp_interop::{Building, Example, Lab, Outcome, PASSWORD, Program, Stage, USER, get, trial};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Runtime;

use crate::dial;

const LIMIT: Duration = Duration::from_secs(30);
/// IP protocol 47
const GRE: i32 = 47;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("without_the_capability_the_error_names_it_and_the_command", without_capability),
        trial("a_raw_socket_opened_by_root_serves_an_unprivileged_program", handed_socket),
    ]
}

async fn without_capability(_: &Lab) -> Outcome {
    let program = PublicCopy::of(&Example::TwoBuildings.path()?)?;
    let mut command = unprivileged(&program.0);
    command.args(["--server", &Building::ONE.server().to_string()]);
    command.args(["--user", USER, "--password", PASSWORD]);
    let finished = Program::run(command, LIMIT).await?;
    assert!(!finished.status.success(), "it went well without CAP_NET_RAW");
    for told in ["CAP_NET_RAW", "setcap cap_net_raw+ep"] {
        assert!(finished.printed.contains(told), "no {told} in: {}", finished.printed);
    }
    Ok(())
}

async fn handed_socket(_: &Lab) -> Outcome {
    let program = PublicCopy::of(&env::current_exe()?)?;
    let mut command = unprivileged(&program.0);
    let socket = OwnedFd::from(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(GRE)))?);
    Stage::ask_for_handed_socket(command.stdin(Stdio::from(socket)));
    let finished = Program::start_with_input(command)?.finish(LIMIT).await?;
    assert!(finished.status.success(), "{}: {}", finished.status, finished.printed);
    assert_eq!(finished.printed, "building 1\n");
    Ok(())
}

/// The unprivileged program: its standard input is the raw socket.
pub(crate) fn with_handed_socket() -> ExitCode {
    let done = Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(fetch()));
    match done {
        Ok(body) => print!("{body}"),
        Err(failed) => {
            eprintln!("{}", failed.message().unwrap_or("failed"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn fetch() -> Result<String, libtest_mimic::Failed> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    if Client::new().is_ok() {
        return Err("this program can open a raw socket by itself".into());
    }
    let client = Client::builder().raw_socket(socket).build()?;
    let tunnel = dial(&client, Building::ONE).await?;
    let body = get(tunnel.tcp_connect(Building::ONE.device(80)).await?, "/").await?;
    tunnel.close().await;
    Ok(String::from_utf8(body)?)
}

/// `program` as nobody, without any capability to gain
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]).arg(program);
    command
}

/// A copy of a program where everybody may run it (the workspace may lie in root's own folder)
struct PublicCopy(PathBuf);

impl PublicCopy {
    fn of(program: &Path) -> io::Result<Self> {
        let copy = Self(env::temp_dir().join(format!("pptp-interop-{}", process::id())));
        fs::copy(program, &copy.0)?;
        fs::set_permissions(&copy.0, fs::Permissions::from_mode(0o755))?;
        Ok(copy)
    }
}

impl Drop for PublicCopy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
