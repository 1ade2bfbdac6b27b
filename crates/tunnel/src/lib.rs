//! One PPTP tunnel as one state machine without I/O: control connection, GRE and PPP
//!
//! [`Tunnel`] joins the three protocols and owns their order and what they commit together. Octets
//! of the control connection, GRE datagrams and the time come in; events, GRE datagrams, octets
//! and the next deadline come out. Whoever does the I/O (the `pptp` crate, a simulation, a fuzzer)
//! decides when.
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
mod recorder;
#[cfg(all(test, feature = "server"))]
mod tests;
mod transcript;
mod tunnel;

#[cfg(feature = "server")]
pub use pptp_control::{AfterCallClear, ServerConfig as ControlServerConfig};
pub use pptp_control::{Failed as ControlFailure, Pattern, Peer, Quirks, Recognition, Recognized};
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
    Questions, RasCode, Reachability, RoundTripTime, StatefulReset, WrongKey,
};
#[cfg(feature = "server")]
pub use pptp_ppp::{
    Deafness, Echoes, Extras, LinkFaults, OnNak, ServerAuthentication,
    ServerConfig as LinkServerConfig, ServerEncryption, ServerOrder, SlowStart,
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
    recorder::{Kind as RecordKind, Record, Recorder},
    transcript::Transcript,
    tunnel::{Config, GreError, Tunnel},
};
