//! Packet slots with headroom, the pool they come from, and the way out of a state machine
//!
//! An IP packet is composed at [`HEADROOM`] octets into a slot. The headers in front of it (MPPE,
//! PPP, GRE) are then written into the headroom, so that a packet is never moved. [`Egress`] gives
//! such a slot to a state machine or a TCP/IP stack, which does not know the slot's owner or the
//! packet's further way.
//!
//! The crate also has other parts that several crates use: [`Wakers`] and [`Waiters`], which keep
//! tasks under a lock, and wake and drop them outside it; [`Redacted`], octets that must not be
//! logged; and [`Counter`], which stops at its largest value.
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

mod counter;
mod egress;
mod packet_buf;
mod queue;
mod redacted;
mod slot_pool;
mod wakers;

pub use counter::Counter;
pub use egress::{Egress, VecEgress};
pub use packet_buf::{HEADROOM, PacketBuf, SLOT};
pub use queue::Queue;
pub use redacted::Redacted;
pub use slot_pool::SlotPool;
pub use wakers::{Waiters, Wakers, panics};
