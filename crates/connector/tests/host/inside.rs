//! A confined process that tries in each of its threads what it must not do

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, ExitCode},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use pptp_connector::{
    daemon::{ConfigurationFile, Start},
    host::{Capabilities, Confinement},
};

use crate::{
    folder::{Folder, own},
    stage::{INSIDE, ROLE, play},
    starter::as_user,
};

/// What each thread may do and may not do, and how that ended
type Tried = Vec<(&'static str, Result<(), io::ErrorKind>)>;

fn run(folder: &Folder, mut command: Command) -> String {
    let output = command.env(FOLDER, folder.path("")).output().expect("it starts");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{printed}");
    printed
}

/// As the unit's user
pub(crate) fn of_user() {
    let folder = prepared();
    let copy = folder.path("inside");
    fs::copy("/proc/self/exe", &copy).expect("copied");
    own(&copy, 0, 0o755);
    let mut command = as_user("net_raw");
    command.arg(copy).env(ROLE, INSIDE);
    let printed = run(&folder, command);
    assert!(printed.contains("confined: landlock ABI "), "{printed}");
    assert!(printed.contains(", no capabilities\n"), "{printed}");
    for what in DENIED {
        assert!(printed.contains(&format!("denied in 7 of 7 threads: {what}")), "{printed}");
    }
}

/// As root, who owns most files
pub(crate) fn of_root() {
    let folder = prepared();
    // without capabilities root has no rights but those of an owner
    for path in ["state", "run"] {
        own(&folder.path(path), 0, 0o700);
    }
    let printed = run(&folder, play(INSIDE));
    assert!(printed.contains("it runs as root and can read root's files"), "{printed}");
    for what in DENIED.iter().filter(|what| **what != "open /etc/shadow") {
        assert!(printed.contains(&format!("denied in 7 of 7 threads: {what}")), "{printed}");
    }
}

fn prepared() -> Folder {
    let folder = Folder::new();
    folder.write("elsewhere/open", "everybody may read it");
    fs::set_permissions(folder.path("elsewhere/open"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path("elsewhere"), fs::Permissions::from_mode(0o777)).unwrap();
    folder.write("etc/foreign", "of another user");
    own(&folder.path("etc/foreign"), 1, 0o600);
    folder
}

/// The process itself: it confines itself with the functions of the daemon, and then makes threads
pub(crate) fn main() -> ExitCode {
    let folder = env::var_os(FOLDER).expect("a folder");
    let folder = Path::new(&folder).to_owned();
    let file = ConfigurationFile { path: folder.join("etc/connector.toml"), max_files: None };
    let start = Start::of_file(file, true).unwrap_or_else(|problems| panic!("{problems}"));
    let socket = pptp::open_raw_socket().expect("the capability is there");
    let confinement = Confinement::begin(start.folders(), Capabilities::NONE).expect("confined");
    println!("{confinement}");
    // the main thread, one beside the runtime, two workers and three that may block
    let all = Arc::<Mutex<Vec<Tried>>>::default();
    let note = {
        let (all, folder) = (Arc::clone(&all), folder);
        move || all.lock().unwrap().push(attempts(&folder))
    };
    note();
    thread::spawn(note.clone()).join().unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).on_thread_start(note).enable_all().build().unwrap();
    runtime.block_on(async {
        let blocking = [(); 3]
            .map(|()| tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(300))));
        for task in blocking {
            task.await.unwrap();
        }
        // the socket that was opened before serves all the same
        pptp::Client::builder().raw_socket(socket).build().expect("no capability is needed");
    });
    drop(runtime);
    report(&all.lock().unwrap());
    ExitCode::SUCCESS
}

fn attempts(folder: &Path) -> Tried {
    let kind = |outcome: io::Result<()>| outcome.map_err(|error| error.kind());
    let opened = |path: &Path| kind(File::open(path).map(drop));
    let created = |path: &str| {
        let path = folder.join(path);
        let path =
            path.with_extension(format!("{:?}", thread::current().id()).replace(['(', ')'], ""));
        let made = File::create_new(&path).and_then(|_| fs::remove_file(&path));
        kind(made)
    };
    let raw = pptp::open_raw_socket();
    vec![
        ("execve", kind(Command::new("/bin/true").status().map(drop))),
        ("open a raw socket", raw.map(drop).map_err(|_| io::ErrorKind::PermissionDenied)),
        ("open /etc/shadow", opened(Path::new("/etc/shadow"))),
        ("open another user's file", opened(&folder.join("etc/foreign"))),
        ("open a file elsewhere", opened(&folder.join("elsewhere/open"))),
        ("write elsewhere", created("elsewhere/new")),
        ("write to the configuration", created("etc/new")),
        ("signal a process outside", kind(signal_parent())),
        ("read the configuration", opened(&folder.join("etc/connector.toml"))),
        ("read the password", opened(&folder.join("etc/secrets/b1"))),
        ("read /etc/resolv.conf", opened(Path::new("/etc/resolv.conf"))),
        ("read /proc/net/raw", opened(Path::new("/proc/self/net/raw"))),
        ("read /sys", kind(fs::read_dir("/sys/class/net").map(drop))),
        ("write to the state", created("state/new")),
        ("write to the sockets", created("run/new")),
    ]
}

/// Sends a signal that does nothing
fn signal_parent() -> io::Result<()> {
    let parent = rustix::process::getppid().expect("there is one");
    Ok(rustix::process::test_kill_process(parent)?)
}

/// Prints how each attempt ended in how many threads
fn report(all: &[Tried]) {
    let threads = all.len();
    let first = all.first().expect("the main thread");
    for (nth, (what, _)) in first.iter().enumerate() {
        let ends: Vec<_> = all.iter().map(|tried| tried[nth].1).collect();
        let denied = ends.iter().filter(|it| **it == Err(io::ErrorKind::PermissionDenied)).count();
        let done = ends.iter().filter(|it| it.is_ok()).count();
        println!("denied in {denied} of {threads} threads: {what} (done in {done}: {ends:?})");
        assert!(DENIED.contains(what) || done == threads, "{what}: {ends:?}");
    }
}

/// What no thread may do
const DENIED: [&str; 8] = [
    "execve",
    "open a raw socket",
    "open /etc/shadow",
    "open another user's file",
    "open a file elsewhere",
    "write elsewhere",
    "write to the configuration",
    "signal a process outside",
];

/// The folder of the files
const FOLDER: &str = "PPTP_HOST_FOLDER";
