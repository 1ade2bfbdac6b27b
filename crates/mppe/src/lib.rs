//! Microsoft Point-To-Point Encryption (RFC 3078): Encryptor and Decryptor
//!
//! Stateless sessions have 128, 56 or 40 bits. Each frame has a session key of its own, the next
//! link of a chain that begins with the start key. So the [`Encryptor`] takes one step for each
//! frame, and a [`Decryptor`] steps over a gap. [`StatefulEncryptor`] and [`StatefulDecryptor`] are
//! for servers that have stateful sessions only. These are less secure, and a lost frame stops them
//! for a round trip.
//!
//! RC4 has no authenticator, so only the plaintext distinguishes a genuine frame from a forged one.
//! A [`Decryptor`] therefore works on copies. Its state changes only when the plaintext is
//! plausible: an IP packet in an allowed protocol. Work on frames that do not open is limited by a
//! budget.
//!
//! ```
//! use std::time::Instant;
//!
//! use pptp_mppe::{Arrival, Decryptor, Encryptor, KeyStrength, Order};
//!
//! let start_key = [7; 16];
//! let mut sender = Encryptor::stateless(&start_key, KeyStrength::Bits128);
//! let mut receiver = Decryptor::stateless(&start_key, KeyStrength::Bits128);
//!
//! // Protocol 0021 and an IPv4 header
//! let plain = *b"\x00\x21\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";
//! let mut inner = plain;
//! let header = sender.seal(&mut inner);
//!
//! let mut frame = [&header[..], &inner[..]].concat();
//! let arrival = Arrival { sequence: 0, order: Order::Ahead };
//! let opened = receiver.open(Instant::now(), arrival, &mut frame).unwrap();
//! assert_eq!((opened.protocol, &*opened.payload), (0x0021, &plain[2..]));
//! ```
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod arrival;
mod consistent_run;
mod decryptor;
mod discard;
mod encryptor;
mod header;
mod key;
mod lookahead;
mod meter;
mod plaintext;
mod rc4;
mod skipped_keys;
mod stateful;
mod strength;
mod wipe;

#[cfg(feature = "__bench")]
#[doc(hidden)]
pub mod bench;

pub use arrival::{Arrival, Opened, Order};
pub use decryptor::Decryptor;
pub use discard::{Discard, Stats};
pub use encryptor::Encryptor;
pub use plaintext::is_plausible_ipv4;
pub use stateful::{StatefulDecryptor, StatefulEncryptor, StatefulReset};
pub use strength::KeyStrength;

#[cfg(test)]
mod tests;
