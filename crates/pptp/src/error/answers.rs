//! The answers that each failure has: its layer, class, codes, pause and advice
//!
//! Those of the tunnel's protocols are in pptp-tunnel.

use std::{io, time::Duration};

use pptp_tunnel::{
    Class, Code, ConnectTimeline, Failure as TunnelFailure, Layer, Phase, RasCode, Retry,
};

use super::Failure;

impl Failure {
    /// Returns the layer that failed; `None` if it is not one layer's: a connect that took too long
    ///
    /// [`TunnelError::layer`](crate::TunnelError::layer) knows the phase, and so always has one.
    pub const fn layer(&self) -> Option<Layer> {
        Some(match self {
            Self::InvalidServer { .. } | Self::InvalidOption { .. } => Layer::Configuration,
            Self::NameNotResolved { .. } | Self::OuterIpv6 { .. } => Layer::Name,
            Self::CallIdsExhausted | Self::TooManyFiles { .. } => Layer::Host,
            Self::TcpRefused { .. } | Self::TcpFailed { .. } => Layer::Tcp,
            Self::RuntimeShutDown | Self::Internal { .. } => Layer::Program,
            Self::Tunnel(failure) => return failure.layer(),
        })
    }

    /// The failure's class: who has to act before another connect may succeed
    ///
    /// No arm stands for all others: a new failure has to be given its class.
    pub const fn class(&self) -> Class {
        match self {
            Self::RuntimeShutDown => Class::OwnDeed,
            Self::InvalidServer { .. } | Self::InvalidOption { .. } | Self::OuterIpv6 { .. } => {
                Class::Configuration
            }
            Self::CallIdsExhausted | Self::TooManyFiles { .. } | Self::Internal { .. } => {
                Class::Host
            }
            Self::NameNotResolved { .. } | Self::TcpRefused { .. } | Self::TcpFailed { .. } => {
                Class::Network
            }
            Self::Tunnel(failure) => failure.class(),
        }
    }

    /// Returns the codes that the peer sent, the most telling one first; empty if it sent none
    pub fn codes(&self) -> Vec<Code> {
        self.codes_with(None)
    }

    /// The most telling of [`Self::codes`]
    pub fn code(&self) -> Option<Code> {
        self.codes().into_iter().next()
    }

    /// The chances of another dial
    pub const fn retry(&self) -> Retry {
        Retry::of(self.retry_after(), self.class())
    }

    /// Returns the least time before the next dial; `None`: never with this configuration, or not at all since
    /// this side ended the tunnel
    ///
    /// It is the pause before the first further attempt. The pauses of several attempts should grow, and
    /// differ by chance, so that tunnels which failed together do not come back together.
    ///
    /// A refused login (error 691, or no reason at all) has an hour: servers say the same of a wrong
    /// password, of an earlier session of the user that is still alive, and of a RADIUS server that is
    /// down; and an attempt an hour locks no account.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InvalidServer { .. }
            | Self::InvalidOption { .. }
            | Self::OuterIpv6 { .. }
            | Self::RuntimeShutDown => None,
            Self::NameNotResolved { .. } | Self::TcpRefused { .. } | Self::TcpFailed { .. } => {
                Some(RESTART_TIME)
            }
            Self::CallIdsExhausted | Self::TooManyFiles { .. } => Some(CONFIGURATION_TIME),
            Self::Internal { .. } => Some(RETRY_AT_ONCE),
            Self::Tunnel(failure) => failure.retry_after(),
        }
    }

    /// Returns the advice, in one sentence without a period
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::InvalidServer { .. } => "give the server as host or host:port",
            Self::InvalidOption { .. } => "change the option that is named",
            Self::NameNotResolved { .. } => {
                "check the spelling and this machine's name servers, or give the server's IPv4 address"
            }
            Self::OuterIpv6 { .. } => "give the server's IPv4 address",
            Self::CallIdsExhausted => {
                "hang up tunnels that are not needed; a Call ID is free again some seconds after its tunnel"
            }
            Self::TooManyFiles { .. } => "raise it: ulimit -n, or LimitNOFILE= in systemd",
            Self::TcpRefused { .. } => {
                "nothing listens there: is this the PPTP server, and is PPTP switched on?"
            }
            Self::TcpFailed { kind: io::ErrorKind::ConnectionReset, .. } => {
                "what listens there resets at once: its limit of connections is reached, or an access list or a \
                 firewall does not let this client in"
            }
            Self::TcpFailed { .. } => NO_TCP,
            Self::RuntimeShutDown => "keep the runtime until the client's tunnels are closed",
            Self::Internal { .. } => "please report this",
            Self::Tunnel(failure) => failure.advice(),
        }
    }

    /// Returns the failure in words, with the moment and the peer's number, as far as known
    pub(super) fn told_in(&self, phase: Phase, ras_code: Option<RasCode>) -> String {
        match self {
            Self::Tunnel(failure) => failure.told_in(phase, ras_code),
            own => own.to_string(),
        }
    }

    /// Returns the layer that failed in `phase`
    pub(super) const fn layer_in(&self, phase: Phase) -> Layer {
        match (self, self.layer()) {
            (Self::Tunnel(failure), _) => failure.layer_in(phase),
            (_, Some(layer)) => layer,
            (_, None) => Layer::of_phase(phase),
        }
    }

    /// Returns the codes that the peer sent; the error code of Windows that it said goes first
    pub(super) fn codes_with(&self, ras_code: Option<RasCode>) -> Vec<Code> {
        self.tunnel().map_or_else(Vec::new, |failure| failure.codes_with(ras_code))
    }

    /// Returns the least time before the next dial after a failure in `phase`
    pub(super) const fn retry_after_in(&self, phase: Phase) -> Option<Duration> {
        if self.is_unanswered_tcp(phase) { Some(RESTART_TIME) } else { self.retry_after() }
    }

    /// Returns the advice for a failure in `phase`, where the peer may have said an error code of Windows
    pub(super) const fn advice_in(&self, phase: Phase, ras_code: Option<RasCode>) -> &'static str {
        match self {
            _ if self.is_unanswered_tcp(phase) => NO_TCP,
            Self::Tunnel(failure) => failure.advice_in(phase, ras_code),
            own => own.advice(),
        }
    }

    /// Returns the end of an error's text: the advice, and where the time went if that is the matter
    pub(super) fn hint(&self, advice: &str, timeline: &ConnectTimeline) -> String {
        match self {
            Self::Tunnel(failure) => failure.hint(advice, timeline),
            _ => format!("; {advice}"),
        }
    }

    /// The kind of I/O error that calls on the tunnel fail with
    pub(super) const fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Tunnel(TunnelFailure::Closed) => io::ErrorKind::NotConnected,
            Self::Tunnel(
                TunnelFailure::ConnectTimeout { .. }
                | TunnelFailure::GreBlocked { .. }
                | TunnelFailure::GreFromElsewhere { .. }
                | TunnelFailure::GreUnsupported { .. },
            ) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ConnectionAborted,
        }
    }

    /// Returns true if the server's host did not answer TCP, within the connect's own limit
    ///
    /// It has the advice and the pause of [`Failure::TcpFailed`], whether the kernel gave up first or that limit.
    const fn is_unanswered_tcp(&self, phase: Phase) -> bool {
        let is_timeout = matches!(self, Self::Tunnel(TunnelFailure::ConnectTimeout { .. }));
        is_timeout && matches!(phase, Phase::TcpConnect)
    }
}

/// The advice for a host that does not answer TCP
const NO_TCP: &str = "check the address, the route and firewalls for TCP port 1723";

/// The next attempt may well succeed
const RETRY_AT_ONCE: Duration = Duration::from_secs(1);
/// A server, a router or a name server starts in about that time
const RESTART_TIME: Duration = Duration::from_secs(10);
/// Somebody has to notice and to do something
const CONFIGURATION_TIME: Duration = Duration::from_mins(1);
