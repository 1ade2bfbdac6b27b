//! The program: its arguments, its runtime, its log

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

use super::{
    check::{self, CheckArguments, SchemaArguments},
    client::{self, Failure, Terminal},
    connect::{ConnectArguments, connect},
    exit::Exit,
    log::WaitingLog,
    nc::{NcArguments, nc},
    password,
    privileges::{self, RawSocket},
    run::{self, RunArguments},
    runtime,
    token::{self, KeygenArguments, SealArguments, TokenArguments},
};
use crate::settings::ControlSocket;

/// Keeps PPTP tunnels to many sites and lets your tools reach them, all at once, whatever their addresses
#[derive(Debug, Parser)]
#[command(
    name = "pptp-connector",
    version,
    after_help = "Try it now, without root:  pptp-connector demo"
)]
struct Arguments {
    /// The control socket of the daemon
    #[arg(long, global = true, value_name = "PATH", default_value = ControlSocket::DEFAULT_PATH)]
    socket: PathBuf,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the daemon: keeps the sites of a configuration, and serves its ways in
    Run(RunArguments),
    /// Reads a configuration, and tells all its problems
    Check(CheckArguments),
    /// Tells what a reload would change
    Diff,
    /// Prints the JSON Schema of the configuration, for editors
    Schema(SchemaArguments),
    /// Tries it: three buildings in this process, without root and without a network
    #[cfg(feature = "demo")]
    Demo,
    /// Connects to one server without a configuration: asks for the password, prints what to try
    Connect(ConnectArguments),
    /// Connects standard input and output to HOST:PORT behind a site
    Nc(NcArguments),
    /// Shows the sites, or all of one
    Show(client::ShowArguments),
    /// Prints what happens, as it happens
    Events(client::EventsArguments),
    /// Prints the figures that Prometheus gets
    Metrics(client::MetricsArguments),
    /// Wants sites up, and dials them now
    Up(client::ActArguments),
    /// Wants sites down, until `up`
    Down(client::ActArguments),
    /// Hangs sites up, and dials them again
    Restart(client::ActArguments),
    /// Pings a host behind a site
    Ping(client::PingArguments),
    /// Looks at each layer of a site, and says what to do
    Doctor(client::DoctorArguments),
    /// Writes the packets inside of a site's tunnel to a file, in the clear
    Capture(client::CaptureArguments),
    /// Writes what was said on the wire to a file, without secrets
    FlightRecord(client::FlightRecordArguments),
    /// Reads the configuration again, and applies what has changed
    Reload(client::ReloadArguments),
    /// Makes a token for the control interface, and prints the lines of the configuration
    Token(TokenArguments),
    /// Makes the key with which the passwords of sites are sealed
    Keygen(KeygenArguments),
    /// Seals a password, so that only the daemon can read it, and only for this site
    Seal(SealArguments),
    /// Prints a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the program: reads its arguments, and returns its exit code
pub fn main() -> ExitCode {
    let Arguments { socket, command } = Arguments::parse();
    let mut log = begin_log(&command);
    let mut terminal = Terminal::standard();
    let exit = match &command {
        Verb::Run(arguments) => run::run(arguments, &mut log, &mut terminal),
        command => {
            let outcome = before_threads(command).and_then(|raw_socket| {
                runtime::block_on(&mut log, run(command, &socket, raw_socket, &mut terminal))
            });
            outcome.unwrap_or_else(|failure| terminal.finish(Err(failure)))
        }
    };
    log.finish(LOG_PATIENCE);
    exit.into()
}

/// Opens the raw socket of a command that needs one, and gives up all else: while there is one thread
fn before_threads(command: &Verb) -> Result<RawSocket, Failure> {
    let raw_socket = match command {
        Verb::Connect(_) => RawSocket::open(),
        #[cfg(feature = "demo")]
        Verb::Demo => RawSocket::unneeded(),
        _ => return Ok(RawSocket::unneeded()),
    };
    privileges::drop_all()?;
    Ok(raw_socket)
}

/// Checks words as the arguments of the program, without running it: the lines of the documentation are checked so
///
/// # Errors
/// The program would refuse them, with this reason.
pub fn check_line(words: &[&str]) -> Result<(), String> {
    Arguments::try_parse_from(words).map(|_| ()).map_err(|error| error.to_string())
}

/// Makes the log of the process, on standard error
fn begin_log(command: &Verb) -> WaitingLog {
    let level = match command {
        // what happens to a site is one line of the connector's own
        Verb::Run(_) => "warn,pptp=error,pptp_connector=info",
        // what the commands tell they print themselves
        _ => "error,pptp=off",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = WaitingLog::new(io::stderr());
    let writer = BoxMakeWriter::new(log.log());
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    format.with_ansi(io::stderr().is_terminal()).with_target(false).init();
    log
}

async fn run(
    command: &Verb,
    socket: &Path,
    raw_socket: RawSocket,
    terminal: &mut Terminal,
) -> Exit {
    match command {
        // it begins without a runtime
        Verb::Run(_) => Exit::Program,
        Verb::Check(arguments) => check::check(arguments, terminal).await,
        Verb::Schema(arguments) => check::print_schema(*arguments, terminal),
        Verb::Diff => {
            let arguments = client::ReloadArguments { dry_run: true, ..Default::default() };
            client::reload(socket, &arguments, terminal).await
        }
        #[cfg(feature = "demo")]
        Verb::Demo => super::demo::demo(terminal).await,
        Verb::Connect(arguments) => {
            let environment = std::env::var_os(password::VARIABLE);
            connect(arguments, environment, raw_socket, terminal).await
        }
        Verb::Nc(arguments) => {
            let streams = (tokio::io::stdin(), tokio::io::stdout());
            nc(socket, arguments, streams, terminal).await
        }
        Verb::Show(arguments) => client::show(socket, arguments, terminal).await,
        Verb::Events(arguments) => client::events(socket, arguments, terminal).await,
        Verb::Up(arguments) => client::up(socket, arguments, terminal).await,
        Verb::Down(arguments) => client::down(socket, arguments, terminal).await,
        Verb::Restart(arguments) => client::restart(socket, arguments, terminal).await,
        Verb::Ping(arguments) => client::ping(socket, arguments, terminal).await,
        Verb::Doctor(arguments) => client::doctor(socket, arguments, terminal).await,
        Verb::Capture(arguments) => client::capture(socket, arguments, terminal).await,
        Verb::FlightRecord(arguments) => client::flight_record(socket, arguments, terminal).await,
        Verb::Metrics(arguments) => client::metrics(socket, arguments, terminal).await,
        Verb::Reload(arguments) => client::reload(socket, arguments, terminal).await,
        Verb::Token(arguments) => token::token(arguments, terminal),
        Verb::Keygen(arguments) => token::keygen(arguments, terminal),
        Verb::Seal(arguments) => token::seal(socket, arguments, terminal).await,
        Verb::Completions { shell } => {
            let mut command = <Arguments as clap::CommandFactory>::command();
            clap_complete::generate(*shell, &mut command, "pptp-connector", &mut io::stdout());
            Exit::Success
        }
    }
}

/// The time for the last lines of the log
const LOG_PATIENCE: Duration = Duration::from_secs(1);
