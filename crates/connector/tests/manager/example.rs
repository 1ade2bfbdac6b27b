//! `examples/manager`: a manager in Python keeps 200 sites, whichever side is killed

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use pptp_connector::{api::Server, settings::UnixSocket, unix};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::world::{Running, World, site_with};

/// The example, and its lines
struct Manager {
    child: Child,
    lines: Receiver<String>,
}

impl Manager {
    fn start(world: &World) -> Self {
        let example =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/manager/manager.py");
        let mut command = Command::new("python3");
        command.arg(example).arg("--interval=1").arg("--socket").arg(world.folder.join("s"));
        command.arg(world.folder.join("buildings.json"));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python3 is there");
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // it ends with the process
            out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        Self { child, lines }
    }

    /// Waits for a line that has these words
    async fn until(self, words: &'static str) -> Self {
        let waited = spawn_blocking(move || {
            loop {
                let line = self.lines.recv_timeout(Duration::from_mins(5)).expect(words);
                if line.contains(words) {
                    return self;
                }
            }
        });
        waited.await.unwrap()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the database: so many buildings, each with an MRU
fn write(world: &World, buildings: usize, mru: u32) {
    let keys = site_with(&json!({ "mru": mru }));
    let all: Value = (0..buildings).map(|number| (format!("b{number}"), keys.clone())).collect();
    fs::write(world.folder.join("buildings.json"), all.to_string()).unwrap();
}

/// Serves the control socket of a daemon
fn serve(world: &World, running: &Running) -> JoinHandle<()> {
    let socket = UnixSocket::private(world.folder.join("s"));
    let socket = unix::bind(&socket).unwrap().open().unwrap();
    let server = Server::new(running.daemon.clone(), running.stop());
    tokio::spawn(async move { server.serve(&socket).await })
}

async fn until_up(running: &Running, count: usize) {
    for number in 0..count {
        running.until(&format!("b{number}"), "up").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_keeps_200_sites_whichever_side_is_killed() {
    let world = World::new();
    write(&world, 200, 1400);
    let running = world.start().await;
    let serving = serve(&world, &running);
    let manager = Manager::start(&world).until("reconciled: 200 added").await;
    until_up(&running, 200).await;
    let manager = manager.until(" up: ").await;
    running.ask("POST", "/v1/sites/b7/restart").await;
    let manager = manager.until("b7 hanging-up").await;

    // the manager is killed, and its database changes meanwhile
    drop(manager);
    write(&world, 190, 1400);
    let manager = Manager::start(&world).until("10 removed").await;
    assert_eq!(running.daemon.directory().all().len(), 190);

    // the daemon ends, and another one begins with what was kept
    let version = running.version().await;
    running.end().await;
    serving.await.unwrap();
    let running = world.start().await;
    let serving = serve(&world, &running);
    assert_eq!(running.version().await, version);
    until_up(&running, 190).await;
    let manager = manager.until("reconciled: 0 added, 0 changed, 0 redialled, 0 removed").await;
    assert_eq!(running.version().await, version, "what is equal is not touched");

    // half of the buildings are missing: the guard keeps them
    write(&world, 90, 1400);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(running.daemon.directory().all().len(), 190);
    drop(manager);
    running.end().await;
    serving.await.unwrap();
}
