//! `ping`, `doctor`

use std::path::Path;

use clap::Args;
use hyper::Method;
use pptp::{doctor::Target, error::Layer};

use super::{
    Terminal,
    choice::Choice,
    daemon::{self, Daemon, Failure, encode},
};
use crate::{
    api::view::{FindingView, PingView},
    cli::exit::Exit,
    target::{Host, InvalidTarget},
};

/// The arguments of `ping`
#[derive(Debug, Clone, Args)]
pub struct PingArguments {
    /// The site: b17, or @city=Berlin if one site alone has that label
    #[arg(value_name = "SITE")]
    pub site: Choice,
    /// The host behind it: an address, a name of the site's `hosts`, or one of its DNS
    #[arg(value_name = "HOST", value_parser = host)]
    pub host: Host,
    /// The number of pings, 100 at most
    #[arg(short = 'c', long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub count: u32,
}

/// The arguments of `doctor`
#[derive(Debug, Clone, Args)]
pub struct DoctorArguments {
    /// The site: b17, or @city=Berlin if one site alone has that label
    #[arg(value_name = "SITE")]
    pub site: Choice,
    /// A target to reach behind it: `tcp:HOST:PORT`, `udp:HOST:PORT[=TEXT]`, `ping:HOST` or `knx:HOST[:PORT]`
    #[arg(long, value_parser = target)]
    pub target: Option<TargetArgument>,
    /// Print the objects of the interface, one a line
    #[arg(long)]
    pub json: bool,
}

/// A target as it was written: the daemon reads it again
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetArgument(String);

/// Pings a host behind a site
pub async fn ping(socket: &Path, arguments: &PingArguments, terminal: &mut Terminal) -> Exit {
    let outcome = ping_all(socket, arguments, terminal).await;
    terminal.finish(outcome)
}

async fn ping_all(
    socket: &Path,
    arguments: &PingArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let daemon = Daemon::new(socket);
    let site = arguments.site.one(&daemon).await?;
    let (host, count) = (encode(&arguments.host.to_string()), arguments.count);
    let path = format!("/v1/sites/{site}/ping?to={host}&count={count}");
    let mut answer = daemon.ask(Method::POST, &path, &[]).await?;
    let (mut sent, mut trips) = (0_u32, Vec::new());
    while let Some(ping) = answer.next::<PingView>().await? {
        sent = sent.saturating_add(1);
        let PingView { number, address, milliseconds, error } = ping;
        trips.extend(milliseconds);
        let answer = milliseconds.map(|trip| format!("{trip:.1} ms")).or(error);
        terminal.line(format_args!("{address}: {number}: {}", answer.unwrap_or_default()))?;
    }
    let answered = trips.len();
    let (least, most) = trips
        .iter()
        .fold((f64::INFINITY, 0_f64), |(least, most), trip| (least.min(*trip), most.max(*trip)));
    let range =
        if trips.is_empty() { String::new() } else { format!(", {least:.1} to {most:.1} ms") };
    terminal.line(format_args!("{answered} of {sent} answered{range}"))?;
    Ok(if answered > 0 { Exit::Success } else { Exit::Layer(Layer::Target) })
}

/// Examines a site, layer by layer
pub async fn doctor(socket: &Path, arguments: &DoctorArguments, terminal: &mut Terminal) -> Exit {
    let outcome = examine(socket, arguments, terminal).await;
    terminal.finish(outcome)
}

async fn examine(
    socket: &Path,
    arguments: &DoctorArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let daemon = Daemon::new(socket);
    let site = arguments.site.one(&daemon).await?;
    let target = arguments.target.as_ref().map(|target| format!("?target={}", encode(&target.0)));
    let path = format!("/v1/sites/{site}/doctor{}", target.unwrap_or_default());
    let mut answer = daemon.ask(Method::POST, &path, &[]).await?;
    let mut failed = None;
    while let Some(line) = answer.line().await? {
        let finding = daemon::parse::<FindingView>(line.as_bytes())?;
        if finding.verdict == "failed" {
            failed.get_or_insert_with(|| Exit::of_layer(&finding.layer));
        }
        if arguments.json {
            terminal.line(line)?;
            continue;
        }
        terminal.finding(&finding)?;
    }
    Ok(failed.unwrap_or(Exit::Success))
}

fn host(text: &str) -> Result<Host, InvalidTarget> {
    Host::parse(text)
}

fn target(text: &str) -> Result<TargetArgument, String> {
    let target = text.parse::<Target>().map_err(str::to_owned);
    target.map(|_| TargetArgument(text.to_owned()))
}
