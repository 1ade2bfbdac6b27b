//! The layer of each failure, and the phase that it belongs to

use std::fmt;

use pptp_control::Failure as ControlFailure;
use pptp_ppp::{Failure as LinkFailure, Protocol};

use super::Failure;
use crate::Phase;

/// The part of a connection that failed, from the ground up
///
/// | layer | exit code | what belongs to it |
/// |---|---|---|
/// | [`Program`](Self::Program) | 1 | this program: it hung up, or it has a fault |
/// | [`Configuration`](Self::Configuration) | 2 | what the caller asked for |
/// | [`Host`](Self::Host) | 10 | this machine: capabilities, limits, its packet filter and modules |
/// | [`Name`](Self::Name) | 11 | the server's name and its addresses |
/// | [`Tcp`](Self::Tcp) | 12 | TCP to port 1723 |
/// | [`ControlConnection`](Self::ControlConnection) | 13 | PPTP's control connection (RFC 2637 §2.1–2.6) |
/// | [`Call`](Self::Call) | 14 | the call (RFC 2637 §2.7–2.13) |
/// | [`Gre`](Self::Gre) | 15 | IP protocol 47 on its way (RFC 2637 §4) |
/// | [`Link`](Self::Link) | 16 | LCP (RFC 1661) |
/// | [`Authentication`](Self::Authentication) | 17 | who is who (RFC 1994, RFC 2759) |
/// | [`Encryption`](Self::Encryption) | 18 | CCP and MPPE (RFC 1962, RFC 3078) |
/// | [`Network`](Self::Network) | 19 | IPCP and the inner addresses (RFC 1332) |
/// | [`Path`](Self::Path) | 20 | how large packets may be |
/// | [`Target`](Self::Target) | 21 | what lies behind the tunnel |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// This program: it hung up, or it has a fault
    Program,
    /// The options of the caller
    Configuration,
    /// This machine
    Host,
    /// The server's name
    Name,
    /// TCP to port 1723
    Tcp,
    /// PPTP's control connection
    ControlConnection,
    /// The call
    Call,
    /// GRE on its way
    Gre,
    /// LCP
    Link,
    /// The login: who is who
    Authentication,
    /// CCP and MPPE
    Encryption,
    /// IPCP and the inner addresses
    Network,
    /// The size that packets may have
    Path,
    /// The network behind the tunnel
    Target,
}

impl Layer {
    /// All layers, from the ground up
    pub const ALL: [Self; 14] = [
        Self::Program,
        Self::Configuration,
        Self::Host,
        Self::Name,
        Self::Tcp,
        Self::ControlConnection,
        Self::Call,
        Self::Gre,
        Self::Link,
        Self::Authentication,
        Self::Encryption,
        Self::Network,
        Self::Path,
        Self::Target,
    ];

    /// One word, for programs
    pub const fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Configuration => "configuration",
            Self::Host => "host",
            Self::Name => "name",
            Self::Tcp => "tcp",
            Self::ControlConnection => "control",
            Self::Call => "call",
            Self::Gre => "gre",
            Self::Link => "link",
            Self::Authentication => "authentication",
            Self::Encryption => "encryption",
            Self::Network => "network",
            Self::Path => "path",
            Self::Target => "target",
        }
    }

    /// Returns the exit code of a program when this layer failed: see the table above; 0 is success
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Program => 1,
            Self::Configuration => 2,
            Self::Host => 10,
            Self::Name => 11,
            Self::Tcp => 12,
            Self::ControlConnection => 13,
            Self::Call => 14,
            Self::Gre => 15,
            Self::Link => 16,
            Self::Authentication => 17,
            Self::Encryption => 18,
            Self::Network => 19,
            Self::Path => 20,
            Self::Target => 21,
        }
    }

    /// The layer at which a connection in this phase stands
    pub const fn of_phase(phase: Phase) -> Self {
        match phase {
            Phase::Resolve => Self::Name,
            Phase::TcpConnect => Self::Tcp,
            Phase::ControlConnection => Self::ControlConnection,
            Phase::Call => Self::Call,
            Phase::LinkControl => Self::Link,
            Phase::Authentication => Self::Authentication,
            Phase::Network | Phase::Up => Self::Network,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Failure {
    /// Returns the layer that failed; `None` if it is not one layer's: a connect that took too long
    ///
    /// With the phase, [`Self::layer_in`], there always is one.
    pub const fn layer(&self) -> Option<Layer> {
        Some(match self {
            Self::Control(failure) => control_layer(failure),
            Self::GreBlocked { .. }
            | Self::GreFromElsewhere { .. }
            | Self::GreUnsupported { .. } => Layer::Gre,
            Self::Link(failure) => link_layer(failure),
            Self::ConnectTimeout { .. } => return None,
            Self::Closed => Layer::Program,
        })
    }

    /// Returns the layer that failed in `phase`
    ///
    /// A peer that hangs up in the middle of something does so because of that: the layer is the one
    /// that was being negotiated.
    pub const fn layer_in(&self, phase: Phase) -> Layer {
        match self.layer() {
            Some(layer) if !self.is_hang_up() || matches!(phase, Phase::Up) => layer,
            _ => Layer::of_phase(phase),
        }
    }

    /// Returns true if the peer hung up, so that the step at that moment is to blame
    pub(crate) const fn is_hang_up(&self) -> bool {
        use ControlFailure::{CallDisconnected, ConnectionLost, StoppedByPeer};
        use LinkFailure::TerminatedByPeer;
        matches!(
            self,
            Self::Control(CallDisconnected { .. } | StoppedByPeer { .. } | ConnectionLost)
                | Self::Link(TerminatedByPeer { protocol: Protocol::Lcp, .. })
        )
    }
}

const fn control_layer(failure: &ControlFailure) -> Layer {
    match failure {
        ControlFailure::NoCallReply
        | ControlFailure::CallRefused { .. }
        | ControlFailure::CallDisconnected { .. } => Layer::Call,
        _ => Layer::ControlConnection,
    }
}

const fn link_layer(failure: &LinkFailure) -> Layer {
    match failure {
        LinkFailure::AuthFailed { .. }
        | LinkFailure::ServerNotAuthentic
        | LinkFailure::AuthProtocolRefused { .. }
        | LinkFailure::AuthProtocolWithdrawn { .. }
        | LinkFailure::AuthProtocolWithoutKeys { .. } => Layer::Authentication,
        LinkFailure::EncryptionUnavailable { .. }
        | LinkFailure::EncryptionDemanded { .. }
        | LinkFailure::EncryptionLost
        | LinkFailure::WrongKey(_)
        | LinkFailure::NothingPasses(_)
        | LinkFailure::Undecryptable(_) => Layer::Encryption,
        LinkFailure::NoAddress | LinkFailure::AddressChanged { .. } => Layer::Network,
        LinkFailure::NegotiationTimeout { protocol }
        | LinkFailure::NoAgreement { protocol }
        | LinkFailure::TerminatedByPeer { protocol, .. }
        | LinkFailure::RejectedProtocol { protocol }
        | LinkFailure::RejectedCode { protocol, .. } => match protocol {
            Protocol::Pap | Protocol::Chap | Protocol::Eap => Layer::Authentication,
            Protocol::Ccp => Layer::Encryption,
            Protocol::Ipcp | Protocol::Ipv6cp => Layer::Network,
            _ => Layer::Link,
        },
        _ => Layer::Link,
    }
}
