//! What the figures were measured on, and where they are written

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::prose::wrap;

/// A sentence with date, commit, processor, kernel and compiler
pub fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let unknown = || "unknown".to_owned();
    let family = field("cpu family").zip(field("model\t"));
    let family = family.map_or_else(unknown, |(family, model)| format!("{family}, model {model}"));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| unknown());
    let commit = say("git", &["describe", "--always", "--dirty"]);
    let line = format!(
        "Measured on {} at commit {}: {} (family {family}), {cores} cores, Linux {}, {}.",
        say("date", &["-u", "+%F"]).unwrap_or_else(unknown),
        commit.unwrap_or_else(unknown),
        field("model name").unwrap_or_else(unknown),
        kernel.trim(),
        say("rustc", &["--version"]).unwrap_or_else(unknown),
    );
    wrap(&line, "") + "\n"
}

/// The page that all figures are written to
pub fn performance_page() -> PathBuf {
    root().join("PERFORMANCE.md")
}

fn say(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
