//! The unit files

use std::{fs, path::Path, process::Command};

use crate::folder::Folder;

/// `systemd-analyze` finds nothing to complain about, and no more exposure than there was
pub(crate) fn analyzed() {
    let folder = Folder::new();
    let program = folder.program();
    let text = fs::read_to_string(packaging("systemd/pptp-connector.service")).unwrap();
    // a package puts it there
    let installed = "/usr/bin/pptp-connector";
    assert!(text.contains(&format!("ExecStart={installed} run")), "{text}");
    let text = text.replace(installed, &program.to_string_lossy());
    let unit = folder.path("pptp-connector.service");
    fs::write(&unit, &text).unwrap();
    let unit = unit.to_string_lossy();
    let verified = analyze(&["verify", "--man=no", &unit]);
    assert_eq!(verified, "", "verify has something to say");
    let exposure = analyze(&["security", "--offline=true", "--threshold=20", &unit]);
    let exposure = exposure.lines().last().unwrap_or_default();
    println!("{exposure}");
    assert!(exposure.contains("Overall exposure level"), "{exposure}");

    let sysusers = packaging("sysusers.d/pptp-connector.conf");
    let users = run(Command::new("systemd-sysusers").arg("--dry-run").arg(sysusers));
    assert!(users.contains("Creating user 'pptp-connector'"), "{users}");
    assert!(fs::read_to_string(packaging("tmpfiles.d/pptp-connector.conf")).is_ok());
    for line in ["Type=notify", "WatchdogSec=120", "AmbientCapabilities=CAP_NET_RAW"] {
        assert!(text.lines().any(|it| it == line), "{line}");
    }
    let drop_in = fs::read_to_string(packaging("systemd/notify-reload.conf")).unwrap();
    assert!(drop_in.contains("Type=notify-reload\nExecReload=\n"), "{drop_in}");
}

fn packaging(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(path)
}

fn analyze(arguments: &[&str]) -> String {
    run(Command::new("systemd-analyze").args(arguments))
}

/// Runs a program of systemd; it succeeds
fn run(command: &mut Command) -> String {
    let output = command.output().expect("systemd is installed: apt-get install systemd");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{printed}");
    printed
}
