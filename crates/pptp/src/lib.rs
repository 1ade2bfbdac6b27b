//! A PPTP client: thousands of tunnels in one process, entirely in userspace
//!
//! The control connection, enhanced GRE, PPP, MS-CHAPv2 and MPPE run in this process. Each tunnel has a TCP/IP
//! stack of its own. So it needs no kernel interface and no route, and any number of remote networks may use
//! the same addresses.
//!
//! **PPTP is not secure.** It gives reachability to legacy servers, and no confidentiality against a capable
//! attacker. Read [Security](#security) before you send anything through it that must stay secret.
//!
//! # Quick start
//!
//! ```no_run
//! use pptp::{Client, TunnelConfig};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::new()?; // one raw socket: needs CAP_NET_RAW
//!     let (north, south) = tokio::try_join!(
//!         async { client.connect(TunnelConfig::new("198.51.100.1", "user", "secret")).await },
//!         async { client.connect(TunnelConfig::new("198.51.100.2", "user", "secret")).await },
//!     )?;
//!     for tunnel in [north, south] {
//!         // the same address in both, and yet two different devices
//!         let mut http = tunnel.tcp_connect(([192, 168, 1, 3], 80)).await?;
//!         http.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
//!         let mut page = String::new();
//!         http.read_to_string(&mut page).await?;
//!         println!("{}: {page}", tunnel.name());
//!         tunnel.close().await;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! | to do | use |
//! |---|---|
//! | connect, list and close tunnels | [`Client`], [`TunnelConfig`], [`Connecting`] |
//! | TCP and UDP inside a tunnel, names asked inside it | [`Tunnel`], [`net`] |
//! | raw IP packets instead of sockets | [`Tunnel::ip_packets`], [`IpPackets`] |
//! | hold a tunnel without keeping it up | [`WeakTunnel`] |
//! | know what was negotiated, and what has passed | [`Info`], [`Stats`] |
//! | know when a tunnel ends, and why | [`Tunnel::closed`], [`Tunnel::state`], [`TunnelError`] |
//! | know when nothing of it is left on the wire | [`HungUp`] |
//!
//! # Staying connected
//!
//! A tunnel that has ended stays ended: a program that wants it back connects anew. Pauses between the attempts
//! should grow from [`retry_after`](TunnelError::retry_after) on, differ by chance from site to site, and begin
//! anew once a tunnel has been up for a while: a server may accept each login and end it at once.
//! [`TunnelConfig::resuming`] takes over what was learned of the server. Ask [`Tunnel::info`] for it at the end
//! of the tunnel: only then is it known whether the server answers proofs. Wait for [`Connecting::hung_up`]
//! before the next connect: a server with one session for each login refuses a second one, which costs an hour.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pptp::{Class, Client, TunnelConfig, TunnelError};
//! use tokio::time::{Instant, sleep}; // tokio's clock, so that tests in virtual time hold
//!
//! /// Keeps a site connected; returns the reason why that is of no use any more
//! async fn keep_up(client: Client, mut config: TunnelConfig) -> TunnelError {
//!     let (mut doublings, mut refusals) = (0, 0);
//!     loop {
//!         let began = Instant::now();
//!         let connecting = client.connect(config.clone());
//!         let hung_up = connecting.hung_up();
//!         let reason = match connecting.await {
//!             Ok(tunnel) => {
//!                 refusals = 0;
//!                 // here its users get it, until it ends
//!                 let reason = tunnel.closed().await;
//!                 config = config.resuming(&tunnel.info());
//!                 reason
//!             }
//!             Err(reason) => reason,
//!         };
//!         hung_up.await;
//!         // a refused login may be an old session of ours, but not four times: ask people
//!         refusals += u32::from(reason.class() == Class::Credentials);
//!         let Some(first_pause) = reason.retry_after().filter(|_| refusals < 4) else {
//!             return reason;
//!         };
//!         if began.elapsed() > Duration::from_mins(5) {
//!             doublings = 0;
//!         }
//!         let pause = first_pause * 2_u32.pow(doublings); // of a second: 1, 2, 4 … 64 s
//!         doublings = (doublings + 1).min(6);
//!         // a program with many sites adds a chance: `pause.mul_f64(1.0 + 0.25 * rand::random::<f64>())`
//!         sleep(pause.min(Duration::from_hours(24))).await;
//!     }
//! }
//! ```
//!
//! [`Client::close`] ends each tunnel with a reason of [`Class::OwnDeed`], which has no pause: so such loops end with
//! the program, but for those that sleep.
//!
//! # Up means that packets pass
//!
//! A tunnel proves its path as soon as it is up: it pings the server's inner address, and sends a packet that
//! a router must turn back. [`Tunnel::reachable`] waits for the answer and tells how it was proven. It takes
//! 3 s at most. [`Reachability::Unproven`] is no failure: some servers answer no ping.
//!
//! Later the tunnel asks again, but only when programs send and nothing comes back, or when the server says
//! that it cannot open our packets. If the server answers LCP and yet nothing passes, the tunnel ends within 15 s
//! (23 s if it answers no ping) with [`LinkFailure::NothingPasses`](error::LinkFailure::NothingPasses). A server or a line that is silent
//! altogether is found by unanswered echoes, 70 s after its last frame; [`TunnelConfig::echo`] and
//! [`TunnelConfig::control_echo`] make that sooner. A dead host behind a living server ends nothing.
//!
//! ```no_run
//! # async fn example(client: pptp::Client, config: pptp::TunnelConfig) -> Result<(), pptp::TunnelError> {
//! let tunnel = client.connect(config).await?;
//! match tunnel.reachable().await? {
//!     pptp::Reachability::Proven(how) => println!("packets pass: {how:?}"),
//!     _ => println!("up; the server answers no ping"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Errors, and when to dial again
//!
//! A [`TunnelError`] has the answers that a supervisor needs:
//!
//! | question | answer |
//! |---|---|
//! | who has to act first? | [`TunnelError::class`]: the network, the operator, the owner of the password, … |
//! | when to dial again? | [`TunnelError::retry_after`]: the least pause; `None` means not with this configuration |
//! | in a word? | [`TunnelError::retry`]: soon, later, never, or on request |
//! | is it the password? | [`Class::Credentials`]; a refused login has a pause of an hour, since it may be an old session |
//! | what to tell people? | `Display`: name, words, phase and advice; [`TunnelError::told`] the words alone, [`TunnelError::advice`] the advice alone |
//! | what was it exactly? | [`TunnelError::failure`], one of the types in [`error`] |
//!
//! | class | least pause | for example |
//! |---|---|---|
//! | [`Network`](Class::Network) | 1 s to a minute | a lost connection; a server that does not listen |
//! | [`Busy`](Class::Busy) | half a minute | all lines of the server are taken |
//! | [`Operator`](Class::Operator) | a minute to ten | no MPPE; PAP only |
//! | [`Credentials`](Class::Credentials) | an hour; none if the account is disabled | error 691 |
//! | [`Host`](Class::Host) | 1 s to a minute | no file descriptor left on this machine |
//! | [`Configuration`](Class::Configuration), [`OwnDeed`](Class::OwnDeed) | none | a wrong option; hung up on this side |
//!
//! A socket whose tunnel has ended fails with an [`io::Error`](std::io::Error) that has the [`TunnelError`] in
//! it. [`TunnelError::from_io`] finds it, [`TunnelError::find`] does so in the errors of other libraries, and
//! [`From`] goes the other way. All other errors of sockets are those of the remote network.
//!
//! ```no_run
//! # use pptp::{TunnelError, net::TcpStream};
//! # use tokio::io::AsyncReadExt;
//! # async fn example(mut stream: TcpStream) -> std::io::Result<()> {
//! let error = match stream.read(&mut [0; 512]).await {
//!     Ok(_) => return Ok(()),
//!     Err(error) => error,
//! };
//! match TunnelError::from_io(&error) {
//!     // nothing is wrong with the device: its site is to be dialled again
//!     Some(ended) => println!("{}; again after {:?}", ended.advice(), ended.retry_after()),
//!     None => println!("the device or its network: {error}"),
//! }
//! # Err(error)
//! # }
//! ```
//!
//! # Testing
//!
//! The crate `pptp-testkit` has servers with buildings behind them, in memory: no privileges, no real time. A
//! program under test gets a client of that network from its `Host`, and connects as it always does. Servers
//! can be deaf, mute, slow or dead, and lines can lose packets. The front page of `pptp-testkit` begins with a
//! test that works.
//!
//! # Finding out why
//!
//! [`doctor()`] examines a connection that fails, layer by layer, from this machine to a device, and says which
//! layer is at fault; [`Tunnel::doctor`] examines a tunnel that is up.
//! [`Connecting::flight_record`](Connecting::flight_record) has the messages of a connect that failed, and
//! [`Tunnel::capture`] the packets of a tunnel; both are written as pcapng for Wireshark (see [`record`]). This
//! crate logs with `tracing`. Secrets are in none of these but in captures, which have what programs send.
//!
//! # What clients share
//!
//! The clones of a [`Client`] are one client. Clients of one runtime whose sockets have equal options share
//! one raw socket and one driver task, because the kernel gives each GRE datagram to every raw socket of the
//! host. A client's own are its tunnels, its figures, and [`Client::close`].
//!
//! # Linux and its raw socket
//!
//! GRE needs a raw socket: Linux, and the capability `CAP_NET_RAW` while [`Client::new`] runs. Grant it with
//! `setcap cap_net_raw+ep PROGRAM`, with `AmbientCapabilities=CAP_NET_RAW` in a unit of systemd, or with
//! `--cap-add NET_RAW` to a container. A program may also open the socket first with [`open_raw_socket`], drop
//! its privileges, and hand it over with [`ClientBuilder::raw_socket`]. On other systems the crate builds, so
//! that programs and their tests do, and [`Client::new`] fails with
//! [`OpenError::Unsupported`](error::OpenError::Unsupported).
//!
//! # Security
//!
//! MS-CHAPv2 can be broken for any recorded handshake, and RC4 without a checksum lets bits be flipped. What
//! must stay secret needs TLS or SSH inside the tunnel. This library connects with MS-CHAPv2 (alone or in
//! EAP), the server's proof verified, and stateless MPPE with 128 bits, or not at all, unless an option whose
//! name says `insecure` allows less.
//!
//! # Features and versions
//!
//! | feature | what it adds |
//! |---|---|
//! | `tower` | `net::HttpConnector`, for hyper and what is built on it |
//! | `fault-injection` | a driver that can be made to panic: for tests of this crate |
//!
//! No feature is on by default. The least supported Rust version is 1.91, and tokio's is 1.54. A version of
//! this crate that needs a newer Rust is a minor version.

// The private modules: `client` has the client and its builder, `connect` a tunnel's way up (control task, redials,
// names, questions about the login), `tunnel_shared` what a tunnel's driver, tasks and handles share, `state` its
// states, `tunnel`, `weak_tunnel`, `raw_ip` and `hung_up` the handles that users hold, `known_path` whether packets
// pass, `known_quirks` the quirks of a server, `summary` the `Debug` output of handles.
mod client;
pub mod config;
mod connect;
pub mod doctor;
pub mod error;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hung_up;
pub mod info;
mod known_path;
mod known_quirks;
pub mod net;
pub mod quirks;
mod raw_ip;
pub mod record;
mod state;
pub mod stats;
mod summary;
mod tunnel;
mod tunnel_shared;
mod weak_tunnel;

#[doc(inline)]
pub use pptp_gre_socket::VirtualHost;
#[doc(inline)]
pub use pptp_tunnel::{Class, Password, Reachability};

#[cfg(target_os = "linux")]
pub use crate::client::open_raw_socket;
pub use crate::{
    client::{Client, ClientBuilder, ClientError},
    connect::Connecting,
    error::TunnelError,
    hung_up::HungUp,
    raw_ip::IpPackets,
    state::State,
    tunnel::Tunnel,
    weak_tunnel::WeakTunnel,
};
#[doc(inline)]
pub use crate::{config::TunnelConfig, doctor::doctor, info::Info, stats::Stats};
