//! The configurations in the documentation, its reference, and the table of metrics
//!
//! `PPTP_UPDATE=1` writes reference and table anew.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use pptp_connector::{
    api::metrics,
    cli::check_line,
    configuration::{Configuration, Sources, reference},
};

use crate::schema::faults;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pages() -> Vec<PathBuf> {
    let book = root().join("docs/book/src");
    let pages = fs::read_dir(book).expect("the book is there");
    let mut pages: Vec<_> = pages.map(|page| page.expect("it can be listed").path()).collect();
    pages.extend([root().join("README.md"), root().join("crates/connector/README.md")]);
    pages.retain(|page| page.extension().is_some_and(|it| it == "md"));
    pages
}

/// The blocks of a page in this language, each with its line
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim().strip_prefix("```") == Some(language) {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|it| it.trim() != "```");
            blocks.push((number + 2, inside.collect::<Vec<_>>().join("\n")));
        }
    }
    blocks
}

#[test]
fn each_configuration_in_the_documentation_is_good() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for (line, block) in blocks(&text, "toml") {
            let read = Configuration::read(Sources::of_text(&page, block.clone()), None);
            assert!(read.is_good(), "{}:{line}:\n{}", page.display(), read.rendered());
            let faults = faults(&block).expect("it is TOML");
            assert_eq!(faults, [""; 0], "{}:{line}: the schema refuses it", page.display());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} blocks only");
}

/// The arguments of each call of the program in a line of a shell: those behind its name, up to a pipe or a redirection
///
/// In a `ProxyCommand` the program stands within quotes, which end its arguments.
fn calls(line: &str) -> Vec<Vec<String>> {
    let is_call = |before: &str| before.is_empty() || before.ends_with([' ', '/', '\'']);
    let starts = line.match_indices(PROGRAM).filter(|(at, _)| is_call(&line[..*at]));
    let calls = starts.filter_map(|(at, _)| {
        let rest = &line[at + PROGRAM.len()..];
        // a user, a folder or a package of this name
        let is_name = !rest.is_empty() && !rest.starts_with(' ') && !rest.starts_with('\'');
        let before = &line[..at];
        let is_other = before.ends_with("-u ")
            || before.ends_with("-p ")
            || ["install", "setcap", "useradd", "systemctl"].iter().any(|it| before.contains(it));
        if is_name || is_other {
            return None;
        }
        let end = rest.find(['|', '<', '>', '\'']).unwrap_or(rest.len());
        // what ssh puts in their place
        let rest = rest[..end].replace("%h:%p", "192.168.1.3:22");
        let words: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
        Some([vec![PROGRAM.to_owned()], words].concat())
    });
    calls.collect()
}

#[test]
fn each_command_in_the_documentation_is_one_of_the_program() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for (first, block) in blocks(&text, "sh") {
            for (number, line) in block.lines().enumerate() {
                let line = line.split(" #").next().unwrap_or_default();
                for words in calls(line) {
                    let words: Vec<_> = words.iter().map(String::as_str).collect();
                    let place = format!("{}:{}", page.display(), first + number);
                    if words.len() > 1 {
                        let checked = check_line(&words);
                        assert!(checked.is_ok(), "{place}: {line}\n{}", checked.unwrap_err());
                        count += 1;
                    }
                }
            }
        }
    }
    assert!(count >= 40, "{count} commands only");
}

#[test]
fn the_reference_in_the_book_is_that_of_the_reader() {
    let page = root().join("docs/book/src/configuration.md");
    compare(&page, ("<!-- reference -->", "<!-- end of reference -->"), &reference());
}

#[test]
fn the_metrics_in_the_book_are_those_of_the_program() {
    let page = root().join("docs/book/src/metrics.md");
    compare(&page, ("<!-- metrics -->", "<!-- end of metrics -->"), &metrics::reference());
}

/// Each rule has a row in the book, with its severity
#[test]
fn the_alerts_in_the_book_are_those_of_the_rules() {
    let rules = fs::read_to_string(root().join("contrib/prometheus/alerts.yml")).expect("rules");
    let book = fs::read_to_string(root().join("docs/book/src/metrics.md")).expect("the page");
    let rules = rules.split("- alert: ").skip(1);
    let severity = |rule: &str| if rule.contains("severity: page") { "page" } else { "ticket" };
    let name = |rule: &str| rule.lines().next().unwrap_or_default().to_owned();
    let told: Vec<_> =
        rules.map(|rule| format!("| `{}` | {} |", name(rule), severity(rule))).collect();
    let rows: Vec<_> = book.lines().filter(|line| line.starts_with("| `Pptp")).collect();
    assert_eq!(rows.len(), told.len());
    for (row, told) in rows.iter().zip(&told) {
        assert!(row.starts_with(told.as_str()), "{row} for {told}");
    }
}

/// Compares a part of a page with what the program says, or writes it anew
fn compare(page: &Path, (begin, end): (&str, &str), wanted: &str) {
    let text = fs::read_to_string(page).expect("the page is there");
    let (before, rest) = text.split_once(begin).expect("it has the begin");
    let (old, after) = rest.split_once(end).expect("it has the end");
    let new = format!("\n\n{wanted}\n");
    if env::var_os("PPTP_UPDATE").is_some() {
        fs::write(page, format!("{before}{begin}{new}{end}{after}")).expect("it can be written");
    } else {
        assert_eq!(old, new, "PPTP_UPDATE=1 writes it anew");
    }
}

const PROGRAM: &str = "pptp-connector";
