//! `show`

use std::{path::Path, time::Duration};

use clap::Args;
use serde_json::json;
use tokio::time::sleep;

use super::{
    Terminal,
    choice::{self, Choice},
    daemon::{Daemon, Failure},
    render,
};
use crate::{
    api::view::{ProblemsView, StatusView},
    cli::exit::Exit,
};

/// The arguments of `show`
#[derive(Debug, Clone, Default, Args)]
pub struct ShowArguments {
    /// The site, or the sites with a label: b17, @city=Berlin; all without it
    #[arg(value_name = "SITE|@LABEL=VALUE")]
    pub sites: Option<Choice>,
    /// Print each site, also if there are more than 40
    #[arg(long)]
    pub all: bool,
    /// Print the objects of the interface
    #[arg(long)]
    pub json: bool,
    /// Print again each two seconds
    #[arg(long)]
    pub watch: bool,
}

/// Prints the sites and their states
pub async fn show(socket: &Path, arguments: &ShowArguments, terminal: &mut Terminal) -> Exit {
    let outcome = show_again(&Daemon::new(socket), arguments, terminal).await;
    terminal.finish(outcome)
}

async fn show_again(
    daemon: &Daemon,
    arguments: &ShowArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    loop {
        let text = text(daemon, arguments).await?;
        if arguments.watch && terminal.is_terminal() {
            terminal.octets(CLEAR)?;
        }
        terminal.line(text.trim_end())?;
        if !arguments.watch {
            return Ok(Exit::Success);
        }
        sleep(INTERVAL).await;
    }
}

async fn text(daemon: &Daemon, arguments: &ShowArguments) -> Result<String, Failure> {
    if let Some(choice) = &arguments.sites {
        let sites = choice.sites(daemon).await?;
        // a name's answer is the only one that has everything
        return match sites.as_slice() {
            [site] if site.more.is_some() => {
                Ok(if arguments.json { pretty(site) } else { render::site(site) })
            }
            sites if arguments.json => Ok(pretty(&sites)),
            sites => Ok(render::table(sites)),
        };
    }
    let status = daemon.get::<StatusView>("/v1/status").await?;
    if arguments.json {
        let sites = choice::all(daemon, "").await?;
        return Ok(pretty(&json!({ "status": status, "sites": sites })));
    }
    if status.sites <= MAX_ROWS || arguments.all {
        let sites = choice::all(daemon, "").await?;
        return Ok(format!("{}\n{}", render::status(&status), render::table(&sites)));
    }
    let problems = daemon.get::<ProblemsView>("/v1/problems").await?;
    Ok(format!("{}\n{}", render::status(&status), render::problems(&problems)))
}

fn pretty(object: &impl serde::Serialize) -> String {
    // an object of ours has no key that is no text, the one reason for which this fails
    serde_json::to_string_pretty(object).unwrap_or_default()
}

/// The sites that are printed one a line
const MAX_ROWS: usize = 40;

/// The time from one print to the next
const INTERVAL: Duration = Duration::from_secs(2);

/// Clears a terminal, and goes to its upper left corner
const CLEAR: &[u8] = b"\x1b[2J\x1b[H";
