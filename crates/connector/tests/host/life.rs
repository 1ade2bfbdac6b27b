//! A start, reloads and an end, as the service manager sees them

use std::{thread::sleep, time::Duration};

use rustix::process::Signal;

use crate::{
    folder::Folder,
    stage::server,
    starter::{Daemon, ask},
};

/// The messages without the signs of life and those that count sites
fn turning_points(messages: &[String]) -> Vec<&str> {
    let first = messages.iter().filter_map(|message| message.lines().next());
    first.filter(|line| !line.starts_with("STATUS=") && *line != "WATCHDOG=1").collect()
}

fn count(messages: &[String], line: &str) -> usize {
    messages.iter().filter(|message| message.starts_with(line)).count()
}

pub(crate) fn told() {
    let _server = server();
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let started = daemon.messages_until("READY=1");
    assert_eq!(turning_points(&started), ["READY=1"], "{started:?}");
    assert!(started.concat().contains(" of 1 site up"), "{started:?}");
    daemon.is_up();

    folder.configure(
        "",
        "[site.b2]\nserver = \"127.0.0.9\"\nuser = \"x\"\npassword = \"y\"\nconnect = \"manual\"\n",
    );
    daemon.process.signal(Signal::HUP);
    let good = daemon.messages_until("READY=1");
    assert_eq!(turning_points(&good), ["RELOADING=1", "READY=1"], "{good:?}");
    let reloading = good.iter().find(|it| it.starts_with("RELOADING=1")).expect("it is there");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    assert!(good.concat().contains("STATUS=1 of 2 sites up"), "{good:?}");

    folder.configure("no_such_key = 1", "");
    daemon.process.signal(Signal::HUP);
    let bad = daemon.messages_until("READY=1");
    assert_eq!(turning_points(&bad), ["RELOADING=1", "READY=1"], "{bad:?}");
    assert!(bad.concat().contains("the configuration has problems"), "{bad:?}");

    // what the unit's ExecReload does: it waits, and fails if the reload is refused
    let refused = ask(&folder, &["reload"]);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.printed);
    folder.configure("", "");
    let done = ask(&folder, &["reload"]);
    assert!(done.status.success(), "{}", done.printed);

    let fed = daemon.messages_until("WATCHDOG=1");
    let more = daemon.messages_until("WATCHDOG=1");
    assert!(count(&fed, "WATCHDOG=1") + count(&more, "WATCHDOG=1") >= 2);

    daemon.process.signal(Signal::TERM);
    let end = daemon.messages_until("STOPPING=1");
    let end = end.last().expect("there is one");
    assert!(end.contains("STATUS=hanging up all sites"), "{end}");
    assert!(end.contains("EXTEND_TIMEOUT_USEC=17000000"), "{end}");
    let mut daemon = daemon;
    let (status, took) = daemon.end();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(12), "{took:?}");
}

pub(crate) fn given_up() {
    let _server = server();
    let folder = Folder::new();
    // a device and an address: neither needs a capability any more
    folder.configure("", "[outer]\ndevice = \"lo\"\nlocal_address = \"127.0.0.3\"\ndrivers = 2\n");
    let daemon = Daemon::start(&folder);
    daemon.is_up();
    let log = daemon.log();
    assert!(log.contains("confined: landlock ABI"), "{log}");
    let words = ["CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Uid"];
    let threads = daemon.threads(&words);
    assert!(threads.len() > 2, "{threads:?}");
    for thread in &threads {
        assert_eq!(thread.len(), words.len());
        for line in thread {
            let (word, value) = line.split_once(':').expect("a field");
            let expected = match word {
                "NoNewPrivs" => "1".to_owned(),
                "Uid" => ["65533"; 4].join("\t"),
                _ => "0".repeat(16),
            };
            assert_eq!(value.trim(), expected, "{word} of {threads:?}");
        }
    }
    // of a site that is down, it dials
    assert!(ask(&folder, &["down", "b1"]).status.success());
    daemon.messages_until("STATUS=0 of 1 site up");
    let examined = ask(&folder, &["doctor", "b1"]);
    assert!(examined.status.success(), "{}", examined.printed);
    // the server's, and not our own two
    assert!(examined.printed.contains("1 raw GRE sockets of other"), "{}", examined.printed);
    daemon.stop();
}

/// A service manager may end what it has only just begun
pub(crate) fn early_signal() {
    let _server = server();
    let folder = Folder::new();
    for milliseconds in (0..200).step_by(10) {
        let mut daemon = Daemon::start(&folder);
        // setpriv itself is ended by a signal, and has nothing to hang up
        sleep(Duration::from_millis(milliseconds));
        daemon.process.signal(Signal::TERM);
        let (status, took) = daemon.end();
        assert!(took < Duration::from_secs(12), "{took:?} after {milliseconds} ms: {status}");
    }
}

/// A server that stands still takes no hang-up
pub(crate) fn second_signal() {
    let server = server();
    let folder = Folder::new();
    let mut daemon = Daemon::start(&folder);
    daemon.is_up();
    server.signal(Signal::STOP);
    daemon.process.signal(Signal::TERM);
    daemon.messages_until("STOPPING=1");
    sleep(Duration::from_millis(300));
    assert!(daemon.process.0.try_wait().expect("a child").is_none(), "it hangs up");
    daemon.process.signal(Signal::TERM);
    let (status, took) = daemon.end();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}
