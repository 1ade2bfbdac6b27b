//! Microsoft Point-To-Point Encryption (RFC 3078): Encryptor and Decryptor
//!
//! Stateless sessions of 128, 56 and 40 bits: each frame has a session key of its own, the next
//! link of a chain that only the start key begins. So the [`Encryptor`] steps once for each frame,
//! and a [`Decryptor`] follows a gap by stepping over it. [`StatefulEncryptor`] and
//! [`StatefulDecryptor`] are for servers that have stateful sessions only: less secure, and a lost
//! frame stops them for a round trip.
//!
//! RC4 has no authenticator, so nothing tells a forged frame from a true one but what comes out of
//! it. A [`Decryptor`] therefore works on copies: its state moves when the plaintext is plausible,
//! an IP packet in an allowed protocol, and not before. Work on frames that lead nowhere is metered.
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

mod agreement;
mod decryptor;
mod discard;
mod encryptor;
mod header;
mod kept;
mod key;
mod lookahead;
mod meter;
mod plaintext;
mod rc4;
mod stateful;
mod wipe;

#[cfg(feature = "__bench")]
#[doc(hidden)]
pub mod bench;

pub use decryptor::Decryptor;
pub use discard::{Discard, Stats};
pub use encryptor::Encryptor;
pub use plaintext::is_plausible_ipv4;
pub use stateful::{StatefulDecryptor, StatefulEncryptor, StatefulReset};

/// How much of the session keys is secret (RFC 3078 §2)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyStrength {
    /// 8-octet keys of which the first three octets are known
    Bits40,
    /// 8-octet keys of which the first octet is known
    Bits56,
    /// 16-octet keys
    Bits128,
}

/// Where the carrier's sequence number stands against the highest one it has committed
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ahead of it
    Ahead,
    /// It, or one behind it: late or a duplicate
    Behind,
}

/// What the carrier knows about a frame
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The carrier's sequence number: in PPTP that of GRE
    ///
    /// It counts frames, encrypted or not, modulo 2^32.
    pub sequence: u32,
    /// What the carrier makes of it
    pub order: Order,
}

/// An opened frame
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'p> {
    /// The inner PPP protocol, 0021 or 0057
    pub protocol: u16,
    /// The packet behind it, in place
    pub payload: &'p mut [u8],
}

#[cfg(test)]
mod tests;
