//! The whole way of a packet in memory: a client's tunnel, stack and socket, and a peer for them
//!
//! The client takes the same steps as a turn of the crate `pptp`. The peer is a real tunnel, so that
//! every datagram is a true one, but of TCP it knows no more than a bulk transfer needs; what it
//! does is not measured.

mod cipher;
mod client;
mod dialling;
mod host;
mod one_path;
mod queues;
mod road;
mod round;
mod sizes;

use tokio::runtime::{Builder, Runtime};

pub(crate) use self::dialling::{HOST, PASSWORD, USER, server_config};
pub use self::{
    cipher::{CipherOnly, Traffic},
    client::{Client, Socket, complete},
    host::{HEADERS, Host, ip_header},
    one_path::Path,
    queues::{SendQueue, Slots},
    road::Road,
    round::{Round, round},
    sizes::{BATCHES, Direction, FULL, PACKETS, ROUND, SEGMENTS_ACKNOWLEDGED},
};

/// What sockets need around them
pub fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime needs nothing but memory")
}
