//! A network in memory: hosts, their GRE, and connections between them, on tokio's clock
//!
//! It does in one process what the kernel and the wire do for a raw socket and a `TcpStream`: no
//! privilege, no real time (with `tokio::time::pause` a minute's connect passes in microseconds), the
//! same outcome each time, and the same on every system. A PPTP client on a [`Host`] takes it as its
//! [`VirtualHost`](pptp_gre_socket::VirtualHost). `pptp-testkit` has this crate as its module `memory`.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod attack;
mod errno;
mod faults;
mod gre;
mod network;
mod tcp;
mod trace;

pub use gre::MemorySocket;
pub use network::{Blocked, Host, Impairment, Network};
pub use tcp::{MemoryListener, MemoryStream};

#[cfg(test)]
mod tests;
