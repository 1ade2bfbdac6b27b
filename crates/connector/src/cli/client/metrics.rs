//! `metrics`

use std::path::Path;

use clap::Args;
use hyper::Method;

use super::{
    Terminal,
    daemon::{Daemon, Failure},
};
use crate::{api::metrics::Format, cli::exit::Exit};

/// The arguments of `metrics`
#[derive(Debug, Clone, Default, Args)]
pub struct MetricsArguments {
    /// Print version 1.0 of the text, which has units, in place of the older one that `promtool` reads
    #[arg(long)]
    pub openmetrics: bool,
}

/// Prints the metrics, as a scraper gets them
pub async fn metrics(socket: &Path, arguments: &MetricsArguments, terminal: &mut Terminal) -> Exit {
    let outcome = print(socket, arguments, terminal).await;
    terminal.finish(outcome)
}

async fn print(
    socket: &Path,
    arguments: &MetricsArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let format = if arguments.openmetrics { Format::OpenMetrics } else { Format::Classic };
    let accept = [("accept", format.content_type())];
    let mut answer = Daemon::new(socket).ask(Method::GET, "/metrics", &accept).await?;
    while let Some(piece) = answer.piece().await? {
        terminal.octets(&piece)?;
    }
    Ok(Exit::Success)
}
