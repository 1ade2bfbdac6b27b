//! The control socket of a command that runs a daemon

use std::{
    env, fmt, fs,
    hash::{BuildHasher, RandomState},
    io,
    net::TcpListener as StdListener,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::process::geteuid;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{client::Failure, exit::Exit};
use crate::{
    api,
    daemon::Daemon,
    settings::{ApiListener, Listen, UnixSocket},
    unix::{self, BoundSocket, OpenSocket},
    way_in::bind_tcp,
};

/// The control interface of a daemon, on the control socket and the further listeners of the configuration
#[derive(Debug)]
pub(super) struct Serving {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// The bound listeners of the control interface, which belong to no runtime yet
#[derive(Debug)]
pub(super) struct BoundSockets {
    pub(super) control: BoundSocket,
    pub(super) api: Vec<BoundApi>,
}

/// A bound listener of the configuration
#[derive(Debug)]
pub(super) enum BoundApi {
    Unix(Listen, BoundSocket),
    Tcp(Listen, StdListener),
}

/// The listeners of the control interface, on a runtime
#[derive(Debug)]
pub(super) struct Sockets {
    control: OpenSocket,
    api: Vec<ApiSocket>,
}

/// A listener of the configuration, on a runtime
#[derive(Debug)]
enum ApiSocket {
    Unix(Listen, OpenSocket),
    Tcp(Listen, TcpListener),
}

/// A folder for a control socket that only this user can enter, gone with its owner
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Serving {
    /// Serves the control interface on its sockets
    pub(super) fn begin(daemon: &Arc<Daemon>, Sockets { control, api }: Sockets) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let server = api::Server::new(Arc::clone(daemon) as _, stop.clone());
        for socket in api {
            let settings = daemon.api_listeners();
            match socket {
                ApiSocket::Unix(listen, socket) => {
                    let door = server.door(listen, settings);
                    tasks.spawn(async move { door.serve_unix(&socket).await });
                }
                ApiSocket::Tcp(listen, listener) => {
                    let door = server.door(listen, settings);
                    tasks.spawn(async move { door.serve_tcp(&listener).await });
                }
            }
        }
        tasks.spawn(async move { server.serve(&control).await });
        Self { stop, tasks }
    }

    /// Ends it
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        // they have nothing to lose
        while self.tasks.join_next().await.is_some() {}
    }
}

impl BoundSockets {
    /// Gives them to the current runtime
    ///
    /// # Errors
    /// The runtime cannot watch one more socket.
    pub(super) fn open(self) -> Result<Sockets, Failure> {
        let failed = |listen: &dyn fmt::Display, error: io::Error| {
            Failure::new(Exit::Program, format!("{listen}: {error}"))
        };
        let control = self.control.open().map_err(|error| failed(&"no control socket", error))?;
        let open = |socket| match socket {
            BoundApi::Unix(listen, socket) => match socket.open() {
                Ok(socket) => Ok(ApiSocket::Unix(listen, socket)),
                Err(error) => Err(failed(&listen, error)),
            },
            BoundApi::Tcp(listen, listener) => match TcpListener::from_std(listener) {
                Ok(listener) => Ok(ApiSocket::Tcp(listen, listener)),
                Err(error) => Err(failed(&listen, error)),
            },
        };
        let api = self.api.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Sockets { control, api })
    }
}

impl BoundApi {
    /// Binds a listener of the configuration
    ///
    /// # Errors
    /// As the kernel says; another process listens there.
    pub(super) fn bind(listener: &ApiListener) -> Result<Self, Failure> {
        let listen = listener.listen();
        let failed =
            |error: String| Failure::new(Exit::Program, format!("[[api]] {listen}: {error}"));
        match listener {
            ApiListener::Unix { socket, .. } => {
                let bound = unix::bind(socket).map_err(|error| failed(error.to_string()))?;
                Ok(Self::Unix(listen, bound))
            }
            ApiListener::Tcp { address, .. } => {
                let bound = bind_tcp(*address).map_err(|error| failed(error.to_string()))?;
                Ok(Self::Tcp(listen, bound))
            }
        }
    }
}

impl Folder {
    /// Makes a folder in that of the user's session, or else among the temporary ones
    pub(super) fn make(command: &str) -> Result<Self, Failure> {
        let session = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let parent = session.filter(|folder| is_ours(folder)).unwrap_or_else(env::temp_dir);
        let made = Self::make_in(&parent, command, random);
        made.map_err(|error| {
            let message = format!("cannot make a folder in {}: {error}", parent.display());
            Failure::new(Exit::Program, message)
        })
    }

    /// Makes a folder with a random name
    fn make_in(parent: &Path, command: &str, mut chance: impl FnMut() -> u64) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..NAMES {
            let folder = parent.join(format!("pptp-{command}-{:016x}", chance()));
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                made => return made.map(|()| Self(folder)),
            }
        }
        Err(last)
    }

    /// Returns the control socket in it
    pub(super) fn socket(&self) -> UnixSocket {
        UnixSocket::private(self.0.join("control.sock"))
    }

    /// Binds the control socket in it
    pub(super) fn bind(&self) -> Result<Sockets, Failure> {
        let bound = unix::bind(&self.socket());
        let control = bound.map_err(|error| Failure::new(Exit::Program, error.to_string()))?;
        BoundSockets { control, api: Vec::new() }.open()
    }

    /// Returns the beginning of a command that asks this daemon
    pub(super) fn ask(&self) -> String {
        let program = env::args().next().unwrap_or_else(|| "pptp-connector".to_owned());
        format!("{program} --socket {}", self.socket().path.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // it is a temporary folder: what is left there harms nothing
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns true if a folder is there, of this user alone
fn is_ours(folder: &Path) -> bool {
    folder.is_absolute()
        && fs::metadata(folder).is_ok_and(|facts| {
            facts.is_dir()
                && facts.uid() == geteuid().as_raw()
                && facts.mode().trailing_zeros() >= 6
        })
}

/// Returns a random number: the keys of a hasher are random
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Names that are tried: a second one is needed only where another has been guessed
const NAMES: u32 = 16;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_has_a_name_that_nobody_foresees_and_is_for_its_owner_alone() {
        let (one, two) = (Folder::make("test").unwrap(), Folder::make("test").unwrap());
        assert!(!one.0.ends_with(format!("pptp-test-{}", std::process::id())));
        assert_ne!(one.0, two.0);
        assert_eq!(fs::metadata(&one.0).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_name_that_is_taken_is_left_alone_and_another_is_tried() {
        let parent = Folder::make("taken").unwrap();
        fs::create_dir(parent.0.join("pptp-x-0000000000000001")).unwrap();
        let mut numbers = 1..;
        let folder = Folder::make_in(&parent.0, "x", || numbers.next().unwrap()).unwrap();
        assert!(folder.0.ends_with("pptp-x-0000000000000002"));
        let error = Folder::make_in(&parent.0, "x", || 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn the_folder_of_a_session_is_taken_only_from_its_user() {
        let folder = Folder::make("session").unwrap();
        assert!(is_ours(&folder.0));
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!is_ours(&folder.0) && !is_ours(Path::new("relative")));
    }
}
