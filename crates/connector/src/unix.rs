//! Unix sockets of the daemon, and names of users and groups

use std::{
    fmt, fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::{UnixListener as StdListener, UnixStream as StdStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, FlockOperation, Gid, Mode, OFlags, chmod, chownat, fchmod, flock,
        fstat, openat,
    },
    net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt},
    process::geteuid,
};
use tokio::net::UnixListener;

use crate::settings::UnixSocket;

/// A unix socket that listens; its file goes with it
///
/// It is bound without a runtime. [`Self::open`] gives it to one.
#[derive(Debug)]
pub struct BoundSocket {
    listener: StdListener,
    file: SocketFile,
}

/// A unix socket on a runtime; its file goes with it
#[derive(Debug)]
pub struct OpenSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket, removed when this is dropped, unless another has taken its place
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: Option<Identity>,
}

/// A file, whatever its name is by now: its device and its inode
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// The reason why a unix socket cannot be bound
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there
    #[error("{path}: another process listens there{who}; end it, or choose another path")]
    Living {
        /// The path
        path: PathDisplay,
        /// The process, as far as known: ` (pid 4242)`
        who: String,
    },
    /// Another process binds there at this moment
    #[error(
        "{path}: another process{who} is about to listen there; end it, or choose another path"
    )]
    Busy {
        /// The path
        path: PathDisplay,
        /// The process, as far as known: ` (pid 4242)`
        who: String,
    },
    /// There is a file that is no socket
    #[error("{path}: there is a file that is no socket, and it is left alone; choose another path")]
    NoSocket {
        /// The path
        path: PathDisplay,
    },
    /// What is there is not the socket that this process has bound
    #[error(
        "{path}: another file has taken the place of the socket, and is left alone; \
         its folder has to be writable for the daemon's user alone"
    )]
    Replaced {
        /// The path
        path: PathDisplay,
    },
    /// There is no such group
    #[error("{path}: there is no group `{group}` in /etc/group")]
    NoGroup {
        /// The path
        path: PathDisplay,
        /// The name of the group
        group: String,
    },
    /// The system refused a step
    #[error("{path}: cannot {step}: {error}{help}")]
    System {
        /// The path
        path: PathDisplay,
        /// The step, as the end of "cannot …"
        step: &'static str,
        /// The error
        error: io::Error,
        /// The remedy, behind "; "
        help: &'static str,
    },
}

/// A path that is displayed
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathDisplay(PathBuf);

impl fmt::Display for PathDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// Binds a unix socket with its mode and group, and listens
///
/// At no moment has its file a wider mode than it has in the end. A file that an ended process left is replaced.
///
/// # Errors
/// Another process listens there, there is a file that is no socket, or the system refuses.
pub fn bind(socket: &UnixSocket) -> Result<BoundSocket, BindError> {
    let path = &socket.path;
    // else two daemons that begin together could each take the other's file for a stale one
    let _lock = Lock::take(path)?;
    let fd = bound(path)?;
    let file = SocketFile { path: path.clone(), identity: identity(path) };
    set_mode(socket, file.identity)?;
    net::listen(&fd, BACKLOG).map_err(|error| system(path, "listen", error, ""))?;
    Ok(BoundSocket { listener: StdListener::from(fd), file })
}

/// Gives the file of a socket that was bound its group and its mode
///
/// Whoever can write to its folder may have put another file there, or a link to one: that is left alone.
///
/// # Errors
/// It is another file, there is no such group, or the system refuses.
pub fn set_mode(socket: &UnixSocket, bound: Option<Identity>) -> Result<(), BindError> {
    let path = &socket.path;
    let file = opened(path, bound)?;
    if let Some(group) = socket.group.as_deref() {
        let group = Gid::from_raw(group_of(path, group)?);
        let help = "; the process has to be a member of the group";
        let changed = chownat(&file, "", None, Some(group), AtFlags::EMPTY_PATH);
        changed.map_err(|error| system(path, "give it to its group", error, help))?;
    }
    // a descriptor that is a mere place has no other way to its mode
    let place = format!("/proc/self/fd/{}", file.as_raw_fd());
    let changed = chmod(place, Mode::from_raw_mode(socket.mode & 0o777));
    changed.map_err(|error| system(path, "set its mode", error, ""))
}

/// Opens the file of a socket as a place, if it is the one that was bound
fn opened(path: &Path, bound: Option<Identity>) -> Result<OwnedFd, BindError> {
    let file = openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let file = file.map_err(|error| system(path, "look at its file", error, ""))?;
    let facts = fstat(&file).map_err(|error| system(path, "look at its file", error, ""))?;
    let is_socket = FileType::from_raw_mode(facts.st_mode).is_socket();
    let found = Identity { device: facts.st_dev, inode: facts.st_ino };
    // a second name may be that of a socket in another folder
    if !is_socket || facts.st_nlink != 1 || bound != Some(found) {
        return Err(BindError::Replaced { path: PathDisplay(path.to_owned()) });
    }
    Ok(file)
}

impl OpenSocket {
    /// Returns the listener
    pub const fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Returns the identity of its file
    pub const fn identity(&self) -> Option<Identity> {
        self.file.identity
    }
}

impl BoundSocket {
    /// Gives the socket to the current tokio runtime
    ///
    /// # Errors
    /// The runtime cannot watch one more socket.
    pub fn open(self) -> io::Result<OpenSocket> {
        let Self { listener, file } = self;
        Ok(OpenSocket { listener: UnixListener::from_std(listener)?, file })
    }

    /// Returns the path
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Returns the identity of its file
    pub const fn identity(&self) -> Option<Identity> {
        self.file.identity
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // the folder may be read-only by now: the next start replaces the file
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A lock for the time of a bind: the file `NAME.lock` beside the socket
///
/// The folder itself could be locked by everybody who can open it. Removed when dropped.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: OwnedFd,
}

impl Lock {
    fn take(socket: &Path) -> Result<Self, BindError> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        for _ in 0..LOCK_TRIES {
            let file = lock_file(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(socket, &path)),
                Err(error) => return Err(system(&path, "lock it", error, "")),
            }
            // the one that held it before has removed the file: the lock is of nothing
            let facts = fstat(&file).map_err(|error| system(&path, "look at it", error, ""))?;
            let ours = Identity { device: facts.st_dev, inode: facts.st_ino };
            if identity(&path) == Some(ours) {
                return Ok(Self { path, _file: file });
            }
        }
        Err(held(socket, &path))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // while it is still locked; one that stays harms nothing
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens the file of a lock, which only this user can open
fn lock_file(path: &Path) -> Result<OwnedFd, BindError> {
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::RUSR | Mode::WUSR);
    let file = file.map_err(|error| {
        let help = match error {
            rustix::io::Errno::NOENT => "; make the folder first, or choose another path",
            rustix::io::Errno::ROFS | rustix::io::Errno::ACCESS => {
                "; the daemon's user has to be able to write to the folder"
            }
            _ => "; remove it, or choose another path",
        };
        system(path, "make the lock of the socket", error, help)
    })?;
    let facts = fstat(&file).map_err(|error| system(path, "look at it", error, ""))?;
    let is_file = FileType::from_raw_mode(facts.st_mode).is_file();
    if !is_file || facts.st_uid != geteuid().as_raw() || facts.st_mode & 0o077 != 0 {
        let error = io::Error::other("it is another user's, or others can open it");
        return Err(system(path, "lock it", error, "; remove it, or choose another path"));
    }
    Ok(file)
}

/// Another process is at the same place
fn held(socket: &Path, lock: &Path) -> BindError {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let holder = identity(lock).and_then(|lock| holder_in(&locks, lock.inode));
    let who = holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    BindError::Busy { path: PathDisplay(socket.to_owned()), who }
}

/// Finds who holds a lock in the text of `/proc/locks`: `1: FLOCK ADVISORY WRITE 4242 fe:00:1234 0 EOF`
fn holder_in(locks: &str, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(4);
        let (pid, file) = (fields.next()?, fields.next()?);
        (file.rsplit(':').next()? == inode).then(|| pid.parse().ok())?
    })
}

/// Makes a socket and binds it, for its owner alone
fn bound(path: &Path) -> Result<OwnedFd, BindError> {
    let address = SocketAddrUnix::new(path);
    let help = "; such a path has 107 octets at most";
    let address = address.map_err(|error| system(path, "use this path", error, help))?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let fd = fd.map_err(|error| system(path, "make a socket", error, ""))?;
    // the file that bind makes has the mode of the socket, less the umask
    let changed = fchmod(&fd, Mode::RUSR | Mode::WUSR);
    changed.map_err(|error| system(path, "set the mode of a socket", error, ""))?;
    match net::bind(&fd, &address) {
        Err(rustix::io::Errno::ADDRINUSE) => {
            remove_stale(path)?;
            net::bind(&fd, &address)
        }
        bound => bound,
    }
    .map_err(|error| {
        let help = if error == rustix::io::Errno::NOENT { "; make its folder first" } else { "" };
        system(path, "bind", error, help)
    })?;
    Ok(fd)
}

/// Removes the file of a socket on which no process listens
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let shown = || PathDisplay(path.to_owned());
    let found = fs::symlink_metadata(path);
    let found = found.map_err(|error| system(path, "look at what is there", error, ""))?;
    if !found.file_type().is_socket() {
        return Err(BindError::NoSocket { path: shown() });
    }
    match StdStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let removed = fs::remove_file(path);
            removed.map_err(|error| system(path, "remove the old socket", error, ""))
        }
        Ok(stream) => {
            let peer = sockopt::socket_peercred(&stream).ok();
            let who = peer.map(|peer| format!(" (pid {})", peer.pid.as_raw_nonzero()));
            Err(BindError::Living { path: shown(), who: who.unwrap_or_default() })
        }
        // busy, or not ours: it lives
        Err(_) => Err(BindError::Living { path: shown(), who: String::new() }),
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::symlink_metadata(path).ok()?;
    Some(Identity { device: file.dev(), inode: file.ino() })
}

fn group_of(path: &Path, group: &str) -> Result<u32, BindError> {
    let number = group.parse().ok().or_else(|| {
        let table = fs::read_to_string("/etc/group").unwrap_or_default();
        id_of(&table, group)
    });
    number.ok_or_else(|| BindError::NoGroup {
        path: PathDisplay(path.to_owned()),
        group: group.to_owned(),
    })
}

fn system(
    path: &Path,
    step: &'static str,
    error: impl Into<io::Error>,
    help: &'static str,
) -> BindError {
    BindError::System { path: PathDisplay(path.to_owned()), step, error: error.into(), help }
}

/// Returns the name of a user, or its number if `/etc/passwd` has none
pub fn user_name(id: u32) -> String {
    name_in("/etc/passwd", id)
}

/// Returns the name of a group, or its number if `/etc/group` has none
pub fn group_name(id: u32) -> String {
    name_in("/etc/group", id)
}

fn name_in(table: &str, id: u32) -> String {
    let table = fs::read_to_string(table).unwrap_or_default();
    name_of(&table, id).map_or_else(|| id.to_string(), str::to_owned)
}

/// Finds a number by its name in the text of `/etc/passwd` or `/etc/group`: `name:x:number:…`
fn id_of(table: &str, name: &str) -> Option<u32> {
    entries(table).find(|(other, _)| *other == name).map(|(_, id)| id)
}

/// Finds a name by its number
fn name_of(table: &str, id: u32) -> Option<&str> {
    entries(table).find(|(_, other)| *other == id).map(|(name, _)| name)
}

fn entries(table: &str) -> impl Iterator<Item = (&str, u32)> {
    table.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        Some((name, id.parse().ok()?))
    })
}

/// Connections that wait to be accepted
const BACKLOG: i32 = 128;

/// Each further one needs another process that has bound and ended in between
const LOCK_TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of its own, gone when dropped
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("pptp-unix-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn socket(&self, mode: u32) -> UnixSocket {
            UnixSocket { path: self.0.join("a.sock"), mode, group: None }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_whatever_the_umask_and_its_file_goes_with_it() {
        let folder = Folder::new("mode");
        for mode in [0o600, 0o660, 0o666] {
            let bound = bind(&folder.socket(mode)).unwrap();
            let file = fs::metadata(bound.path()).unwrap();
            assert_eq!(file.permissions().mode() & 0o777, mode);
            StdStream::connect(bound.path()).unwrap();
            let path = bound.path().to_owned();
            drop(bound);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_second_process_is_told_of_the_first_and_takes_nothing_from_it() {
        let folder = Folder::new("two");
        let first = bind(&folder.socket(0o600)).unwrap();
        let error = bind(&folder.socket(0o600)).unwrap_err();
        assert!(matches!(error, BindError::Living { .. }), "{error}");
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        StdStream::connect(first.path()).unwrap();
    }

    #[tokio::test]
    async fn what_an_ended_process_left_is_replaced_and_what_is_no_socket_is_left_alone() {
        let folder = Folder::new("stale");
        let socket = folder.socket(0o600);
        drop(StdListener::bind(&socket.path).unwrap());
        drop(bind(&socket).unwrap());
        fs::write(&socket.path, "a text").unwrap();
        assert!(matches!(bind(&socket), Err(BindError::NoSocket { .. })));
        assert_eq!(fs::read_to_string(&socket.path).unwrap(), "a text");
    }

    #[tokio::test]
    async fn a_file_that_took_the_place_is_not_removed() {
        let folder = Folder::new("place");
        let bound = bind(&folder.socket(0o600)).unwrap();
        let path = bound.path().to_owned();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a text").unwrap();
        drop(bound);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn another_mode_is_given_to_the_socket_and_never_to_what_took_its_place() {
        let folder = Folder::new("victim");
        let victim = folder.0.join("victim");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::write(&victim, "").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        let bound = bind(&folder.socket(0o600)).unwrap();
        set_mode(&folder.socket(0o660), bound.identity()).unwrap();
        assert_eq!(mode(bound.path()), 0o660);

        fs::remove_file(bound.path()).unwrap();
        std::os::unix::fs::symlink(&victim, bound.path()).unwrap();
        let error = set_mode(&folder.socket(0o666), bound.identity()).unwrap_err();
        assert!(matches!(error, BindError::Replaced { .. }), "{error}");
        assert_eq!(mode(&victim), 0o600, "through a link");

        fs::remove_file(bound.path()).unwrap();
        let other = StdListener::bind(bound.path()).unwrap();
        fs::set_permissions(bound.path(), fs::Permissions::from_mode(0o600)).unwrap();
        set_mode(&folder.socket(0o666), bound.identity()).unwrap_err();
        assert_eq!(mode(bound.path()), 0o600, "another socket");
        drop(other);
    }

    #[tokio::test]
    async fn a_lock_on_the_folder_keeps_nobody_out_and_one_beside_the_socket_names_its_holder() {
        let folder = Folder::new("lock");
        let socket = folder.socket(0o600);
        let whole = fs::File::open(&folder.0).unwrap();
        flock(&whole, FlockOperation::NonBlockingLockExclusive).unwrap();
        drop(bind(&socket).unwrap());
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0, "no lock is left");

        let first = Lock::take(&socket.path).unwrap();
        let error = bind(&socket).unwrap_err();
        assert!(matches!(&error, BindError::Busy { .. }), "{error}");
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        drop(first);
        drop(bind(&socket).unwrap());

        let victim = folder.0.join("victim");
        std::os::unix::fs::symlink(&victim, folder.0.join("a.sock.lock")).unwrap();
        assert!(bind(&socket).unwrap_err().to_string().contains("remove it"));
        assert!(!victim.exists(), "a link is not followed");
    }

    #[test]
    fn the_holder_of_a_lock_is_found_by_the_file() {
        let locks = "1: POSIX  ADVISORY  READ 17 fe:00:1234 128 128\n\
                     1: -> FLOCK  ADVISORY  WRITE 18 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 4242 fe:00:77 0 EOF\nbad\n";
        assert_eq!(holder_in(locks, 1234), Some(17));
        assert_eq!(holder_in(locks, 77), Some(4242));
        assert_eq!(holder_in(locks, 4), None);
    }

    #[tokio::test]
    async fn what_cannot_be_is_told_with_its_remedy() {
        let folder = Folder::new("cannot");
        let mut socket = folder.socket(0o600);
        socket.path = folder.0.join("none/a.sock");
        assert!(bind(&socket).unwrap_err().to_string().contains("make the folder first"));
        socket.path = folder.0.join("a".repeat(120));
        assert!(bind(&socket).unwrap_err().to_string().contains("107 octets"));
        let mut socket = folder.socket(0o600);
        socket.group = Some("no-such-group-here".into());
        assert!(matches!(bind(&socket), Err(BindError::NoGroup { .. })));
        assert!(!socket.path.exists());
    }

    #[test]
    fn names_are_found_by_their_numbers_and_the_other_way_round() {
        let table = "root:x:0:\nbad line\nbad:x:y:\nstaff:x:50:anna,bert\n";
        assert_eq!(id_of(table, "staff"), Some(50));
        assert_eq!(id_of(table, "bad"), None);
        assert_eq!(name_of(table, 0), Some("root"));
        assert_eq!(name_of(table, 7), None);
    }
}
