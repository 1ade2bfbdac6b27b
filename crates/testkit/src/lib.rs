//! PPTP servers with buildings behind them, for tests of PPTP clients and of programs that use them
//!
//! A [`Server`] answers PPTP as pptpd, accel-ppp or Windows RRAS does, with MS-CHAPv2 and MPPE, or as
//! one of the servers that are met in the field and named by a [`Profile`], and
//! behind it lies the network of a building, always the same one:
//!
//! | address | service | effect |
//! |---|---|---|
//! | 192.168.1.1 | DNS, UDP and TCP 53 | `whoami.lan` TXT `building-N`, `knx.lan` A 192.168.1.3, `big.lan` TXT too large for UDP; any other name does not exist |
//! | 192.168.1.1 | DHCP, UDP 67 | answers DHCPINFORM with the routes of [`ServerBuilder::dhcp`], if there are any |
//! | 192.168.1.3 | HTTP, TCP 80 | `GET /` gives `building N`, `GET /16M` sixteen MiB of the building's [`content`], `PUT` the SHA-256 of the octets put |
//! | 192.168.1.3 | echo, TCP and UDP 7 | sends back the octets it gets (RFC 862) |
//! | 192.168.1.3 | sink, TCP 9 | answers the SHA-256 of the octets that came, once its peer has closed its half |
//! | 192.168.1.3 | sink, UDP 9 | answers the SHA-256 of each datagram, as a line |
//! | 192.168.1.3 | source, UDP 19 | reads a decimal number of octets and answers with one datagram of as many: [`content::datagram`] |
//! | 192.168.1.3 | source, TCP 19 | reads a line with a number of octets and sends as many; an empty line: without end |
//! | 192.168.1.3 | KNXnet/IP, UDP 3671 | describes a device called `building-N`, is found by a search, and tunnels: [`KnxGateway`] |
//! | both | ICMP | answers echo requests |
//! | 192.168.1.254 | none | drops all packets: the [`BLACK_HOLE`] |
//! | any other | ICMP | the router says "host unreachable", 100 times a second to a client |
//!
//! Hosts of your own are added by [`Server::add_host`], at any address, and taken out by [`Server::remove_host`]; they
//! have the calls of `pptp`'s `Tunnel`.
//! [`Server::net`] makes sockets of the two hosts that are always there.
//!
//! Each client gets an address of its own from 192.168.1.20 on, and can itself be reached from the
//! building. What a host sends to 255.255.255.255, to 192.168.1.255 or to a multicast group reaches every client;
//! clients do not reach each other. The number of the building is in every answer, so
//! that a test notices when two buildings are mixed up. Packets that are larger than a client's MTU reach it in
//! fragments, as any router makes them, unless Don't Fragment is set or they are for everyone.
//!
//! A server can be made to fail in part while clients are connected, by [`Server::set_faults`]:
//!
//! | [`Faults`] | effect on a client |
//! |---|---|
//! | `deaf`, [`Deafness::ResetRequests`] | its encrypted packets are not opened; a CCP Reset-Request for each packet, as from pppd |
//! | `deaf`, [`Deafness::RejectsMppe`] | they are not opened; a Protocol-Reject of 0x00FD for each packet, as from accel-ppp |
//! | `deaf`, [`Deafness::RejectsRandom`] | they are not opened; Protocol-Rejects of random protocols, as with a wrong key |
//! | `deaf`, [`Deafness::Silent`] | they are not opened; no message |
//! | `mute`, [`Muteness::Garbled`] | inner packets of the server do not open |
//! | `mute`, [`Muteness::Silent`] | no inner packet comes from the server |
//! | `lcp_echoes`, [`Echoes::Unanswered`] | no LCP Echo-Reply, ever |
//! | `lcp_echoes`, [`Echoes::WithPeersMagic`] | LCP Echo-Replies with its own Magic-Number |
//! | `ignores_control_echoes` | no Echo-Reply of the control connection |
//! | `ignores_pings` | 192.168.1.1, the server's inner address, answers no ping |
//! | `hides_expired` | no "time exceeded" for a packet to a host of the building whose time to live is 1 |
//! | `hosts_are_dead` | packets to all hosts but 192.168.1.1 vanish |
//!
//! Servers that negotiate in unusual ways are profiles: [`Profile::AccelPppOnBusyMachine`],
//! [`Profile::NaksDnsForever`], [`Profile::TurnsIpcpAway`]. Their times and numbers can be chosen by [`Extras`].
//!
//! A whole server fails by [`Server::power_off`] (silence), by [`Server::restart`], and when it is dropped (as a
//! process that is killed). Lines fail by [`memory::Network::set_impairment`]: they lose, delay and reorder GRE. The
//! control connection is TCP, and loses nothing. [`memory::Host::unplug`] and [`memory::Host::plug_in`] cut a line for a
//! while. Accounts change by [`Server::set_secret`].
//!
//! Servers live in a [`memory::Network`], without privileges and real time, or on real sockets.
//! All time is tokio's: with the clock paused an hour passes in an instant, and a run has the same
//! outcome each time. A test is `#[tokio::test(start_paused = true)]`, with tokio's features `macros`, `rt`, `test-util`
//! and `io-util`.
//!
//! ```
//! use std::{net::Ipv4Addr, time::Duration};
//!
//! use pptp::{Client, TunnelConfig};
//! use pptp_testkit::{Server, memory};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let network = memory::Network::new(0);
//! network.set_latency(Duration::from_millis(20));
//! let server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
//!
//! let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
//! let tunnel = client.connect(TunnelConfig::new("10.99.0.7", "testuser", "test123")).await?;
//! let mut http = tunnel.tcp_connect(([192, 168, 1, 3], 80)).await?;
//! http.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
//! let mut page = String::new();
//! http.read_to_string(&mut page).await?;
//! assert!(page.ends_with("building 7\n"));
//!
//! drop(http);
//! tunnel.close().await;
//! server.idle().await;
//! assert!(server.stats().ended[0].is_clean(), "the server saw a proper hang-up");
//! # Ok(())
//! # }
//! ```
//!
//! A service of your own is a host of your own. Here it is a device that speaks Modbus/TCP; the line loses packets, and
//! the server is started again:
//!
//! ```
//! use std::{io, net::Ipv4Addr, time::Duration};
//!
//! use pptp::{Client, Tunnel, TunnelConfig};
//! use pptp_testkit::{Server, TcpStream, memory};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! const PLC: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);
//!
//! /// The device: its holding register `n` has the value 1000 + n
//! async fn serve(mut client: TcpStream) -> io::Result<()> {
//!     let mut request = [0; 12];
//!     loop {
//!         client.read_exact(&mut request).await?;
//!         let [id_high, id_low, .., unit, 3, high, low, _, count] = request else {
//!             return Err(io::ErrorKind::InvalidData.into());
//!         };
//!         let first = u16::from_be_bytes([high, low]);
//!         let mut answer = vec![id_high, id_low, 0, 0, 0, 3 + 2 * count, unit, 3, 2 * count];
//!         answer.extend((first..).take(count.into()).flat_map(|n| (1000 + n).to_be_bytes()));
//!         client.write_all(&answer).await?;
//!     }
//! }
//!
//! /// The program that is tested: reads holding registers
//! async fn read(tunnel: &Tunnel, first: u8, count: u8) -> io::Result<Vec<u16>> {
//!     let mut plc = tunnel.tcp_connect((PLC, 502)).await?;
//!     plc.write_all(&[0, 1, 0, 0, 0, 6, 1, 3, 0, first, 0, count]).await?;
//!     let mut answer = vec![0; 9 + 2 * usize::from(count)];
//!     plc.read_exact(&mut answer).await?;
//!     Ok(answer[9..].chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]])).collect())
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let network = memory::Network::new(0);
//! network.set_latency(Duration::from_millis(20));
//! let loss = memory::Impairment { loss_per_mille: 50, ..memory::Impairment::default() };
//! network.set_impairment(loss);
//!
//! let mut server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
//! let listener = server.add_host(PLC)?.tcp_listen(502, 8)?;
//! tokio::spawn(async move {
//!     while let Ok((client, _address)) = listener.accept().await {
//!         tokio::spawn(serve(client));
//!     }
//! });
//!
//! let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
//! let config = TunnelConfig::new("10.99.0.7", "testuser", "test123");
//! let tunnel = client.connect(config.clone()).await?;
//! for first in 0..20 {
//!     let expected = vec![1000 + u16::from(first), 1001 + u16::from(first)];
//!     assert_eq!(read(&tunnel, first, 2).await?, expected, "what is lost is sent again");
//! }
//!
//! server.restart().await?;
//! assert_eq!(tunnel.closed().await.name(), "ConnectionLost");
//! assert!(read(&tunnel, 0, 1).await.is_err(), "a tunnel that has ended stays so");
//! let tunnel = client.connect(config).await?;
//! assert_eq!(read(&tunnel, 7, 1).await?, [1007], "the device had power all the time");
//! # Ok(())
//! # }
//! ```
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

mod builder;
mod building;
mod client;
mod clients;
mod connection;
pub mod content;
mod faults;
mod fragment;
mod ground;
mod hosts;
mod ipv6;
mod lan;
mod lan_host;
mod listener;
mod nat;
mod options;
mod profile;
mod router;
mod server;
mod socket;
mod stacks;
mod stats;
mod tasks;
mod unreachable;
mod writer;

pub use pptp_control::{
    AfterCallClear, OutgoingCallResult, Quirks as ControlQuirks, ServerConfig as Control,
    StartResult,
};
pub use pptp_memory_net as memory;
pub use pptp_netstack::{
    Net, Route, TcpListener, TcpOptions, TcpStream, ToInnerAddr, UdpOptions, UdpSocket,
};
pub use pptp_ppp::{
    AuthenticationProtocol, Deafness, EchoPolicy, Echoes, Extras, HashName, OnNak,
    PasswordEncoding, Protocol, RasCode, ServerAuthentication, ServerEncryption, ServerOrder,
    StartupDelays, StatefulReset,
};
pub use pptp_tunnel::{Acknowledgments, MppeBits, TunnelError};

pub use crate::{
    builder::ServerBuilder,
    faults::{Faults, Muteness},
    hosts::{Dhcp, KnxEndpoints, KnxGateway, KnxState},
    lan::{BLACK_HOLE, DEVICE, ROUTER},
    lan_host::LanHost,
    nat::Nat,
    options::Closes,
    profile::{GRE_ELSEWHERE, Profile},
    server::Server,
    stats::{Ended, LoggedIn, Stats},
};
