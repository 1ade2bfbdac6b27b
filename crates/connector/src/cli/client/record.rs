//! `capture`, `flight-record`

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use hyper::Method;
use tokio::signal::ctrl_c;

use super::{
    Terminal,
    choice::Choice,
    daemon::{Answer, Daemon, Failure},
};
use crate::cli::exit::Exit;

/// The arguments of `capture`
#[derive(Debug, Clone, Args)]
pub struct CaptureArguments {
    /// The site: b17, or @city=Berlin if one site alone has that label
    #[arg(value_name = "SITE")]
    pub site: Choice,
    /// The file to write; standard output without it
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The octets that are kept of each packet; all without it
    #[arg(long, value_name = "OCTETS", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub snap: Option<u32>,
}

/// The arguments of `flight-record`
#[derive(Debug, Clone, Args)]
pub struct FlightRecordArguments {
    /// The site: b17, or @city=Berlin if one site alone has that label
    #[arg(value_name = "SITE")]
    pub site: Choice,
    /// The file to write
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub output: PathBuf,
}

/// Writes the packets of a site, decrypted, as pcapng
pub async fn capture(socket: &Path, arguments: &CaptureArguments, terminal: &mut Terminal) -> Exit {
    let outcome = capture_all(socket, arguments, terminal).await;
    terminal.finish(outcome)
}

async fn capture_all(
    socket: &Path,
    arguments: &CaptureArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if arguments.output.is_none() && terminal.is_terminal() {
        let message = "a capture is no text: name a file with -o, or pipe it: | wireshark -k -i -";
        return Err(Failure::new(Exit::Usage, message));
    }
    let daemon = Daemon::new(socket);
    let site = arguments.site.one(&daemon).await?;
    let snap = arguments.snap.map(|snap| format!("?snap={snap}")).unwrap_or_default();
    let path = format!("/v1/sites/{site}/capture{snap}");
    let mut answer = daemon.ask(Method::GET, &path, &[]).await?;
    let mut file = arguments.output.as_deref().map(create).transpose()?;
    let mut octets = 0_u64;
    tokio::select! {
        copied = copy(&mut answer, file.as_mut(), terminal, &mut octets) => copied?,
        _ = ctrl_c() => {}
    }
    if let (Some(file), Some(path)) = (file, &arguments.output) {
        // what is not on the disk is told
        file.sync_all().map_err(|error| cannot_write(path, &error))?;
        terminal.complain(format_args!("{octets} octets in {}", path.display()));
    }
    Ok(Exit::Success)
}

async fn copy(
    answer: &mut Answer,
    mut file: Option<&mut File>,
    terminal: &mut Terminal,
    octets: &mut u64,
) -> Result<(), Failure> {
    while let Some(piece) = answer.piece().await? {
        match &mut file {
            Some(file) => file.write_all(&piece).map_err(|error| {
                Failure::new(Exit::Program, format!("cannot write the capture: {error}"))
            })?,
            None => terminal.octets(&piece)?,
        }
        *octets = octets.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// Writes the messages of a site's tunnel or of its last dial, without secrets, as pcapng
pub async fn flight_record(
    socket: &Path,
    arguments: &FlightRecordArguments,
    terminal: &mut Terminal,
) -> Exit {
    let outcome = write_record(socket, arguments, terminal).await;
    terminal.finish(outcome)
}

async fn write_record(
    socket: &Path,
    arguments: &FlightRecordArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let daemon = Daemon::new(socket);
    let site = arguments.site.one(&daemon).await?;
    let answer = daemon.ask(Method::GET, &format!("/v1/sites/{site}/flight-record"), &[]).await?;
    let octets = answer.octets().await?;
    let path = arguments.output.as_path();
    let written = create(path)?.write_all(&octets);
    written.map_err(|error| cannot_write(path, &error))?;
    terminal.complain(format_args!("{} octets in {}", octets.len(), path.display()));
    Ok(Exit::Success)
}

/// Opens a file that only its owner may read: a capture has what programs say in the clear
fn create(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Program, format!("cannot write {}: {error}", path.display()))
}
