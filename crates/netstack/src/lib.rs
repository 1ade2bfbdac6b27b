//! A TCP/IP stack and tokio sockets over any source of IP packets
//!
//! The crate has two halves. [`Stack`] is the stack: it has no I/O, no clock and no lock. IP packets and
//! the time go in, IP packets and the next deadline come out. [`Net`] makes sockets from it that are used
//! like those of `tokio::net`.
//!
//! # Quick start
//!
//! Two hosts, back to back, exchange a line over TCP:
//!
//! ```
//! use std::{io, net::Ipv4Addr, time::Instant};
//!
//! use pptp_netstack::{Local, LocalLink, StackConfig, TcpOptions, VecEgress};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! /// Carries the packets of one host to the other, for ever
//! async fn carry(from: &LocalLink, to: &LocalLink) {
//!     loop {
//!         from.ready().await;
//!         let mut packets = VecEgress::new(64);
//!         from.turn(Instant::now(), &mut packets);
//!         for packet in packets.packets {
//!             to.handle_ip(Instant::now(), &packet);
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> io::Result<()> {
//! let (client_address, server_address) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
//! // outside of an example the seed is random and secret
//! let (client, client_link) = Local::new(StackConfig::new(client_address, 1400, 1));
//! let (server, server_link) = Local::new(StackConfig::new(server_address, 1400, 2));
//!
//! let listener = server.tcp_listen((server_address, 7).into(), 1, TcpOptions::default())?;
//! let echo = async {
//!     let (mut stream, peer) = listener.accept().await?;
//!     assert_eq!(peer.ip(), client_address);
//!     let mut octets = [0; 5];
//!     stream.read_exact(&mut octets).await?;
//!     stream.write_all(&octets).await
//! };
//! let ask = async {
//!     let mut stream = client.tcp_connect((server_address, 7), TcpOptions::default()).await?;
//!     stream.write_all(b"hello").await?;
//!     let mut octets = [0; 5];
//!     stream.read_exact(&mut octets).await?;
//!     io::Result::Ok(octets)
//! };
//! tokio::select! {
//!     both = async { tokio::try_join!(echo, ask) } => assert_eq!(both?.1, *b"hello"),
//!     () = carry(&client_link, &server_link) => {}
//!     () = carry(&server_link, &client_link) => {}
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Parts
//!
//! | what you want | where |
//! |---|---|
//! | sockets, ping, names | [`Net`], [`TcpStream`], [`TcpListener`], [`UdpSocket`] |
//! | a host in a test | [`Local`] and its packets, [`LocalLink`] |
//! | packets over a carrier of your own | [`Stack`] under a lock, and [`Owner`] for the lock |
//! | the place that packets are composed in | [`Egress`], and [`VecEgress`] for tests |
//! | settings | [`StackConfig`], [`TcpOptions`], [`UdpOptions`] |
//! | errors | [`SocketError`], [`LookupError`], [`ShutDown`] |
//!
//! # Protocols
//!
//! IPv4, TCP, UDP, ICMP and IGMP; no IPv6. The state machine of TCP, its retransmission timer, the echo
//! reply and IGMP come from another crate, the engine, which one private module names. This crate adds
//! congestion control, the search for the socket of a packet, UDP, errors, TIME-WAIT, the backlog of a
//! listener, and turns that are fair between sockets.
//!
//! Fragments that come in are reassembled, for UDP, TCP and ICMP: four datagrams at a time, each within
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

mod dns;
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

pub use dns::error::LookupError;
pub use error::{ShutDown, SocketError};
pub use local::{Local, LocalLink};
pub use net::{
    AddressError, DhcpAnswer, DhcpInform, MAX_DNS_WORK, Net, OwnedReadHalf, OwnedWriteHalf, Owner,
    ReadHalf, ReuniteError, Route, TcpListener, TcpStream, ToInnerAddr, UdpSocket, WriteHalf,
};
pub use options::{CongestionControl, StackConfig, TcpOptions, UdpOptions};
pub use pptp_packet::{Egress, VecEgress, Wakers};
pub use stack::Stack;
pub use stats::Stats;
