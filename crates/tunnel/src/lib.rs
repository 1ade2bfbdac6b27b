//! One PPTP tunnel as one state machine without I/O: control connection, GRE and PPP
//!
//! [`Tunnel`] joins the three protocols and owns their order and what they commit together. Octets
//! of the control connection, GRE datagrams and the time come in; events, GRE datagrams, octets
//! and the next deadline come out. The owner (the `pptp` crate, a simulation, a fuzzer) does the
//! I/O, and decides when.
//!
//! | module | content |
//! |---|---|
//! | `tunnel` | [`Tunnel`] and its options |
//! | `tunnel::events` | the reactions to the events of the parts: the phases, coming up, the end |
//! | `tunnel::receive` | the way up of a GRE datagram, and the reasons to discard it |
//! | `tunnel::ordered` | frames that need their order: stateful MPPE, and packets in the clear |
//! | `tunnel::transmit` | the way down of packets, control frames and acknowledgments |
//! | `tunnel::login` | the answers to a refused login |
//! | `tunnel::serving` | the server's side, and the ways in which servers differ in GRE |
//! | `gre_probe` | the watch over GRE during a connect |
//! | `connect_deadline`, `connect_timeline` | the time that a connect may take, and took |
//! | `event` | [`Event`], [`Facts`], [`Stats`] and the reasons for deadlines |
//! | `failure` | [`TunnelError`]: failure, layer, codes, class, retry and advice |
//! | `quirks` | [`Quirks`] of servers, and the [`Recognition`] of their kinds |
//! | `recorder`, `transcript` | the flight recorder, and the story of a connect that it tells |
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
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "a test's virtual time begins at some moment")
)]

mod connect_deadline;
mod connect_timeline;
mod event;
mod failure;
mod gre_probe;
mod quirks;
mod recorder;
#[cfg(all(test, feature = "server"))]
mod tests;
mod transcript;
mod tunnel;

#[cfg(feature = "server")]
pub use pptp_control::{AfterCallClear, ServerConfig as ControlServerConfig};
pub use pptp_control::{Failure as ControlFailure, Peer, Quirks as ControlQuirks, Recognized};
// what the failures and figures below are made of, so that their users need no other crate
pub use pptp_control::{
    ControlType, DisconnectResult, GeneralError, OutgoingCallResult,
    ParseError as ControlParseError, PeerMisbehaved, StartResult, StopReason,
};
pub use pptp_gre::Reordering;
pub use pptp_gre::Stats as GreStats;
pub use pptp_ppp::{
    AddressRequest, Assigned, AuthenticationPolicy, AuthenticationProtocol, EchoPolicy, Encryption,
    EncryptionDemand, EncryptionPolicy, Failure as LinkFailure, HashName, Ipv6Addresses,
    KeyStrength, MppeBits, NothingPasses, Password, PasswordEncoding, Proof, ProofPolicy, Question,
    Questions, Quirks as LinkQuirks, RasCode, Reachability, RoundTripTime, StatefulReset, WrongKey,
};
#[cfg(feature = "server")]
pub use pptp_ppp::{
    Deafness, Echoes, Extras, LinkFaults, OnNak, ServerAuthentication,
    ServerConfig as LinkServerConfig, ServerEncryption, ServerOrder, StartupDelays,
};
pub use pptp_ppp::{
    DecryptorStats as MppeStats, MppeDiscard, Protocol as LinkProtocol, Rule as LinkRule,
    Stats as LinkStats,
};

#[cfg(feature = "server")]
pub use crate::tunnel::{Acknowledgments, GreBehavior, ServerConfig};
pub use crate::{
    connect_timeline::{ConnectTimeline, Phase},
    event::{Event, Facts, NotNow, Stats, Timer},
    failure::{Class, Code, Failure, Layer, Retry, TunnelError},
    quirks::{Pattern, Quirks, Recognition},
    recorder::{Kind as RecordKind, Record, Recorder},
    transcript::Transcript,
    tunnel::{Config, GreError, Tunnel},
};
