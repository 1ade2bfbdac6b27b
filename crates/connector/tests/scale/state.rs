//! A state that cannot be written, and a second daemon: the first goes on

use std::{env, fs, path::Path, process::Command, sync::Arc, time::Duration};

use pptp_connector::{
    api::{Control, Server},
    settings::UnixSocket,
    unix,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::UnixStream, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    in_real_time, in_virtual_time, log,
    world::{World, configuration, reload, until_up},
};

#[test]
fn a_state_folder_in_which_nothing_can_be_made_is_told_and_the_daemon_works() {
    in_virtual_time(async {
        let world = World::new(2, Duration::from_millis(10));
        let with = |sites| format!("state = \"{NO_FILES}\"\n{}", configuration(sites, 2, no_keys));
        world.write(&with(1));
        log::begin();
        let daemon = world.start().await;
        until_up(&daemon, "b0").await;
        assert!(names_the_state(&log::take(), "last-good.json"));
        world.write(&with(2));
        assert_eq!(reload(&daemon).await.added.len(), 1);
        until_up(&daemon, "b1").await;
        assert!(names_the_state(&log::take(), "last-good.json"));
        sleep(Duration::from_mins(2)).await;
        assert!(names_the_state(&log::take(), "accepted"));
        assert!(daemon.shut_down().await);
    });
}

/// A process of its own has a limit of 0 octets for each file, and what a full disk gives: a write that fails
#[test]
fn a_full_disk_is_told_and_leaves_the_state_of_before() {
    if env::var_os(IS_FULL).is_some() {
        return in_virtual_time(on_a_full_disk(Path::new(&env::var_os(IS_FULL).unwrap())));
    }
    let state = env::temp_dir().join(format!("pptp-scale-full-{}", std::process::id()));
    let _ = fs::remove_dir_all(&state);
    fs::create_dir_all(&state).unwrap();
    in_virtual_time(async {
        let world = World::new(1, Duration::from_millis(10));
        world.write(&in_state(&state, 1));
        let daemon = world.start().await;
        until_up(&daemon, "b0").await;
        assert!(daemon.shut_down().await);
    });
    let files = || {
        let read = |name| fs::read_to_string(state.join(name)).unwrap();
        let count = fs::read_dir(&state).unwrap().count();
        (read("last-good.json"), read("accepted"), count)
    };
    let before = files();
    assert_eq!(before.2, 2);
    // the configuration is written before the limit holds
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(env::current_exe().unwrap());
    child.args(["state::a_full_disk_is_told_and_leaves_the_state_of_before", "--exact"]);
    let output = child.env(IS_FULL, &state).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let after = files();
    fs::remove_dir_all(&state).unwrap();
    assert_eq!(before, after);
}

async fn on_a_full_disk(state: &Path) {
    let world = World::new(2, Duration::from_millis(10));
    world.write(&in_state(state, 2));
    let unlimited = getrlimit(Resource::Fsize).maximum;
    let full = Rlimit { current: Some(0), maximum: unlimited };
    setrlimit(Resource::Fsize, full).unwrap();
    log::begin();
    let daemon = world.start().await;
    for site in ["b0", "b1"] {
        until_up(&daemon, site).await;
    }
    assert!(names_the_state(&log::take(), "last-good.json"));
    sleep(Duration::from_mins(2)).await;
    assert!(names_the_state(&log::take(), "accepted"));
    assert!(daemon.shut_down().await);
}

#[test]
fn a_second_daemon_with_the_same_socket_ends_and_the_first_is_asked_on() {
    in_real_time(async {
        let world = World::new(1, Duration::from_millis(1));
        let path = world.folder.join("control.sock");
        let control = format!("[control]\nsocket = \"{}\"\n", path.display());
        world.write(&format!("{control}{}", configuration(1, 1, no_keys)));
        let daemon = world.start().await;
        let socket = unix::bind(&UnixSocket::private(path.clone())).unwrap().open().unwrap();
        let stop = CancellationToken::new();
        let server = Server::new(Arc::clone(&daemon) as Arc<dyn Control>, stop.clone());
        let serving = tokio::spawn(async move { server.serve(&socket).await });
        until_up(&daemon, "b0").await;
        let second = |arguments: &[&str]| {
            let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pptp-connector"));
            command.arg("--socket").arg(&path).args(arguments);
            async move { command.kill_on_drop(true).output().await.unwrap() }
        };
        let file = world.folder.join("connector.toml");
        let refused = second(&["run", "-c", file.to_str().unwrap()]).await;
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{told}");
        let pid = format!("another process listens there (pid {})", std::process::id());
        assert!(told.contains(&pid), "{told}");
        UnixStream::connect(&path).await.unwrap();
        let shown = second(&["show", "b0"]).await;
        assert!(String::from_utf8_lossy(&shown.stdout).contains("up"), "{shown:?}");
        stop.cancel();
        serving.await.unwrap();
        assert!(daemon.shut_down().await);
    });
}

fn in_state(state: &Path, sites: u32) -> String {
    format!("state = \"{}\"\n{}", state.display(), configuration(sites, 2, no_keys))
}

fn no_keys(_: u32) -> String {
    String::new()
}

/// Returns true if the log says so once or twice, and nothing else
fn names_the_state(lines: &[String], file: &str) -> bool {
    let is_right = |line: &String| line.contains(&format!("{file} could not be written"));
    let holds = (1..=2).contains(&lines.len()) && lines.iter().all(is_right);
    if !holds {
        println!("{lines:#?}");
    }
    holds
}

/// A folder in which root cannot make a file either
const NO_FILES: &str = "/proc/self";

/// Names the state folder for the process whose disk is full
const IS_FULL: &str = "PPTP_SCALE_FULL";
