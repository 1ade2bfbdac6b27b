//! The files of a daemon

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use crate::stage::{PASSWORD, SERVER_ADDRESS, USER};

/// A folder with the files of a daemon, as a package makes them; gone when dropped
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, with a configuration of one site
    pub(crate) fn new() -> Self {
        let name = format!("pptp-host-{}", std::process::id());
        let folder = Self(env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&folder.0);
        for (path, mode, owner) in [
            ("", 0o755, 0),
            ("etc", 0o750, 0),
            ("etc/secrets", 0o750, 0),
            ("elsewhere", 0o755, 0),
            ("state", 0o700, DAEMON),
            ("run", 0o755, DAEMON),
        ] {
            let path = folder.path(path);
            fs::create_dir_all(&path).expect("a folder");
            own(&path, owner, mode);
        }
        folder.write("etc/secrets/b1", PASSWORD);
        folder.configure("", "");
        folder
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/control.sock")
    }

    /// Writes a file that the daemon may read
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::write(&path, text).expect("written");
        own(&path, 0, 0o640);
    }

    /// Writes the configuration: these tables, and keys before them
    pub(crate) fn configure(&self, keys: &str, tables: &str) {
        let socket = self.socket();
        let socket = socket.display();
        let text = format!(
            "state = \"../state\"\n{keys}\n[control]\nsocket = \"{socket}\"\n{tables}\n\
             [site.b1]\nserver = \"{SERVER_ADDRESS}\"\nuser = \"{USER}\"\npassword = {{ file = \"secrets/b1\" }}\n"
        );
        self.write("etc/connector.toml", &text);
    }

    /// Copies a program to where each user may run it
    pub(crate) fn program(&self) -> PathBuf {
        let copy = self.path("pptp-connector");
        if !copy.exists() {
            fs::copy(env!("CARGO_BIN_EXE_pptp-connector"), &copy).expect("copied");
            own(&copy, 0, 0o755);
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Gives a file to a user, and to the group of the daemon
pub(crate) fn own(path: &Path, owner: u32, mode: u32) {
    chown(path, Some(owner), Some(DAEMON)).expect("root");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root");
}

/// The user and the group of the daemon
pub(crate) const DAEMON: u32 = 65_533;
