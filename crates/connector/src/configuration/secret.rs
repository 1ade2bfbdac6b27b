//! Places of passwords: files, the environment, credentials of systemd

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use pptp::Password;
use pptp_fleet::{Fetching, SecretSource, SiteName};
use tokio::task::spawn_blocking;

use super::source::open_regular;
use crate::seal::{Bound, KeyPlace, NoKey, PrivateKey, Sealed};

/// The place of a password
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PasswordPlace {
    /// A file; its first line is the password
    File(PathBuf),
    /// A variable of the environment of this process
    Environment(String),
    /// A credential of systemd, by its name
    Credential(String),
}

impl PasswordPlace {
    /// Reads the password
    ///
    /// # Errors
    /// The reason why it cannot be had, and what to do, without any octet of it.
    pub(super) fn read(&self) -> Result<Password, String> {
        match self {
            Self::File(path) => read_file(path, Readers::NotOthers),
            Self::Environment(name) => match env::var(name) {
                Ok(password) => Ok(Password::new(password)),
                Err(env::VarError::NotPresent) => {
                    Err("there is no such variable in the environment".to_owned())
                }
                Err(env::VarError::NotUnicode(_)) => Err("it is not UTF-8".to_owned()),
            },
            Self::Credential(name) => match env::var_os("CREDENTIALS_DIRECTORY") {
                // systemd keeps others out of the folder
                Some(folder) => read_file(&Path::new(&folder).join(name), Readers::Any),
                None => Err(NO_CREDENTIALS.to_owned()),
            },
        }
    }
}

impl SecretSource for PasswordPlace {
    fn name(&self) -> String {
        match self {
            Self::File(path) => format!("file {}", path.display()),
            Self::Environment(name) => format!("environment variable {name}"),
            Self::Credential(name) => format!("credential {name}"),
        }
    }

    fn fetch(&self) -> Fetching {
        let place = self.clone();
        // a folder on a network takes its time
        let read = spawn_blocking(move || place.read());
        Box::pin(async move {
            read.await.unwrap_or_else(|_| Err("a fault of this program: see the log".to_owned()))
        })
    }
}

/// A sealed password, which is opened before each dial
#[derive(Debug, Clone)]
pub(super) struct SealedPassword {
    sealed: Sealed,
    bound: Bound,
    key: KeyPlace,
    /// Differs where the sealed password or what it is bound to differs
    name: String,
}

impl SealedPassword {
    pub(super) fn new(sealed: Sealed, bound: Bound, key: KeyPlace) -> Self {
        let name = format!("sealed password {}", sealed.fingerprint());
        Self { sealed, bound, key, name }
    }

    fn open(&self) -> Result<Password, String> {
        let key = self.key.read().map_err(|error| error.to_string())?;
        self.sealed.open(&key, &self.bound).map_err(|error| error.to_string())
    }
}

impl SecretSource for SealedPassword {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fetch(&self) -> Fetching {
        let password = self.clone();
        let open = spawn_blocking(move || password.open());
        Box::pin(async move {
            open.await.unwrap_or_else(|_| Err("a fault of this program: see the log".to_owned()))
        })
    }
}

/// The sealer of passwords that come through the control interface
#[derive(Debug)]
pub(crate) struct Sealer {
    key: Result<PrivateKey, NoKey>,
    /// The sealed passwords that the sites have by now
    kept: BTreeMap<SiteName, Sealed>,
}

impl Sealer {
    /// Makes a sealer with the key of a daemon with this state folder; reads a file
    pub(crate) fn new(state: Option<PathBuf>, kept: BTreeMap<SiteName, Sealed>) -> Self {
        Self { key: KeyPlace::new(state).read(), kept }
    }

    /// Seals a password; one that the site has by now stays as it is sealed, so that nothing changes
    pub(super) fn seal(
        &self,
        site: &SiteName,
        bound: &Bound,
        password: &Password,
    ) -> Result<Sealed, String> {
        let key = self.key()?;
        if let Some(kept) = self.kept.get(site)
            && kept.open(key, bound).is_ok_and(|kept| kept == *password)
        {
            return Ok(kept.clone());
        }
        Sealed::seal(&key.public(), bound, password).map_err(|error| error.to_string())
    }

    /// Checks that a password that came sealed can be opened
    pub(super) fn check(&self, sealed: &Sealed, bound: &Bound) -> Result<(), String> {
        sealed.open(self.key()?, bound).map(drop).map_err(|error| error.to_string())
    }

    fn key(&self) -> Result<&PrivateKey, String> {
        self.key.as_ref().map_err(ToString::to_string)
    }
}

/// Users who may be able to read a file
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Any,
    /// The owner and the group, but no others
    NotOthers,
}

/// Reads the first line of a file
fn read_file(path: &Path, readers: Readers) -> Result<Password, String> {
    let file = open_regular(path).map_err(|error| explained(&error))?;
    let facts = file.metadata().map_err(|error| error.to_string())?;
    if readers == Readers::NotOthers && facts.mode() & 0o004 != 0 {
        let path = path.display();
        return Err(format!("every user can read it: chmod o= {path}"));
    }
    first_line(&file)
}

fn first_line(file: &File) -> Result<Password, String> {
    let mut octets = Vec::new();
    let read = file.take(MAX_OCTETS.saturating_add(1)).read_to_end(&mut octets);
    let length = read.map_err(|error| error.to_string())?;
    let text = String::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
    let line = text.split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    if u64::try_from(length).unwrap_or(u64::MAX) > MAX_OCTETS {
        return Err(format!("it has more than {MAX_OCTETS} octets"));
    }
    if line.is_empty() {
        return Err("its first line is empty".to_owned());
    }
    Ok(Password::new(line))
}

fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "the user of the daemon may not read it: chgrp it to the daemon's group, and chmod g+r"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// The octets of a password's file
const MAX_OCTETS: u64 = 4096;

/// The reason without the folder of credentials
const NO_CREDENTIALS: &str = "systemd has given no credentials (CREDENTIALS_DIRECTORY is not set): see LoadCredential= of the unit";

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn file(name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = env::temp_dir().join(format!("pptp-secret-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn the_first_line_of_a_file_is_the_password() {
        for (name, content, outcome) in [
            ("one", &b"geheim"[..], Ok("geheim")),
            ("line", b" ge heim \r\nmore\n", Ok(" ge heim ")),
            ("empty", b"", Err("its first line is empty")),
            ("octets", b"\xff", Err("it is not UTF-8")),
            ("long", &[b'a'; 5000], Err("it has more than 4096 octets")),
        ] {
            let path = file(name, content, 0o640);
            let read = PasswordPlace::File(path.clone()).read();
            let wanted = outcome.map(Password::new).map_err(str::to_owned);
            assert_eq!(read, wanted, "{name}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_is_refused_with_the_remedy() {
        let path = file("open", b"geheim", 0o644);
        let error = PasswordPlace::File(path.clone()).read().unwrap_err();
        assert!(error.contains("chmod o= "), "{error}");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_not_there_is_told() {
        let places = [
            PasswordPlace::File("/nonexistent/file".into()),
            PasswordPlace::File("/".into()),
            PasswordPlace::Environment("PPTP_NO_SUCH_VARIABLE".into()),
        ];
        let errors = places.map(|place| place.read().unwrap_err());
        assert_eq!(errors[0], "there is no such file");
        assert_eq!(errors[1], "it is no regular file");
        assert!(errors[2].contains("no such variable"));
    }
}
