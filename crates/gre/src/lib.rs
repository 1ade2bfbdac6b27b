//! Enhanced GRE (RFC 2637 section 4): header, sequence and acknowledgment bookkeeping
//!
//! [`Header`] is the wire format. [`Session`] is the state of one call: the sequence numbers that
//! were committed, the acknowledgments that the peer has to get, and those that it has sent.
//!
//! A datagram is judged in two steps. [`Session::check`] judges its sequence number and changes no
//! state that counts. [`Session::commit`] makes the number known, and is called only after the
//! payload was accepted. Acknowledgments name committed numbers only, so a forged datagram has no
//! effect.
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

pub use header::{Header, HeaderOctets, ParseError, call_id, enhanced_call_id};
pub use receive::{Discard, Order, Requirement, Verdict};
pub use reorder::{Placed, ReorderBuffer, Reordering};
pub use session::{Session, Stats, Timer};
