//! Code that tests, benches, simulation and examples share
//!
//! Nothing here knows of PPTP, so that each of them may use it beside any version of the crates.
//!
//! - [`digest`]: SHA-256, as a building's sink writes it
//! - [`heap`]: octets on the heap of a process that counts them
//! - [`knx`]: a question to a KNXnet/IP device, and its answer
//! - [`median()`]: the median of measured values
//! - [`wakes`]: a reader that counts how often it is woken

pub mod digest;
pub mod heap;
pub mod knx;
mod median;
pub mod wakes;

pub use median::median;
