//! Measures everything and writes PERFORMANCE.md, of which it keeps the last sections: those of the connector and of
//! `benches/side-by-side`
//!
//! A line a figure on stdout: name, figure, goal, `ok` or `missed`, separated by tabs.
//!
//! - `--only NAME`: only the figures whose name begins so; PERFORMANCE.md stays as it is
//! - `--quick`: each for a shorter time
//! - `--gate`: only what a change has to keep, with a margin and best of three; fails if it does not

use std::{env, fmt::Write as _, fs, io, panic::catch_unwind, process::ExitCode};

use pptp_benches::{
    Figure, gate,
    machine::{describe, performance_page},
    measure::be_quick,
    parts,
    prose::wrap,
    side_by_side::page::{kept, with_kept},
    suite::{PARTS, REASONS},
};

fn main() -> ExitCode {
    if parts::play() {
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\nusage: report [--only NAME | --gate] [--quick]");
            return ExitCode::from(2);
        }
    };
    if arguments.quick {
        be_quick();
    }
    if arguments.gate {
        return if gate::holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (figures, failed) = measure(arguments.only.as_deref().unwrap_or_default());
    if arguments.only.is_none()
        && let Err(error) = write(&figures, &failed)
    {
        eprintln!("PERFORMANCE.md: {error}");
        return ExitCode::FAILURE;
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Debug, Default)]
struct Arguments {
    only: Option<String>,
    quick: bool,
    gate: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => arguments.quick = true,
                "--gate" => arguments.gate = true,
                "--only" => arguments.only = Some(words.next().ok_or("--only wants a name")?),
                _ => return Err(format!("{word}: no such option")),
            }
        }
        if arguments.gate && arguments.only.is_some() {
            return Err("--gate measures what has a gate, and nothing else".to_owned());
        }
        Ok(arguments)
    }
}

/// Prints each figure as it is known; returns all of them, and the parts that failed
fn measure(prefix: &str) -> (Vec<Figure>, Vec<&'static str>) {
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for part in PARTS.iter().filter(|part| part.may_have(prefix)) {
        let Ok(measured) = catch_unwind(part.figures) else {
            failed.push(part.name);
            continue;
        };
        for figure in measured.into_iter().filter(|figure| figure.name.starts_with(prefix)) {
            println!("{figure}");
            figures.push(figure);
        }
    }
    (figures, failed)
}

fn write(figures: &[Figure], failed: &[&str]) -> io::Result<()> {
    let mut page = String::from(HEAD);
    let _ = writeln!(page, "{}", describe());
    page += "| name | figure | goal | | bound and figures behind it |\n|---|---|---|---|---|\n";
    for figure in figures {
        let Figure { name, value, goal, detail, .. } = figure;
        let verdict = if figure.is_ok() { "ok" } else { "**missed**" };
        let _ = writeln!(page, "| {name} | {value:.3} | {goal} | {verdict} | {detail} |");
    }
    let missed = figures.iter().filter(|figure| !figure.is_ok()).collect::<Vec<_>>();
    if !missed.is_empty() || !failed.is_empty() {
        page += "\n## Missed\n\n";
    }
    for figure in missed {
        let reason = REASONS.iter().find(|(name, _)| *name == figure.name);
        let reason = reason.map_or("not yet explained", |(_, reason)| reason);
        let _ = writeln!(page, "{}", wrap(&format!("- **{}**: {reason}", figure.name), "  "));
    }
    for part in failed {
        let _ = writeln!(page, "- **{part}** could not be measured in this run");
    }
    let path = performance_page();
    let old = fs::read_to_string(&path).unwrap_or_default();
    let page = kept(&old).map_or_else(|| page.clone(), |kept| with_kept(&page, kept));
    fs::write(path, page)
}

const HEAD: &str = "\
# Performance

Written by `benches/report`. A figure is a ratio of CPU time within one run unless its name says
otherwise: candidate and bound take turns of a few milliseconds, and the median counts.

";
