//! Our example beside what people use now, in one run
//!
//! `side-by-side CONNECTOR TOOLS [guest|native]`: the built example, the folder of onetun and
//! boringtun-cli, and one scene if not both are to be measured. A line a figure on stdout: scene,
//! client, measure, median, unit, and the rounds it is of, separated by tabs. Both scenes together
//! write the last section of PERFORMANCE.md.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use pptp_benches::{
    machine::{describe, performance_page},
    side_by_side::{Scene, in_guest, inside, lines, page::with_section, section},
};

fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match *words {
        // the program plays two parts in the guest itself
        ["in-guest", connector] => in_guest(Path::new(connector)),
        ["inside", server] => server.parse().map_err(io::Error::other).and_then(inside::run),
        [connector, tools] => both(connector, tools),
        [connector, tools, "guest"] => one(Scene::Guest, connector, tools),
        [connector, tools, "native"] => one(Scene::Native, connector, tools),
        _ => Err(io::Error::other("usage: side-by-side CONNECTOR TOOLS [guest|native]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn one(scene: Scene, connector: &str, tools: &str) -> io::Result<()> {
    let samples = scene.measure(&absolute(connector)?, &absolute(tools)?)?;
    print!("{}", lines(&samples));
    Ok(())
}

/// Measures both scenes and writes the table; without one of them it stays as it is
fn both(connector: &str, tools: &str) -> io::Result<()> {
    let (connector, tools) = (absolute(connector)?, absolute(tools)?);
    let mut samples = Vec::new();
    for scene in [Scene::Guest, Scene::Native] {
        let more = scene.measure(&connector, &tools)?;
        print!("{}", lines(&more));
        samples.extend(more);
    }
    let path = performance_page();
    let page = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, with_section(&page, &section(&samples, &describe())))
}

/// The guest begins in another folder
fn absolute(path: &str) -> io::Result<PathBuf> {
    let named = |error| io::Error::new(io::Error::kind(&error), format!("{path}: {error}"));
    Path::new(path).canonicalize().map_err(named)
}
