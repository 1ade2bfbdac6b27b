//! A network in memory: hosts, their GRE, and connections between them, on tokio's clock
//!
//! It replaces the kernel and the wire of a raw socket and a `TcpStream` in one process. It needs
//! no privilege and no real time: with `tokio::time::pause` a connect of a minute passes in
//! microseconds. The outcome is the same each time, and on every system. A PPTP client on a
//! [`Host`] takes it as its [`VirtualHost`](pptp_gre_socket::VirtualHost). `pptp-testkit` has this
//! crate as its module `memory`.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod attack;
mod clock;
mod errno;
mod faults;
mod gre;
mod host;
mod inbox;
mod network;
mod tcp;
mod trace;
mod wiretap;

pub use gre::MemorySocket;
pub use host::Host;
pub use network::{Blocked, Impairment, Network};
pub use tcp::{MemoryListener, MemoryStream};

#[cfg(test)]
mod tests;
