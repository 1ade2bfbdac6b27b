//! Sealed passwords: only the daemon with the private key can read them, and only for the site that they were made for
//!
//! | file | content |
//! |---|---|
//! | `bound` | the facts about a site that a sealed password is bound to |
//! | `keys` | the key pair, and where the private key is kept |
//! | `sealed` | a sealed password: its text, its making, its opening |
//!
//! It is HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305. A manager may
//! use any implementation of it: the book says which octets go in.

mod bound;
mod keys;
mod sealed;

pub use self::{
    bound::{Bound, Part},
    keys::{InvalidKey, KeyPlace, NoKey, PrivateKey, PublicKey},
    sealed::{InvalidSealed, NotOpened, Sealed},
};

/// The name of the key, with which each sealed password begins
pub const KEY_ID: &str = "k1";

/// The `info` of HPKE
pub const INFO: &str = "pptp-connector password v1";
