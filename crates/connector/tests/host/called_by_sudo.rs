//! `connect` and `demo` of a user who called `sudo`

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    folder::{DAEMON, Folder, own},
    stage::{PASSWORD, Process, USER, server},
    starter::status_of_threads,
};

pub(crate) fn dropped() {
    let _server = server();
    let folder = Folder::new();
    let home = folder.path("home");
    fs::create_dir(&home).unwrap();
    own(&home, DAEMON, 0o700);
    let save = home.join("home.toml");
    let mut connect = sudo(&folder);
    connect.args(["connect", "127.0.0.2", "-u", USER, "--save"]).arg(&save);
    let (mut process, lines) = begin(connect);
    until(&lines, "written: ");
    are_the_users(&process);
    assert_eq!(fs::metadata(&save).unwrap().uid(), DAEMON);
    process.signal(Signal::INT);
    assert!(process.0.wait().expect("a child").success());

    let mut demo = sudo(&folder);
    demo.arg("demo").stdin(Stdio::piped());
    let (process, lines) = begin(demo);
    until(&lines, "try in another terminal");
    are_the_users(&process);
}

/// The program as root runs it, with what sudo tells it
fn sudo(folder: &Folder) -> Command {
    let mut command = Command::new(folder.program());
    let user = DAEMON.to_string();
    command.env("SUDO_UID", &user).env("SUDO_GID", &user).env("PPTP_PASSWORD", PASSWORD);
    command
}

fn begin(mut command: Command) -> (Process, Receiver<String>) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let (lines, printed) = mpsc::channel();
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            println!("{line}");
            let _ = lines.send(line);
        }
    });
    (Process(child), printed)
}

fn until(lines: &Receiver<String>, wanted: &str) {
    loop {
        let line = lines.recv_timeout(Duration::from_secs(30));
        if line.expect("in time").contains(wanted) {
            return;
        }
    }
}

/// Each thread belongs to the user for good, and has no capability
fn are_the_users(process: &Process) {
    let words = ["Uid", "Gid", "Groups", "CapPrm", "CapEff", "NoNewPrivs"];
    let threads = status_of_threads(process, &words);
    assert!(threads.len() > 1, "{threads:?}");
    for line in threads.iter().flatten() {
        let (word, value) = line.split_once(':').expect("a field");
        let user = DAEMON.to_string();
        let expected = match word {
            "NoNewPrivs" => "1".to_owned(),
            "Groups" => user,
            "Uid" | "Gid" => [user.as_str(); 4].join("\t"),
            _ => "0".repeat(16),
        };
        assert_eq!(value.trim(), expected, "{word} of {threads:?}");
    }
}
