//! Links against each other and against scripted peers, in virtual time

mod answers;
#[cfg(feature = "server")]
mod authentication;
mod authenticators;
#[cfg(feature = "server")]
mod beside;
mod clear;
#[cfg(feature = "server")]
mod connect;
mod decryptor;
mod guard;
mod long_names;
mod lost_answers;
#[cfg(feature = "server")]
mod matrix;
mod options;
#[cfg(feature = "server")]
mod pairs;
mod random;
mod ras;
mod script;
mod scripted;
#[cfg(feature = "server")]
mod secrets;
#[cfg(feature = "server")]
mod wire;
mod wrong_key;

use std::time::Instant;

/// Returns the beginning of virtual time
#[expect(clippy::disallowed_methods, reason = "the one moment that all others are counted from")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}
