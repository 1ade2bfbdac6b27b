//! The folders that a confined daemon reads and writes

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    settings::{ApiListener, Listen, Settings},
    way_in::Way,
};

/// The folders that a confined daemon reads and writes, as they are when it is started
///
/// Folders, and no single files: the kernel's rules are about inodes, and who replaces a file by renaming another makes a
/// new one. So `/etc/resolv.conf` and a password may be replaced, and are read all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// Those that are read: folders, and files of the root folder
    pub(super) read: BTreeSet<PathBuf>,
    /// That of the state
    pub(super) state: BTreeSet<PathBuf>,
    /// Those of unix sockets
    pub(super) sockets: BTreeSet<PathBuf>,
    /// Those of the configuration that are not there
    missing: BTreeSet<PathBuf>,
}

impl Folders {
    /// Returns the folders for a configuration, beside those of the system
    ///
    /// `paths` are its texts, the folders that it includes, and its files of passwords.
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p Path>, settings: &Settings) -> Self {
        let mut folders = Self::default();
        for folder in SYSTEM.iter().map(Path::new) {
            folders.read.extend(real(folder));
        }
        for file in RESOLVER.iter().map(Path::new) {
            // a link to a folder that is not among the others, as that of WSL
            folders.read.extend(real(file).and_then(|file| folder_of(&file)));
        }
        let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        folders.read.extend(credentials.and_then(|folder| real(&folder)));
        for path in paths {
            folders.add_read(path);
        }
        folders.state.extend(settings.state.as_deref().and_then(real));
        for socket in sockets(settings) {
            folders.sockets.extend(socket.parent().and_then(real));
        }
        folders
    }

    /// Returns the folders of the configuration that are not there: what appears there later is not read
    pub fn missing(&self) -> impl Iterator<Item = &Path> {
        self.missing.iter().map(PathBuf::as_path)
    }

    /// Returns true if a file or a folder may be read
    pub fn may_read(&self, path: &Path) -> bool {
        let all = || self.read.iter().chain(&self.state).chain(&self.sockets);
        let Some(path) = real_or_planned(path) else { return false };
        path.ancestors().any(|folder| all().any(|allowed| allowed == folder))
    }

    /// Returns true if a unix socket may be bound at a path
    pub fn may_bind(&self, path: &Path) -> bool {
        let Some(path) = real_or_planned(path) else { return false };
        path.ancestors().skip(1).any(|folder| self.sockets.contains(folder))
    }

    /// Adds the folder of a file, or a folder itself, and the folder that a link leads to
    fn add_read(&mut self, path: &Path) {
        let whole = real(path);
        let is_folder = whole.as_deref().is_some_and(Path::is_dir);
        let named = if is_folder { Some(path) } else { path.parent() };
        match named.and_then(real) {
            Some(folder) if folder.parent().is_some() => _ = self.read.insert(folder),
            // the whole system is not opened for one file
            Some(_) => self.read.extend(whole.clone().filter(|path| path.parent().is_some())),
            None => self.missing.extend(named.map(Path::to_owned)),
        }
        if let Some(folder) = whole.filter(|_| !is_folder).and_then(|file| folder_of(&file)) {
            self.read.insert(folder);
        }
    }
}

/// The unix sockets of the settings
pub(super) fn sockets(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let ways = Way::all(settings).into_iter().filter_map(|way| match way.listen() {
        Listen::Unix(socket) => Some(socket.path.clone()),
        Listen::Ip(_) => None,
    });
    let api = settings.api.iter().filter_map(|api| match api {
        ApiListener::Unix { socket, .. } => Some(socket.path.clone()),
        ApiListener::Tcp { .. } => None,
    });
    ways.chain([settings.control.0.path.clone()]).chain(api)
}

/// Returns the folder of a file, unless that is the root
fn folder_of(file: &Path) -> Option<PathBuf> {
    file.parent().filter(|folder| folder.parent().is_some()).map(Path::to_owned)
}

/// Returns a path without links in it, if it is there
fn real(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// Returns a path without links in it, of what is there or of what could be made in its folder
fn real_or_planned(path: &Path) -> Option<PathBuf> {
    real(path).or_else(|| Some(real(path.parent()?)?.join(path.file_name()?)))
}

/// Folders of the system: those of name resolution, libraries, and what the doctor looks at
///
/// `/proc` as a whole: the inodes of a process's part come and go. What others keep secret there is kept by another rule
/// of the kernel, which landlock makes stricter: a confined process may not trace those that are not confined with it.
const SYSTEM: [&str; 13] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/connman",
    "/run/nscd",
    "/proc",
    "/sys",
];

/// Files by which names are resolved; systems make links of them
const RESOLVER: [&str; 4] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf"];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::settings::{ProxyKind, ProxySettings, Rights, UnixSocket};

    /// A folder of its own, gone when dropped
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let root = env::temp_dir().join(format!("pptp-folders-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            for folder in ["conf", "real", "state", "run", "other"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            Self(fs::canonicalize(root).unwrap())
        }

        fn file(&self, path: &str) -> PathBuf {
            let path = self.0.join(path);
            fs::write(&path, "").unwrap();
            path
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn settings(root: &Root) -> Settings {
        let mut settings = Settings { state: Some(root.0.join("state")), ..Settings::default() };
        settings.control.0.path = root.0.join("run/control.sock");
        settings
    }

    #[test]
    fn the_folder_of_each_file_is_read_and_no_other() {
        let root = Root::new("read");
        let main = root.file("conf/connector.toml");
        let folders = Folders::new([main.as_path()], &settings(&root));
        for (path, may_read) in [
            ("conf/connector.toml", true),
            ("conf/not-there-yet", true),
            ("conf", true),
            ("conf/../other/file", false),
            ("conf/none/file", false),
            ("other", false),
            ("state/last-good.json", true),
            ("run/control.sock.lock", true),
        ] {
            assert_eq!(folders.may_read(&root.0.join(path)), may_read, "{path}");
        }
        assert!(folders.may_read(Path::new("/etc/resolv.conf")));
        assert!(!folders.may_read(Path::new("/")) && !folders.may_read(Path::new("/root")));
        assert_eq!(folders.missing().count(), 0);
    }

    #[test]
    fn links_are_followed_and_what_replaces_their_end_is_read() {
        let root = Root::new("links");
        root.file("real/password");
        symlink("../real/password", root.0.join("conf/password")).unwrap();
        symlink(root.0.join("conf"), root.0.join("link")).unwrap();
        let named = root.0.join("link/password");
        let folders = Folders::new([named.as_path()], &settings(&root));
        for path in ["real/another", "conf/another", "link/another"] {
            assert!(folders.may_read(&root.0.join(path)), "{path}");
        }
        assert!(!folders.may_read(&root.0.join("other/password")));
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_and_the_root_is_not_opened_for_a_file() {
        let root = Root::new("missing");
        let missing = root.0.join("none/password");
        let paths = [missing.as_path(), Path::new("/no-such-file-in-the-root")];
        let folders = Folders::new(paths, &settings(&root));
        assert_eq!(folders.missing().collect::<Vec<_>>(), [root.0.join("none")]);
        assert!(!folders.read.contains(Path::new("/")));
        assert!(!folders.may_read(&missing));
    }

    #[test]
    fn sockets_are_bound_where_sockets_were() {
        let root = Root::new("sockets");
        let mut settings = settings(&root);
        let listen = Listen::Unix(UnixSocket::private(root.0.join("other/socks.sock")));
        settings.proxies.push(ProxySettings::new(ProxyKind::Socks, listen));
        let socket = UnixSocket::private(root.0.join("real/api.sock"));
        settings.api.push(ApiListener::Unix { socket, rights: Rights::all() });
        let folders = Folders::new([], &settings);
        for (path, may_bind) in [
            ("run/another.sock", true),
            ("real/another.sock", true),
            ("other/another.sock", true),
            ("conf/a.sock", false),
            ("state/a.sock", false),
        ] {
            assert_eq!(folders.may_bind(&root.0.join(path)), may_bind, "{path}");
        }
    }
}
