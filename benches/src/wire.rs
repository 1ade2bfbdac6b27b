//! Two hosts of this bench's own: network namespaces joined by a virtual Ethernet wire
//!
//! A namespace belongs to a thread, so that a thread is a host here: nothing of the machine's own
//! network is seen or changed, and all is gone with the threads.

use std::{
    io,
    net::Ipv4Addr,
    process::Command,
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use nix::sched::{CloneFlags, unshare};
use rustix::thread::gettid;

/// A host; dropping it takes it down as soon as its jobs are done
#[derive(Debug)]
pub struct Host {
    jobs: Sender<Job>,
    /// The thread, by which the kernel names its namespace
    id: i32,
}

type Job = Box<dyn FnOnce() + Send>;

impl Host {
    /// Starts a job after those before it; its result arrives in the channel
    pub fn start<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Receiver<R> {
        let (done, result) = mpsc::channel();
        // a host that is gone, and a result that nobody wants, show in the channel
        let _ = self.jobs.send(Box::new(move || _ = done.send(job())));
        result
    }

    /// Runs a job after those before it
    pub fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        self.start(job).recv().expect("a job does not panic")
    }

    /// A thread in a network namespace of its own; fails without `CAP_SYS_ADMIN`
    fn new(name: &str) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (told, ready) = mpsc::channel();
        thread::Builder::new().name(name.into()).spawn(move || {
            let separate = unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
            if told.send(separate.map(|()| gettid().as_raw_nonzero().get())).is_ok() {
                for job in queue {
                    job();
                }
            }
        })?;
        let id = ready.recv().map_err(io::Error::other)??;
        Ok(Self { jobs, id })
    }

    fn ip(&self, arguments: String) -> io::Result<()> {
        self.run(move || {
            let output = Command::new("ip").args(arguments.split(' ')).output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(io::Error::other(said)) }
        })
    }

    fn up(&self, address: Ipv4Addr) -> io::Result<()> {
        self.ip(format!("address add {address}/24 dev {DEVICE}"))?;
        self.ip(format!("link set {DEVICE} up"))
    }
}

/// Two hosts and the wire between them, at [`NEAR`] and [`FAR`]
///
/// # Errors
///
/// Needs root and the program `ip`; the error says which of them is missing.
pub fn hosts() -> io::Result<(Host, Host)> {
    let (near, far) = (Host::new("near")?, Host::new("far")?);
    near.ip(format!("link add {DEVICE} type veth peer name {DEVICE} netns {}", far.id))?;
    near.up(NEAR)?;
    far.up(FAR)?;
    Ok((near, far))
}

/// Where the first of the [`hosts`] is
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);

/// Where the second of the [`hosts`] is
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);

const DEVICE: &str = "wire";
