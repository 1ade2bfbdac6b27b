//! Events of a control connection for its owner

use std::{borrow::Cow, time::Duration};

use crate::{Failure, SetLinkInfo, WanErrorNotify};

/// An event for the owner of a control connection
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The control connection is established
    Established(Peer),
    /// The call is established: GRE may flow
    CallConnected {
        /// The Call ID that GRE to the peer carries
        peer_call_id: u16,
        /// Line speed in bits a second, as the peer says
        connect_speed: u32,
        /// Packets that the peer takes without acknowledging
        window: u16,
        /// The time that the peer may need to process a full window
        processing_delay: Duration,
    },
    /// The peer answered an Echo-Request
    EchoAnswered {
        /// The time from the request to its reply
        round_trip: Duration,
    },
    /// The call ended, or could not be had, and why; [`Event::Closed`] follows in bounded time
    CallEnded(Failure),
    /// The peer's ACCMs, which mean nothing in GRE (RFC 2637 §2.15)
    SetLinkInfo(SetLinkInfo),
    /// The peer's count of line errors (RFC 2637 §2.14)
    WanError(WanErrorNotify),
    /// The control connection has ended; `Ok` if this side asked for it
    ///
    /// The remaining octets of [`poll_transmit`] must be written, and then the TCP connection
    /// closed.
    ///
    /// No event follows.
    ///
    /// [`poll_transmit`]: crate::ControlConnection::poll_transmit
    Closed(Result<(), Failure>),
}

/// The peer's description of itself, taken when the control connection was established
///
/// Nothing of it is validated: some servers say that they can do nothing, and work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Host name up to the first NUL, lossily read as UTF-8
    pub host_name: String,
    /// Vendor string up to the first NUL, lossily read as UTF-8
    pub vendor: String,
    /// Firmware revision
    pub firmware: u16,
    /// Maximum channels
    pub max_channels: u16,
    /// Framing capabilities: 1 asynchronous, 2 synchronous
    pub framing_capabilities: u32,
    /// Bearer capabilities: 1 analog, 2 digital
    pub bearer_capabilities: u32,
    /// The name of the kind of server, if it was recognized by these values
    pub recognized: Option<Cow<'static, str>>,
}

/// Reasons for a deadline of a control connection
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// A server waits for the Start-Control-Connection-Request
    #[cfg(feature = "server")]
    ControlRequest,
    /// The Start-Control-Connection-Reply is due
    ControlReply,
    /// The Outgoing-Call-Reply is due
    CallReply,
    /// After so long a silence an Echo-Request will ask for a sign of life
    EchoIdle,
    /// The Echo-Reply is due
    EchoReply,
    /// The Call-Disconnect-Notify is due
    CallDisconnect,
    /// The Stop-Control-Connection-Reply is due
    StopReply,
}
