//! The commands over a unix socket
//!
//! In real time: a socket of the kernel knows no other. The network behind the daemon is in memory.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    time::Duration,
};

use clap::{Args, FromArgMatches};
use pptp::error::Layer;
use pptp_connector::{
    api::{ReloadError, ReloadProblem, ReloadReport},
    cli::{
        client::{
            ActArguments, CaptureArguments, Captured, Daemon, DoctorArguments, EventsArguments,
            FlightRecordArguments, PingArguments, ReloadArguments, ShowArguments, Terminal,
            capture, doctor, down, events, flight_record, ping, reload, restart, show, up,
        },
        exit::Exit,
    },
    settings::UnixSocket,
    unix::{self, BindError},
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Socket, World};

/// Reads the arguments of a command as clap does
fn arguments<A: Args + FromArgMatches>(words: &str) -> A {
    let command = A::augment_args(clap::Command::new("command").no_binary_name(true));
    let matches = command.try_get_matches_from(words.split_whitespace()).unwrap();
    A::from_arg_matches(&matches).unwrap()
}

/// A daemon whose site `b1` is up, in Berlin
async fn one_building() -> (World, pptp_testkit::Server, Socket) {
    let world = World::quick();
    let server = world.serve(1);
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "up").await;
    let socket = world.listen();
    (world, server, socket)
}

macro_rules! run {
    ($command:ident, $socket:expr, $words:expr) => {{
        let (mut terminal, captured) = Terminal::captured();
        let exit = $command($socket, &arguments($words), &mut terminal).await;
        (exit, captured)
    }};
}

async fn run_show(socket: &Path, words: &str) -> (Exit, Captured) {
    run!(show, socket, words)
}

async fn run_up(socket: &Path, words: &str) -> (Exit, Captured) {
    run!(up, socket, words)
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_named_with_its_remedy() {
    let world = World::quick();
    let socket = world.listen();
    let (exit, told) = run_show(&socket.beside("none.sock"), "").await;
    assert_eq!(exit, Exit::Daemon);
    assert!(told.err().contains("there is no daemon at"), "{}", told.err());
    assert!(told.err().contains("--socket"), "{}", told.err());
    let stale = socket.beside("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    fs::set_permissions(&stale, fs::Permissions::from_mode(0o640)).unwrap();
    let (exit, told) = run_show(&stale, "").await;
    assert_eq!(exit, Exit::Daemon);
    assert!(told.err().contains("mode 0640"), "{}", told.err());
}

#[tokio::test]
async fn a_second_daemon_on_a_living_socket_is_refused_and_the_first_one_goes_on() {
    let (_world, _server, socket) = one_building().await;
    let wanted = UnixSocket { path: socket.path.clone(), mode: 0o600, group: None };
    assert!(matches!(unix::bind(&wanted), Err(BindError::Living { .. })));
    assert_eq!(run_show(&socket.path, "").await.0, Exit::Success);
}

#[tokio::test]
async fn show_prints_a_table_a_site_or_objects() {
    let (world, _server, socket) = one_building().await;
    world.add("b2", 9, "Bonn").await;
    world.until("b2", "waiting").await;
    let (exit, told) = run_show(&socket.path, "").await;
    assert_eq!(exit, Exit::Success);
    let out = told.out();
    assert!(out.starts_with("2 sites: 1 up, 1 waiting; "), "{out}");
    assert!(out.lines().any(|line| line.starts_with("b1 ") && line.contains("192.168.1.20")));
    assert!(out.lines().any(|line| line.starts_with("b2 ") && line.contains("TcpFailed: ")));
    assert!(out.contains("other machines can reach socks 0.0.0.0:1080"), "{out}");
    let (exit, told) = run_show(&socket.path, "b1").await;
    assert_eq!(exit, Exit::Success);
    assert!(told.out().starts_with("site: b1 (city=Berlin)\n  state: up for "), "{}", told.out());
    let (_, told) = run_show(&socket.path, "@city=Bonn").await;
    assert!(!told.out().contains("b1"), "{}", told.out());
    let (_, told) = run_show(&socket.path, "--json").await;
    let object: Value = serde_json::from_str(&told.out()).unwrap();
    assert_eq!(object["sites"][1]["state"], "waiting");
    let (_, told) = run_show(&socket.path, "b1 --json").await;
    let object: Value = serde_json::from_str(&told.out()).unwrap();
    assert_eq!(object["more"]["hosts"]["device"], "192.168.1.3");
    assert!(!told.out().contains('\u{1b}'), "no colour where there is no terminal");
    for words in ["b9", "@city=Ulm"] {
        let (exit, told) = run_show(&socket.path, words).await;
        assert_eq!((exit, told.out().as_str()), (Exit::Site, ""), "{words}");
    }
}

#[tokio::test]
async fn above_40_sites_show_prints_groups_and_all_prints_each() {
    let world = World::quick();
    for number in 0..41 {
        world.add(&format!("b{number}"), 9, "Bonn").await;
    }
    world.until("b40", "waiting").await;
    world.until("b0", "waiting").await;
    let socket = world.listen();
    let (_, told) = run_show(&socket.path, "").await;
    let out = told.out();
    assert!(out.contains("SITES  SERVER"), "{out}");
    assert!(out.lines().any(|line| line.contains("10.99.0.9") && line.contains("TcpFailed")));
    assert!(!out.contains("b17"), "{out}");
    let (_, told) = run_show(&socket.path, "--all").await;
    assert!(told.out().contains("b17"), "{}", told.out());
}

#[tokio::test]
async fn up_waits_and_its_exit_code_names_the_layer() {
    let (world, _server, socket) = one_building().await;
    let (exit, told) = run!(down, &socket.path, "b1 --wait 20s");
    assert_eq!(exit, Exit::Success);
    assert!(told.out().starts_with("b1: down by "), "{}", told.out());
    let (exit, told) = run_up(&socket.path, "b1 --wait 20s").await;
    assert_eq!((exit, told.out().as_str()), (Exit::Success, "b1: up\n"));
    world.add("refused", 9, "Bonn").await;
    let (exit, told) = run_up(&socket.path, "refused --wait 1").await;
    assert_eq!(exit, Exit::Layer(Layer::Tcp), "{}", told.err());
    let server = world.serve(2);
    server.set_secret("testuser", "another");
    world.add("login", 2, "Bonn").await;
    let (exit, told) = run_up(&socket.path, "login --wait 10min").await;
    assert_eq!(exit, Exit::Layer(Layer::Authentication), "{}", told.err());
    let mut server = world.serve(3);
    server.power_off().unwrap();
    world.add("silent", 3, "Bonn").await;
    let (exit, _) = run_up(&socket.path, "silent --wait 1s").await;
    assert_eq!(exit, Exit::NotInTime);
    let (exit, told) = run_up(&socket.path, "b9 --wait 1s").await;
    assert_eq!(exit, Exit::Site);
    assert!(told.err().contains("no site `b9`"), "{}", told.err());
}

#[tokio::test]
async fn many_sites_are_acted_on_at_once_and_the_first_failure_is_the_exit() {
    let (world, _server, socket) = one_building().await;
    let _two = world.serve(2);
    world.add("b2", 2, "Berlin").await;
    world.until("b2", "up").await;
    world.add("c1", 9, "Bonn").await;
    let (exit, told) = run!(restart, &socket.path, "@city=Berlin --wait 20s");
    assert_eq!(exit, Exit::Success, "{}", told.err());
    let mut lines: Vec<_> = told.out().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["b1: up", "b2: up"]);
    let (exit, told) = run_up(&socket.path, "--all --wait 1s").await;
    assert_eq!(exit, Exit::Layer(Layer::Tcp));
    assert_eq!(told.out().lines().count(), 2);
    assert!(told.err().starts_with("c1: "), "{}", told.err());
}

#[tokio::test]
async fn a_command_for_one_site_refuses_several_and_lists_them() {
    let (world, _server, socket) = one_building().await;
    let (exit, told) = run!(ping, &socket.path, "@city=Berlin device -c 1");
    assert_eq!(exit, Exit::Success, "one site alone has that label: {}", told.err());
    world.add("b2", 9, "Berlin").await;
    let (exit, told) = run!(ping, &socket.path, "@city=Berlin device");
    assert_eq!(exit, Exit::Site);
    assert!(told.err().contains("chooses 2 sites"), "{}", told.err());
    assert!(told.err().contains("b1, b2"), "{}", told.err());
}

#[tokio::test]
async fn ping_and_doctor_end_with_the_target_when_it_does_not_answer() {
    let (_world, _server, socket) = one_building().await;
    let (exit, told) = run!(ping, &socket.path, "b1 device -c 1");
    assert_eq!(exit, Exit::Success);
    assert!(told.out().starts_with("192.168.1.3: 1: "), "{}", told.out());
    assert!(told.out().contains("1 of 1 answered, "), "{}", told.out());
    let (exit, told) = run!(ping, &socket.path, "b1 192.168.1.254 -c 1");
    assert_eq!(exit, Exit::Layer(Layer::Target));
    assert!(told.out().ends_with("0 of 1 answered\n"), "{}", told.out());
    let (exit, told) = run!(doctor, &socket.path, "b1 --target tcp:device:80");
    assert_eq!(exit, Exit::Success, "{}", told.out());
    assert!(told.out().contains("passed   target "), "{}", told.out());
    let (exit, told) = run!(doctor, &socket.path, "b1 --target tcp:device:81 --json");
    assert_eq!(exit, Exit::Layer(Layer::Target), "{}", told.out());
    let last: Value = serde_json::from_str(told.out().lines().last().unwrap()).unwrap();
    assert_eq!((&last["step"], &last["verdict"]), (&"target".into(), &"failed".into()));
}

#[tokio::test]
async fn the_doctor_of_a_login_that_is_refused_ends_with_17() {
    let world = World::quick();
    let server = world.serve(1);
    server.set_secret("testuser", "another");
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "waiting").await;
    world.daemon.set_password("wrong");
    let socket = world.listen();
    let (exit, told) = run!(doctor, &socket.path, "b1");
    assert_eq!(exit, Exit::Layer(Layer::Authentication), "{}", told.out());
    assert!(told.out().contains("failed   authentication"), "{}", told.out());
    assert!(told.out().contains("> "), "it says what to do: {}", told.out());
}

#[tokio::test]
async fn records_and_captures_are_files_of_their_owner() {
    let (_world, _server, socket) = one_building().await;
    let file = socket.beside("record.pcapng");
    let words = format!("b1 -o {}", file.display());
    let (exit, told) = run!(flight_record, &socket.path, &words);
    assert_eq!(exit, Exit::Success, "{}", told.err());
    let is_pcapng = |octets: &[u8]| octets.starts_with(&[0x0A, 0x0D, 0x0D, 0x0A]);
    assert!(is_pcapng(&fs::read(&file).unwrap()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let path = socket.path.clone();
    let capturing = tokio::spawn(async move { run!(capture, &path, "b1") });
    let (exit, _) = run!(ping, &socket.path, "b1 device -c 2");
    assert_eq!(exit, Exit::Success);
    run!(down, &socket.path, "b1 --wait 20s");
    let (exit, told) = capturing.await.unwrap();
    assert_eq!(exit, Exit::Success, "{}", told.err());
    assert!(is_pcapng(&told.octets()));
    let (exit, told) = run!(capture, &socket.path, "b1");
    assert_eq!(exit, Exit::NotInTime, "{}", told.err());
    let words = format!("b1 -o {}", socket.beside("none/record").display());
    let (exit, _) = run!(flight_record, &socket.path, &words);
    assert_eq!(exit, Exit::Program);
}

#[tokio::test]
async fn reload_prints_its_effect_or_all_problems() {
    let world = World::quick();
    let socket = world.listen();
    let (exit, told) = run!(reload, &socket.path, "");
    assert_eq!((exit, told.out().as_str()), (Exit::Success, "nothing changes\n"));
    let report = ReloadReport {
        added: vec!["b3".parse().unwrap()],
        redialled: vec![("b2".parse().unwrap(), vec!["mru".into(), "user".into()])],
        ..ReloadReport::default()
    };
    *world.daemon.reload.lock().unwrap() = Some(Ok(report));
    let (exit, told) = run!(reload, &socket.path, "--dry-run --removes 7");
    assert_eq!(exit, Exit::Success);
    let expected =
        "added: b3\ndialled anew: b2: mru, user\nnothing was changed: this was a dry run\n";
    assert_eq!(told.out(), expected);
    let asked = *world.daemon.asked.lock().unwrap().last().unwrap();
    assert_eq!((asked.removes, asked.dry_run), (Some(7), true));
    let problem = ReloadProblem { rendered: "error: a\n --> b:1:1\n".into(), ..Default::default() };
    let problems = ReloadError::Problems { problems: vec![problem], count: 1 };
    *world.daemon.reload.lock().unwrap() = Some(Err(problems));
    let (exit, told) = run!(reload, &socket.path, "");
    assert_eq!(exit, Exit::Usage);
    assert_eq!(told.err(), "error: 1 problem; nothing was changed\nerror: a\n --> b:1:1\n");
}

#[tokio::test]
async fn events_are_lines_and_end_with_the_daemon() {
    let (world, _server, socket) = one_building().await;
    let as_of = world.daemon.log().as_of();
    run!(down, &socket.path, "b1 --wait 20s");
    let path = socket.path.clone();
    let words = format!("--since {as_of}");
    let following = tokio::spawn(async move { run!(events, &path, &words) });
    // the stream of a second reader has what the first one has
    let mut answer = Daemon::new(&socket.path)
        .ask(hyper::Method::GET, &format!("/v1/events?since={as_of}"), &[])
        .await
        .unwrap();
    while let Some(line) = answer.line().await.unwrap() {
        if line == "event: down" {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.stop.cancel();
    let (exit, told) = following.await.unwrap();
    assert_eq!(exit, Exit::Daemon);
    let lines: Vec<_> = told.out().lines().map(|line| line[22..].to_owned()).collect();
    assert!(lines[0].starts_with("b1: hanging-up"), "{lines:?}");
    assert!(lines[1].starts_with("b1: down by "), "{lines:?}");
    let _: EventsArguments = arguments("--json");
}

#[tokio::test]
async fn octets_pass_through_a_connection_into_a_site() {
    let (_world, _server, socket) = one_building().await;
    let daemon = Daemon::new(&socket.path);
    let (site, to) = ("b1".parse().unwrap(), "device:80".parse().unwrap());
    let mut http = daemon.tcp(&site, &to).await.unwrap();
    http.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).await.unwrap();
    assert!(page.ends_with("building 1\n"), "{page}");
    let closed = daemon.tcp(&site, &"device:81".parse().unwrap()).await.unwrap_err();
    assert_eq!(closed.exit, Exit::Layer(Layer::Target));
    assert!(closed.message.starts_with("device:81: "), "{}", closed.message);
}

/// The names that the macro's types are inferred from
#[test]
fn wrong_arguments_are_refused() {
    fn refused<A: Args + FromArgMatches>(words: &str) {
        let command = A::augment_args(clap::Command::new("command").no_binary_name(true));
        assert!(command.try_get_matches_from(words.split_whitespace()).is_err(), "{words}");
    }
    for words in ["", "b1 --all", "B1", "@city", "b1 --wait 1h", "b1 --wait 0"] {
        refused::<ActArguments>(words);
    }
    for words in ["b1", "b1 ::1", "b1 a..b", "b1 device -c 0", "b1 device -c 101"] {
        refused::<PingArguments>(words);
    }
    refused::<DoctorArguments>("b1 --target nonsense");
    refused::<CaptureArguments>("b1 --snap 0");
    refused::<FlightRecordArguments>("b1");
    refused::<ReloadArguments>("--removes -1");
    refused::<ShowArguments>("b1 b2");
    refused::<EventsArguments>("--since x");
}
