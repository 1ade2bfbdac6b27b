//! A PPTP client: thousands of tunnels in one process, entirely in userspace
//!
//! Control connection, enhanced GRE, PPP, MS-CHAPv2 and MPPE run in this process, and each tunnel
//! has a TCP/IP stack of its own. So no kernel interface and no route is needed, and any number of
//! remote networks may use the same addresses.
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
//! # Is it really up?
//!
//! A tunnel proves its path as soon as it is up: it pings the server's inner address, and sends a packet that
//! a router must turn back. [`Tunnel::reachable`] waits for the answer and tells how it was proven. It takes
//! 3 s at most. [`Reachability::Unproven`] is no failure: some servers answer no ping.
//!
//! Later the tunnel asks again, but only when programs send and nothing comes back, or when the server says
//! that it cannot open our packets. If the path is dead, the tunnel ends within 15 s with
//! [`LinkFailure::NothingPasses`]. A dead host behind a living server ends nothing.
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
//! # Dialling again
//!
//! A tunnel that has ended stays ended: a program that wants it back connects anew. [`TunnelError::class`]
//! tells who has to act first, and [`TunnelError::retry_after`] how long to wait at least; `None` means not to
//! dial again with this configuration. [`TunnelError::advice`] is one sentence for people.
//!
//! [`TunnelConfig::resuming`] takes over what was learned of the server. Ask [`Tunnel::info`] for it at the end
//! of the tunnel, not at its beginning: only then is it known whether the server answers proofs.
//!
//! ```no_run
//! # use pptp::{Class, Client, TunnelConfig};
//! # async fn example(client: Client, mut config: TunnelConfig) {
//! let reason = loop {
//!     let reason = match client.connect(config.clone()).await {
//!         Ok(tunnel) => {
//!             // here its users get it, until it ends
//!             let reason = tunnel.closed().await;
//!             config = config.resuming(&tunnel.info());
//!             reason
//!         }
//!         Err(reason) => reason,
//!     };
//!     if reason.class() == Class::Credentials {
//!         println!("{reason}: {}", reason.advice());
//!     }
//!     match reason.retry_after() {
//!         // pauses should grow from here, and differ by chance from site to site
//!         Some(pause) => tokio::time::sleep(pause).await,
//!         None => break reason,
//!     }
//! };
//! println!("given up: {reason}");
//! # }
//! ```
//!
//! # Errors of sockets
//!
//! A socket whose tunnel has ended fails with an [`io::Error`](std::io::Error) that has the [`TunnelError`] in
//! it. [`TunnelError::from_io`] finds it, [`TunnelError::find`] does so in the errors of other libraries, and
//! [`From`] goes the other way. All other errors are those of the remote network.
//!
//! ```no_run
//! # use pptp::{TcpStream, TunnelError};
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
//! # Security
//!
//! PPTP gives reachability to legacy servers, not confidentiality against a capable
//! attacker: MS-CHAPv2 can be broken for any recorded handshake, and RC4 without a checksum lets
//! bits be flipped. What must stay secret needs TLS or SSH inside the tunnel. This library connects
//! with MS-CHAPv2 (alone or in EAP), the server's proof verified, and stateless MPPE with 128 bits,
//! or not at all, unless an option whose name says `insecure` allows less.
//!
//! # Modules of this crate
//!
//! | module | content |
//! |---|---|
//! | `client` | [`Client`], its builder and its error |
//! | `config` | [`TunnelConfig`] and its check |
//! | `connect` | [`Connecting`], the control task, redials, name resolution, questions about the login |
//! | `driver` | the task that moves all packets: turns, deadlines, the flood budget, the tunnels' shared state |
//! | `tunnel`, `weak_tunnel`, `raw_ip` | the handles that users hold: [`Tunnel`], [`WeakTunnel`], [`IpPackets`] |
//! | `info`, `stats`, `state`, `known_path` | the knowledge of a tunnel: [`Info`], [`Stats`], [`State`] |
//! | `record` | [`Capture`] and [`FlightRecord`], as pcapng |
//! | `doctor` | [`doctor()`]: the examination of a connection that fails |
//! | `hung_up` | [`HungUp`]: the wait until nothing is left on the wire |
//! | `summary`, `clock` | the `Debug` output of handles, and the clock |

mod client;
mod clock;
mod config;
mod connect;
mod doctor;
mod driver;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hung_up;
mod info;
mod known_path;
mod raw_ip;
mod record;
mod state;
mod stats;
mod summary;
mod tunnel;
mod weak_tunnel;

pub use pptp_gre_socket::{OpenError, VirtualHost};
pub use pptp_netstack::{
    AddressError, CongestionControl, DhcpAnswer, DhcpInform, LookupError, OwnedReadHalf,
    OwnedWriteHalf, ReadHalf, ReuniteError, Route, SocketError, TcpListener, TcpOptions, TcpStream,
    ToInnerAddr, UdpOptions, UdpSocket, WriteHalf,
};
pub use pptp_tunnel::{
    Assigned, AuthenticationProtocol, Class, Code, ConnectTimeline, ControlFailure, EchoPolicy,
    Encryption, EncryptionDemand, Failure, HashName, Ipv6Addresses, KeyStrength, Layer,
    LinkFailure, MppeBits, NothingPasses, Password, PasswordEncoding, Pattern, Peer, Phase, Proof,
    Quirks, RasCode, Reachability, Recognition, Recognized, Record, RecordKind, Retry,
    RoundTripTime, StatefulReset, Transcript, TunnelError, WrongKey,
};
// what failures and figures are made of
pub use pptp_netstack::ShutDown;
pub use pptp_tunnel::{
    ControlParseError, ControlType, DisconnectResult, GeneralError, GreStats, LinkProtocol,
    LinkRule, LinkStats, MppeDiscard, MppeStats, OutgoingCallResult, PeerMisbehaved, StartResult,
    Stats as TunnelStats, StopReason,
};

pub use crate::{
    client::{Client, ClientBuilder, ClientError, ClientStats},
    config::TunnelConfig,
    connect::{Connecting, Credentials, RefusedLogin},
    doctor::{Doctor, Finding, Step, Target, Verdict, doctor},
    hung_up::HungUp,
    info::Info,
    raw_ip::IpPackets,
    record::{Capture, CaptureOptions, FlightRecord},
    state::{Redial, State},
    stats::Stats,
    tunnel::Tunnel,
    weak_tunnel::WeakTunnel,
};

#[cfg(target_os = "linux")]
pub use crate::client::open_raw_socket;
