//! The key pair of sealed passwords, and the place of the private key

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hpke::{Deserializable, Kem, Serializable, kem::X25519HkdfSha256};
use zeroize::Zeroizing;

use super::KEY_ID;
use crate::state_dir::{StateDir, StateError};

/// The private key of sealed passwords
#[derive(Clone)]
pub struct PrivateKey(pub(super) <X25519HkdfSha256 as Kem>::PrivateKey);

/// The public key, with which everybody can seal a password
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub(super) <X25519HkdfSha256 as Kem>::PublicKey);

/// The reason why a text is no key
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no key: `k1.` and 32 octets in Base64 are wanted, as `keygen` writes them")]
pub struct InvalidKey;

/// The reason why there is no private key
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// None is there
    #[error(
        "there is no sealing key: `pptp-connector keygen` makes one in the state folder, and it may be a credential \
         of systemd named `{CREDENTIAL}`"
    )]
    Absent,
    /// There is one, and it cannot be read
    #[error("the sealing key cannot be read: {0}")]
    Unreadable(String),
}

/// The place of the private key: a credential of systemd named `sealing-key`, else the file `key` in the state folder
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPlace {
    /// The folder of systemd's credentials, if it has given one
    credentials: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl PrivateKey {
    /// Makes a key of the system's random octets
    ///
    /// # Panics
    /// The system has no random octets.
    pub fn generate() -> Self {
        Self(X25519HkdfSha256::gen_keypair().0)
    }

    /// Returns the public key
    pub fn public(&self) -> PublicKey {
        PublicKey(X25519HkdfSha256::sk_to_pk(&self.0))
    }

    /// Returns the key as text
    pub fn to_text(&self) -> Zeroizing<String> {
        let octets = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        Zeroizing::new(format!("{KEY_ID}.{}", STANDARD.encode(octets.as_slice())))
    }
}

impl FromStr for PrivateKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let octets = Zeroizing::new(octets(text)?);
        Ok(Self(Deserializable::from_bytes(&octets).map_err(|_| InvalidKey)?))
    }
}

/// Prints no octet of it
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl PublicKey {
    /// Returns the octets in Base64, without the key's name: what other implementations of HPKE take
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.to_bytes())
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Ok(Self(Deserializable::from_bytes(&octets(text)?).map_err(|_| InvalidKey)?))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_ID}.{}", self.to_base64())
    }
}

impl KeyPlace {
    /// Names the place of a daemon with this state folder, in this process's environment
    pub fn new(state: Option<PathBuf>) -> Self {
        Self { credentials: env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from), state }
    }

    /// Reads the key
    ///
    /// # Errors
    /// See [`NoKey`].
    pub fn read(&self) -> Result<PrivateKey, NoKey> {
        let text = match self.credential()? {
            Some(text) => text,
            None => self.kept()?.ok_or(NoKey::Absent)?,
        };
        let text = Zeroizing::new(text);
        text.trim_end().parse().map_err(|error: InvalidKey| NoKey::Unreadable(error.to_string()))
    }

    /// Writes a new key to the state folder; it belongs to whom the folder belongs to
    ///
    /// # Errors
    /// There is one already, which is never replaced; or it cannot be written.
    pub fn create(state: &Path) -> Result<PrivateKey, StateError> {
        let key = PrivateKey::generate();
        let line = Zeroizing::new(format!("{}\n", *key.to_text()));
        StateDir::new(state).create_for_owner(FILE, &line)?;
        Ok(key)
    }

    fn credential(&self) -> Result<Option<String>, NoKey> {
        let Some(folder) = &self.credentials else { return Ok(None) };
        // systemd keeps others out of the folder
        match std::fs::read_to_string(folder.join(CREDENTIAL)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(NoKey::Unreadable(format!("credential {CREDENTIAL}: {error}"))),
        }
    }

    fn kept(&self) -> Result<Option<String>, NoKey> {
        let Some(state) = &self.state else { return Ok(None) };
        let text = StateDir::new(state).read_private(FILE);
        text.map_err(|error| NoKey::Unreadable(error.to_string()))
    }
}

fn octets(text: &str) -> Result<Vec<u8>, InvalidKey> {
    let text = text.strip_prefix(KEY_ID).and_then(|text| text.strip_prefix('.'));
    STANDARD.decode(text.ok_or(InvalidKey)?).map_err(|_| InvalidKey)
}

/// The file of the private key, in the state folder
const FILE: &str = "key";

/// The name of the credential of systemd
const CREDENTIAL: &str = "sealing-key";

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_key_is_written_once_and_only_its_owner_can_read_it() {
        let state = env::temp_dir().join(format!("pptp-key-{}", std::process::id()));
        let place = KeyPlace { credentials: None, state: Some(state.clone()) };
        assert_eq!(place.read().unwrap_err(), NoKey::Absent);
        let made = KeyPlace::create(&state).unwrap();
        let mode = fs::metadata(state.join(FILE)).unwrap().permissions().mode() & 0o777;
        let second = KeyPlace::create(&state).unwrap_err().to_string();
        let read = place.read().unwrap();
        fs::set_permissions(state.join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let open = place.read().unwrap_err().to_string();
        fs::write(state.join(FILE), "k1.AAAA\n").unwrap();
        fs::set_permissions(state.join(FILE), fs::Permissions::from_mode(0o600)).unwrap();
        let short = place.read().unwrap_err().to_string();
        fs::remove_dir_all(&state).unwrap();
        assert_eq!((mode, read.public()), (0o600, made.public()));
        assert!(second.contains("is there already"), "{second}");
        assert!(open.contains("chmod go= "), "{open}");
        assert!(short.contains("it is no key"), "{short}");
    }

    #[test]
    fn a_credential_comes_before_the_state_folder() {
        let folder = env::temp_dir().join(format!("pptp-credential-{}", std::process::id()));
        let key = KeyPlace::create(&folder).unwrap();
        let other = PrivateKey::generate();
        fs::write(folder.join(CREDENTIAL), &*other.to_text()).unwrap();
        let state = Some(folder.clone());
        let with = KeyPlace { credentials: state.clone(), state: state.clone() }.read();
        let without = KeyPlace { credentials: None, state }.read();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(with.unwrap().public(), other.public());
        assert_eq!(without.unwrap().public(), key.public());
    }

    #[test]
    fn keys_are_read_as_they_are_printed() {
        let key = PrivateKey::generate();
        assert_eq!(key.to_text().parse::<PrivateKey>().unwrap().public(), key.public());
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        assert_eq!(format!("{key:?}"), "PrivateKey");
        for text in ["", "k1.", "k2.AAAA", &key.public().to_base64()] {
            assert_eq!(text.parse::<PublicKey>(), Err(InvalidKey), "{text}");
        }
    }
}
