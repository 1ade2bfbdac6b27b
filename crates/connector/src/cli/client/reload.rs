//! `reload`

use std::path::Path;

use clap::Args;

use super::{
    Terminal,
    daemon::{Daemon, Failure},
};
use crate::{
    api::view::{ReloadView, RolloutView},
    cli::{counted, exit::Exit},
};

/// The arguments of `reload`
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ReloadArguments {
    /// Change nothing, and print what would be changed
    #[arg(long)]
    pub dry_run: bool,
    /// Allow that so many sites are removed, which is more than the guard against mass changes allows
    #[arg(long, value_name = "NUMBER")]
    pub removes: Option<u32>,
    /// Do not read it; go on with a change that is paused because sites did not come up again with it
    #[arg(long, conflicts_with_all = ["dry_run", "removes"])]
    pub r#continue: bool,
}

/// Makes the daemon read its configuration again
pub async fn reload(socket: &Path, arguments: &ReloadArguments, terminal: &mut Terminal) -> Exit {
    let outcome = ask(socket, *arguments, terminal).await;
    terminal.finish(outcome)
}

async fn ask(
    socket: &Path,
    ReloadArguments { dry_run, removes, r#continue }: ReloadArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if r#continue {
        let rollout = Daemon::new(socket).post::<RolloutView>("/v1/rollout/continue").await?;
        terminal.line(match rollout.left {
            0 => "no change is under way".to_owned(),
            left => format!("it goes on: {} to be dialled anew", counted(left, "site")),
        })?;
        return Ok(Exit::Success);
    }
    let removes = removes.map(|number| format!("&removes={number}")).unwrap_or_default();
    let path = format!("/v1/reload?dry_run={dry_run}{removes}");
    let report = Daemon::new(socket).post::<ReloadView>(&path).await?;
    for line in render(&report) {
        terminal.line(line)?;
    }
    for failure in &report.failures {
        terminal.complain(format_args!("error: not applied: {failure}"));
    }
    Ok(if report.failures.is_empty() { Exit::Success } else { Exit::Program })
}

fn render(report: &ReloadView) -> Vec<String> {
    let mut lines = Vec::new();
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}"));
    lines.extend(warnings);
    for (word, sites) in
        [("added", &report.added), ("changed", &report.changed), ("removed", &report.removed)]
    {
        lines.extend(sites.iter().map(|site| format!("{word}: {site}")));
    }
    let redialled = report.redialled.iter();
    lines.extend(
        redialled.map(|it| format!("dialled anew: {}: {}", it.site, it.options.join(", "))),
    );
    lines.extend(report.listeners.iter().map(|change| format!("listener: {change}")));
    let is_empty = lines.len() == report.warnings.len();
    lines.push(match (is_empty, report.dry_run) {
        (true, _) => "nothing changes".to_owned(),
        (false, true) => "nothing was changed: this was a dry run".to_owned(),
        (false, false) if report.failures.is_empty() => "done".to_owned(),
        (false, false) => "the rest is done".to_owned(),
    });
    lines
}
