//! `events`

use std::path::Path;

use clap::Args;
use hyper::Method;

use super::{
    Terminal,
    daemon::{self, Daemon, Failure, encode},
};
use crate::{
    api::{EventId, view::EventView},
    cli::exit::Exit,
};

/// The arguments of `events`
#[derive(Debug, Clone, Default, Args)]
pub struct EventsArguments {
    /// Print the objects of the interface, one a line
    #[arg(long)]
    pub json: bool,
    /// Begin behind this event, as printed by --json or named `as_of` in a list
    #[arg(long, value_name = "ID")]
    pub since: Option<EventId>,
}

/// Prints what happens, as it happens
pub async fn events(socket: &Path, arguments: &EventsArguments, terminal: &mut Terminal) -> Exit {
    let outcome = follow(socket, arguments, terminal).await;
    terminal.finish(outcome)
}

async fn follow(
    socket: &Path,
    arguments: &EventsArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let since = arguments.since.as_ref().map(|id| format!("?since={}", encode(&id.to_string())));
    let path = format!("/v1/events{}", since.unwrap_or_default());
    let mut answer = Daemon::new(socket).ask(Method::GET, &path, &[]).await?;
    while let Some(line) = answer.line().await? {
        // the data has all that the other lines have
        let Some(data) = line.strip_prefix("data: ") else { continue };
        if arguments.json {
            terminal.line(data)?;
            continue;
        }
        let event = daemon::parse::<EventView>(data.as_bytes())?;
        let subject = event.site.unwrap_or_else(|| event.kind.clone());
        terminal.line(format_args!("{}  {subject}: {}", event.time, event.detail))?;
    }
    Err(Failure::new(Exit::Daemon, "the daemon has ended the stream"))
}
