//! `check` and `schema`: the configuration without the daemon

use clap::Args;
use pptp_fleet::Secret;

use super::{
    client::{Failure, Terminal},
    counted,
    exit::Exit,
    run::FileArgument,
};
use crate::{
    configuration::{Configuration, reference, schema},
    passwords::fetch_all,
    settings::Settings,
    unix::user_name,
    way_in::Way,
};

/// The arguments of `check`
#[derive(Debug, Clone, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    file: FileArgument,
    /// Read each password, too, as the daemon would
    #[arg(long)]
    secrets: bool,
}

/// The arguments of `schema`
#[derive(Debug, Clone, Copy, Args)]
pub struct SchemaArguments {
    /// Print the reference for people instead, in Markdown
    #[arg(long)]
    reference: bool,
}

/// Reads the configuration, and tells all its problems
pub async fn check(arguments: &CheckArguments, terminal: &mut Terminal) -> Exit {
    let outcome = run(arguments, terminal).await;
    terminal.finish(outcome)
}

/// Prints the JSON Schema, or the reference
pub fn print_schema(arguments: SchemaArguments, terminal: &mut Terminal) -> Exit {
    let text = if arguments.reference {
        reference()
    } else {
        // a value of JSON always has a form
        serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n"
    };
    let outcome = terminal.octets(text.as_bytes()).map(|()| Exit::Success);
    terminal.finish(outcome)
}

async fn run(arguments: &CheckArguments, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let read = arguments.file.file().read();
    let read = read.map_err(|error| Failure::new(Exit::Usage, error))?;
    if !read.problems().is_empty() {
        terminal.complain(read.rendered().trim_end());
    }
    let mut errors = read.errors().count();
    if arguments.secrets {
        let user = user_name(rustix::process::geteuid().as_raw());
        terminal.line(format_args!(
            "passwords are read as {user}, with the environment of this command; the daemon may have others"
        ))?;
        errors = errors.saturating_add(read_secrets(read.settings(), terminal).await);
    }
    terminal.line(summary(&read))?;
    for way in Way::all(read.settings()).iter().filter(|way| !way.listen().is_local()) {
        terminal.line(format_args!("other machines can reach: {way}"))?;
    }
    for listener in &read.settings().api {
        let listen = listener.listen();
        if !listen.is_local() {
            terminal.line(format_args!("other machines can reach: control interface {listen}"))?;
        }
    }
    if read.settings().outer.fwmark.is_some() {
        terminal
            .line("the daemon keeps CAP_NET_ADMIN while it runs: `fwmark` needs it at each dial")?;
    }
    if errors == 0 {
        return Ok(Exit::Success);
    }
    terminal.complain(counted(errors, "error"));
    Ok(Exit::Usage)
}

/// Reads the passwords of all sites; returns the number of those that cannot be had
async fn read_secrets(settings: &Settings, terminal: &mut Terminal) -> usize {
    let sites =
        settings.sites.iter().map(|(name, site)| (name.clone(), site.dial.secret().clone()));
    let sites = sites.filter(|(_, secret)| matches!(secret, Secret::Source(_)));
    let mut failed = 0_usize;
    for (name, password) in fetch_all(sites.collect()).await {
        if let Err(failure) = password {
            terminal.complain(format_args!("error: {name}: {failure}"));
            failed = failed.saturating_add(1);
        }
    }
    failed
}

fn summary(read: &Configuration) -> String {
    let settings = read.settings();
    let (listeners, proxies) = (Way::all(settings).len(), settings.proxies.len());
    let parts = [
        counted(settings.sites.len(), "site"),
        counted(listeners.saturating_sub(proxies), "forward"),
        match proxies {
            1 => "1 proxy".to_owned(),
            _ => format!("{proxies} proxies"),
        },
    ];
    format!("{}: {}", counted(read.sources().len(), "file"), parts.join(", "))
}
