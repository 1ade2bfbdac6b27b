//! Sockets for tokio, over a stack that its owner keeps under a lock
//!
//! `handle` is at the bottom, the sockets and `open` are above it, `lookup` uses sockets, and `by_name` uses `lookup`.

mod address;
mod by_name;
mod handle;
mod inform;
mod listener;
mod lookup;
mod open;
mod ping;
mod ready;
mod split;
mod stream;
mod udp;
mod wait;

pub use self::{
    address::{AddressError, ToInnerAddr},
    handle::{Net, Owner},
    inform::{DhcpAnswer, DhcpInform, Route},
    listener::TcpListener,
    lookup::MAX_DNS_WORK,
    split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf},
    stream::TcpStream,
    udp::UdpSocket,
};
