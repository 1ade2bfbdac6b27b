//! One result of the doctor

use std::{fmt, time::Duration};

use pptp_tunnel::{Layer, Phase};

use crate::TunnelError;

/// One thing that the doctor looked at, and what came of it
///
/// ```
/// use pptp::doctor::{Finding, Verdict};
///
/// fn print(finding: &Finding) {
///     println!("{finding}");
///     if let (Verdict::Failed, Some(advice)) = (finding.verdict, &finding.advice) {
///         println!("  {advice}");
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Finding {
    /// The step that was examined
    pub step: Step,
    /// The step's verdict
    pub verdict: Verdict,
    /// The time that it took
    ///
    /// The times of a connect's steps add up to its own: what ran beside another step of its phase has the
    /// time that it took longer. [`Step::GreIn`] has the time until the server's first GRE datagram,
    /// [`Step::LinkControl`] the rest of LCP; [`Step::Encryption`] has CCP's time, [`Step::Addresses`]
    /// what IPCP took after that.
    pub took: Duration,
    /// The observation, in one sentence without a period
    pub seen: String,
    /// The advice, if there is something to do
    pub advice: Option<String>,
    /// The typed failure behind it, if there is one
    pub error: Option<TunnelError>,
}

impl Finding {
    pub(super) const fn new(step: Step, verdict: Verdict, took: Duration, seen: String) -> Self {
        Self { step, verdict, took, seen, advice: None, error: None }
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// A step at which the connection failed
    pub(super) fn failure(step: Step, took: Duration, error: &TunnelError) -> Self {
        let seen = format!("{}: {}", error.name(), error.told());
        let finding = Self::new(step, Verdict::Failed, took, seen).advise(error.advice());
        Self { error: Some(error.clone()), ..finding }
    }

    pub(super) fn skipped(step: Step, why: &str) -> Self {
        Self::new(step, Verdict::Skipped, Duration::ZERO, why.into())
    }

    /// A step that an earlier failure left undone
    pub(super) fn not_reached(step: Step) -> Self {
        Self::skipped(step, "not reached")
    }

    /// The layer that it tells of: that of its failure, or of its step
    pub fn layer(&self) -> Layer {
        self.error.as_ref().map_or_else(|| self.step.layer(), TunnelError::layer)
    }
}

/// `failed   authentication, 3 ms: AuthFailed: …; one of three: …`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, verdict, took, seen, advice, .. } = self;
        write!(f, "{:8} {step}, {} ms: {seen}", verdict.name(), took.as_millis())?;
        advice.as_ref().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

/// The verdict on a step
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// As it should
    Passed,
    /// It does no harm by itself, and may be the cause if something else fails
    Warned,
    /// It does not work
    Failed,
    /// It could not be examined, or was not asked for
    Skipped,
}

impl Verdict {
    /// One word
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The steps of the doctor, in this order
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The configuration: can it be dialled?
    Configuration,
    /// The right of this process to a raw socket for IP protocol 47
    RawSocket,
    /// Raw sockets for GRE of other programs on this machine
    OtherSockets,
    /// The kernel's own PPTP or GRE
    KernelModules,
    /// The kernel's connection tracking, and its helper for PPTP
    ConnectionTracking,
    /// The filter that drops packets which come in by another device
    ReversePathFilter,
    /// The server's name
    Name,
    /// TCP to port 1723
    Tcp,
    /// The control connection, and who the server is
    ControlConnection,
    /// The call
    Call,
    /// GRE from here to the server
    GreOut,
    /// GRE from the server to here
    GreIn,
    /// LCP
    LinkControl,
    /// Authentication, as offered and as chosen
    Authentication,
    /// CCP and MPPE
    Encryption,
    /// IPCP: the inner addresses
    Addresses,
    /// The largest packet that gets through
    LargestPacket,
    /// The targets behind the tunnel that the caller has named
    Target,
}

impl Step {
    /// All steps, in order
    pub const ALL: [Self; 18] = [
        Self::Configuration,
        Self::RawSocket,
        Self::OtherSockets,
        Self::KernelModules,
        Self::ConnectionTracking,
        Self::ReversePathFilter,
        Self::Name,
        Self::Tcp,
        Self::ControlConnection,
        Self::Call,
        Self::GreOut,
        Self::GreIn,
        Self::LinkControl,
        Self::Authentication,
        Self::Encryption,
        Self::Addresses,
        Self::LargestPacket,
        Self::Target,
    ];

    /// The layer it belongs to
    pub const fn layer(self) -> Layer {
        match self {
            Self::Configuration => Layer::Configuration,
            Self::RawSocket
            | Self::OtherSockets
            | Self::KernelModules
            | Self::ConnectionTracking
            | Self::ReversePathFilter => Layer::Host,
            Self::Name => Layer::Name,
            Self::Tcp => Layer::Tcp,
            Self::ControlConnection => Layer::ControlConnection,
            Self::Call => Layer::Call,
            Self::GreOut | Self::GreIn => Layer::Gre,
            Self::LinkControl => Layer::Link,
            Self::Authentication => Layer::Authentication,
            Self::Encryption => Layer::Encryption,
            Self::Addresses => Layer::Network,
            Self::LargestPacket => Layer::Path,
            Self::Target => Layer::Target,
        }
    }

    /// A name for programs: `gre-out`
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::RawSocket => "raw-socket",
            Self::OtherSockets => "other-sockets",
            Self::KernelModules => "kernel-modules",
            Self::ConnectionTracking => "connection-tracking",
            Self::ReversePathFilter => "reverse-path-filter",
            Self::Name => "name",
            Self::Tcp => "tcp",
            Self::ControlConnection => "control-connection",
            Self::Call => "call",
            Self::GreOut => "gre-out",
            Self::GreIn => "gre-in",
            Self::LinkControl => "lcp",
            Self::Authentication => "authentication",
            Self::Encryption => "encryption",
            Self::Addresses => "addresses",
            Self::LargestPacket => "largest-packet",
            Self::Target => "target",
        }
    }

    /// The step at which a connect in this phase stands
    pub(super) const fn of_phase(phase: Phase) -> Self {
        match phase {
            Phase::Resolve => Self::Name,
            Phase::TcpConnect => Self::Tcp,
            Phase::ControlConnection => Self::ControlConnection,
            Phase::Call => Self::Call,
            Phase::LinkControl => Self::GreOut,
            Phase::Authentication => Self::Authentication,
            Phase::Network => Self::Encryption,
            _ => Self::LargestPacket,
        }
    }

    /// The step at which `error` shows
    pub(super) fn of_error(error: &TunnelError) -> Self {
        match error.layer() {
            Layer::Configuration => Self::Configuration,
            Layer::Name => Self::Name,
            Layer::Tcp => Self::Tcp,
            Layer::ControlConnection => Self::ControlConnection,
            Layer::Call => Self::Call,
            Layer::Gre => Self::GreIn,
            Layer::Link => Self::LinkControl,
            Layer::Authentication => Self::Authentication,
            Layer::Encryption => Self::Encryption,
            Layer::Network => Self::Addresses,
            Layer::Path => Self::LargestPacket,
            Layer::Target => Self::Target,
            _ => Self::of_phase(error.phase),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
