//! Configuration of a control connection

use std::time::Duration;

use crate::{Quirks, Recognizer};

/// The client's values for its requests
///
/// Known servers accept the default values. Single fields can be set for a server that needs
/// others: a phone number, a vendor string, a framing of 1.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host name of the Start-Control-Connection-Request, cut at 64 octets
    ///
    /// Some servers choose the client's group by it.
    pub host_name: String,
    /// Vendor string, cut at 64 octets
    pub vendor: String,
    /// Firmware revision
    pub firmware: u16,
    /// Framing capabilities: 1 asynchronous, 2 synchronous
    pub framing_capabilities: u32,
    /// Bearer capabilities: 1 analog, 2 digital
    pub bearer_capabilities: u32,
    /// Maximum channels; a PNS says 0
    pub max_channels: u16,
    /// Least line speed asked for, in bits a second
    pub minimum_speed: u32,
    /// Highest line speed asked for, in bits a second
    pub maximum_speed: u32,
    /// Bearer type asked for: 1 analog, 2 digital, 3 either
    pub bearer_type: u32,
    /// Framing type asked for: 1 asynchronous, 2 synchronous, 3 either
    pub framing_type: u32,
    /// Packets that we take without acknowledging
    pub receive_window: u16,
    /// Phone number, cut at 64 octets; empty for none
    pub phone_number: String,
    /// Subaddress, cut at 64 octets; empty for none
    pub subaddress: String,
    /// True if a Set-Link-Info with both ACCMs `FFFFFFFF` is sent after the Outgoing-Call-Reply
    pub send_link_info: bool,
    /// True if Call ID and Call Serial Number are 0, so that the peer's GRE carries 0 too
    pub zero_call_id: bool,
    /// Known quirks of this server. They replace the fields above, and they take precedence over
    /// the quirks of a recognized server.
    pub quirks: Quirks,
    /// The knowledge by which a server is recognized from its Start-Control-Connection-Reply
    pub recognizer: Recognizer,
    /// Time limits for the answers of the server
    pub timeouts: Timeouts,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_name: String::new(),
            vendor: String::from("pptp-rs"),
            firmware: 0,
            framing_capabilities: 3,
            bearer_capabilities: 3,
            max_channels: 0,
            minimum_speed: 2400,
            maximum_speed: 10_000_000,
            bearer_type: 3,
            framing_type: 3,
            receive_window: 64,
            phone_number: String::new(),
            subaddress: String::new(),
            send_link_info: false,
            zero_call_id: false,
            quirks: Quirks::NONE,
            recognizer: Recognizer::NONE,
            timeouts: Timeouts::default(),
        }
    }
}

impl Config {
    /// Returns this configuration with the quirks applied; [`Config::quirks`] take precedence over
    /// `recognized`
    pub(crate) fn with_quirks(&self, recognized: Quirks) -> Self {
        let mut config = self.clone();
        self.quirks.clone().or(recognized).apply(&mut config);
        config
    }
}

/// Time limits for the answers of the peer
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first message: the Start-Control-Connection-Reply, or the Request in a server
    ///
    /// 10 s instead of the RFC's 60 s: pptpd itself gives up after 10 s.
    pub start: Duration,
    /// For the Outgoing-Call-Reply: 20 s instead of the RFC's 60 s, so that it is told apart from a
    /// connect that took too long in all
    pub call_reply: Duration,
    /// Silence of the peer after which an Echo-Request asks for a sign of life: 60 s
    pub echo_idle: Duration,
    /// The longest wait for an Echo-Reply: 60 s
    pub echo_reply: Duration,
    /// For each of the two steps of a teardown: 2 s; more than 2.5 s counts as 2.5 s
    pub teardown_step: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(10),
            call_reply: Duration::from_secs(20),
            echo_idle: Duration::from_mins(1),
            echo_reply: Duration::from_mins(1),
            teardown_step: Duration::from_secs(2),
        }
    }
}

/// The server's values for its replies, and the behavior that it copies from a real server
#[cfg(feature = "server")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Host name of the Start-Control-Connection-Reply, cut at 64 octets
    pub host_name: String,
    /// Vendor string, cut at 64 octets
    pub vendor: String,
    /// Firmware revision
    pub firmware: u16,
    /// Framing capabilities; pptpd says 0
    pub framing_capabilities: u32,
    /// Bearer capabilities; pptpd says 0
    pub bearer_capabilities: u32,
    /// Maximum channels
    pub max_channels: u16,
    /// Result of the Start-Control-Connection-Reply; the connection is established for 1 and for 0,
    /// which some modems send, and ended after any other
    pub start_result: crate::StartResult,
    /// Result of the Outgoing-Call-Reply; the call is established for 1
    pub call_result: crate::OutgoingCallResult,
    /// Receive window of the Outgoing-Call-Reply; `None` echoes the client's
    pub receive_window: Option<u16>,
    /// Values that a client must send to be served; `None` accepts any value
    ///
    /// One whose Start-Control-Connection-Request differs is not authorized, one whose
    /// Outgoing-Call-Request differs has its call refused for a bad value, and the call begins with
    /// the Set-Link-Info if one is insisted on.
    pub insists_on: Quirks,
    /// True if a Set-Link-Info with both ACCMs `FFFFFFFF` is sent after the Outgoing-Call-Reply, as
    /// RRAS does
    pub sends_link_info: bool,
    /// The answer to the client's Call-Clear-Request
    pub after_call_clear: AfterCallClear,
    /// True if a Stop-Control-Connection-Request is answered
    pub answers_stop: bool,
    /// Time limits for the answers of the client
    pub timeouts: Timeouts,
}

#[cfg(feature = "server")]
impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host_name: String::from("local"),
            vendor: String::from("pptp-rs"),
            firmware: 1,
            framing_capabilities: 3,
            bearer_capabilities: 3,
            max_channels: 1,
            start_result: crate::StartResult::Successful,
            call_result: crate::OutgoingCallResult::Connected,
            receive_window: None,
            insists_on: Quirks::NONE,
            sends_link_info: false,
            after_call_clear: AfterCallClear::Notify,
            answers_stop: true,
            timeouts: Timeouts::default(),
        }
    }
}

/// Ways in which a server answers Call-Clear-Request
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AfterCallClear {
    /// Call-Disconnect-Notify with the server's Call ID, as the RFC says
    #[default]
    Notify,
    /// Call-Disconnect-Notify with the client's Call ID, as accel-ppp
    NotifyWithPeerCallId,
    /// The TCP connection is closed at once, as pptpd
    CloseConnection,
    /// No answer
    Silence,
}
