//! The PPTP control connection (RFC 2637 sections 2 and 3): messages and automata
//!
//! [`Message`] is the wire format. [`Decoder`] takes messages out of the TCP stream.
//! [`ControlConnection`] is the automaton of one control connection with its one call: the client's
//! side (PNS), and with the feature `server` also the server's side (PAC).
//!
//! There is no I/O and no clock in here: octets and `now` come in; octets, events and the next
//! deadline come out.
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

mod class;
mod config;
mod connection;
mod decoder;
mod event;
mod failure;
mod message;
mod quirks;

pub use class::Class;
#[cfg(feature = "server")]
pub use config::{AfterCallClear, ServerConfig};
pub use config::{Config, Timeouts};
pub use connection::{ControlConnection, State, Stats};
pub use decoder::Decoder;
pub use event::{Event, Peer, Timer};
pub use failure::{Failure, PeerMisbehaved};
pub use message::{
    CallClearRequest, CallDisconnectNotify, ControlType, DisconnectResult, EchoReply, EchoRequest,
    GeneralError, IncomingCallConnected, IncomingCallReply, IncomingCallRequest,
    IncomingCallResult, Message, OutgoingCallReply, OutgoingCallRequest, OutgoingCallResult,
    PROTOCOL_VERSION, ParseError, ReplyResult, SetLinkInfo, StartControlConnectionReply,
    StartControlConnectionRequest, StartResult, StopControlConnectionReply,
    StopControlConnectionRequest, StopReason, Text, WanErrorNotify,
};
pub use quirks::{Quirks, Recognized, Recognizer};
