//! A TCP/IP stack and tokio sockets over any source of IP packets
//!
//! [`Stack`] is the stack proper: no I/O, no clock, no lock. IP packets and the time come in, IP
//! packets and the next deadline come out. An [`Owner`] keeps it under its lock, together with
//! whatever carries the packets, and [`Net`] makes sockets from the owner that are used like those
//! of `tokio::net`: [`TcpStream`], [`TcpListener`], [`UdpSocket`], and beside them
//! [`Net::ping`], [`Net::lookup_host`] and [`Net::lookup_txt`]. [`Local`] is an owner without any
//! carrier, for hosts in tests.
//!
//! TCP (its automaton, the retransmission timer), the echo reply and IGMP are the engine's; congestion
//! control, finding the socket of a packet, UDP, the errors, TIME-WAIT, the backlog of a listener and
//! fairness between sockets are done here.
//!
//! IPv4 only. Fragments are put together, for UDP, TCP and ICMP: four datagrams at a time, each within
//! 30 s. A UDP datagram that does not fit one packet leaves in fragments; TCP and [`Net::ping_sized`]
//! send none.
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

mod engine;
mod error;
mod icmp;
mod ip;
mod local;
mod net;
mod options;
mod shared;
mod stack;
mod stats;
mod tcp;
mod udp;

pub use error::{ShutDown, SocketError};
pub use local::{Local, LocalLink};
pub use net::{
    AddressError, DhcpAnswer, DhcpInform, LookupError, MAX_DNS_WORK, Net, OwnedReadHalf,
    OwnedWriteHalf, Owner, ReadHalf, ReuniteError, Route, TcpListener, TcpStream, ToInnerAddr,
    UdpSocket, WriteHalf,
};
pub use options::{CongestionControl, StackConfig, TcpOptions, UdpOptions};
pub use pptp_packet::Wakers;
pub use stack::Stack;
pub use stats::Stats;
