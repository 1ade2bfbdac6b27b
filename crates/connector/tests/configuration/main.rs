//! Wrong configurations: what a person is told
//!
//! `INSTA_UPDATE=always cargo test -p pptp-connector --test configuration` writes the snapshots anew; then read them.

use std::{fs, path::Path};

use pptp_connector::configuration::{Configuration, Sources};

mod addresses;
mod docs;
mod right;
mod schema;
mod validator;

/// Reads a file as the daemon does, in a process that may have so many files open
fn read(path: &Path) -> Configuration {
    Configuration::read(Sources::load(path).expect("the file is there"), Some(20_000))
}

fn rendered(configuration: &Configuration) -> String {
    let all = configuration.problems().iter();
    let all: Vec<_> = all.map(|problem| problem.render(configuration.sources())).collect();
    all.join("\n\n")
}

#[test]
fn each_wrong_configuration_is_told_with_all_its_problems() {
    let folder = Path::new("tests/configuration/wrong");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 30, "{}", paths.len());
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("wrong");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for path in paths {
        let configuration = read(&path);
        assert!(!configuration.problems().is_empty(), "{}", path.display());
        let shown = rendered(&configuration);
        assert!(!shown.contains("geheim"), "{shown}");
        let name = path.file_stem().expect("it has a name").to_string_lossy();
        insta::assert_snapshot!(&*name, shown);
    }
}
