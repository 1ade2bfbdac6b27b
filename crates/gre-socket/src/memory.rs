//! A network in memory: hosts, their GRE, and connections between them, on tokio's clock
//!
//! What the kernel and the wire do for a [`RawSocket`](crate::RawSocket) and a `TcpStream`, in one
//! process: no privilege, no real time (with `tokio::time::pause` a minute's connect passes in
//! microseconds), and the same outcome each time.

mod attack;
mod faults;
mod gre;
mod network;
mod tcp;
mod trace;

pub use gre::GreSocket;
pub use network::{Blocked, Host, Impairment, Network};
pub use tcp::{MemoryListener, MemoryStream};

#[cfg(test)]
mod tests;
