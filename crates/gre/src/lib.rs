//! Enhanced GRE (RFC 2637 section 4): header, sequence and acknowledgment bookkeeping
//!
//! [`Header`] is the wire format, [`Session`] what one call remembers: which sequence numbers were
//! committed, what is owed to the peer as acknowledgment, and what the peer acknowledged of ours.
//!
//! A datagram is judged in two steps. [`Session::check`] says what its sequence number means and
//! changes nothing that counts; only when its payload was accepted does [`Session::commit`] make
//! the number known. Acknowledgments name committed numbers only, so a forged datagram moves
//! nothing.
//!
//! There is no clock in here: the time comes in as `now`.
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

mod header;
mod receive;
mod reorder;
mod round_trip;
mod session;
#[cfg(test)]
mod tests;
mod transmit;

pub use header::{Header, HeaderOctets, ParseError};
pub use receive::{Discard, Evidence, Order, Verdict};
pub use reorder::{Placed, ReorderBuffer, Reordering};
pub use session::{Session, Stats, Timer};
