//! The reason why a tunnel is not up

use std::{io, time::Duration};

use pptp_tunnel::{Class, Code, ConnectTimeline, Layer, Phase, RasCode, Retry};

use super::Failure;

/// The reason why a tunnel did not come up, or ended: the failure, its phase, and the time of each phase
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {told} (phase: {phase}){hint}", name = self.name(), told = self.told(), hint = self.hint())]
#[non_exhaustive]
pub struct TunnelError {
    /// The phase in which it happened
    pub phase: Phase,
    /// The failure
    pub failure: Failure,
    /// The time that each phase took
    pub timeline: ConnectTimeline,
    /// The error code of Windows that the peer said in its Terminate-Request
    pub ras_code: Option<RasCode>,
}

impl TunnelError {
    /// A failure in the phase that the timeline has reached
    pub fn new(failure: impl Into<Failure>, timeline: ConnectTimeline) -> Self {
        let failure = failure.into();
        Self { phase: timeline.phase(), failure, timeline, ras_code: None }
    }

    /// With the error code of Windows that the peer said
    #[must_use]
    pub const fn with_ras_code(mut self, code: Option<RasCode>) -> Self {
        self.ras_code = code;
        self
    }

    /// Returns the failure in words, with the moment and the peer's number, as far as known
    pub fn told(&self) -> String {
        self.failure.told_in(self.phase, self.ras_code)
    }

    /// The failure's name, one word: for programs that read logs
    pub const fn name(&self) -> &'static str {
        self.failure.name()
    }

    /// The layer that failed
    ///
    /// A peer that hangs up in the middle of something does so because of that: the layer is the one
    /// that was being negotiated.
    pub const fn layer(&self) -> Layer {
        self.failure.layer_in(self.phase)
    }

    /// The failure's class: see [`Failure::class`]
    pub const fn class(&self) -> Class {
        self.failure.class()
    }

    /// Returns the codes that the peer sent: see [`Failure::codes`]; the error code of Windows goes first
    pub fn codes(&self) -> Vec<Code> {
        self.failure.codes_with(self.ras_code)
    }

    /// Returns whether dialling again may help
    pub const fn retry(&self) -> Retry {
        self.failure.retry()
    }

    /// Returns the least time before the next dial: see [`Failure::retry_after`]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after_in(self.phase)
    }

    /// Returns the advice, in one sentence without a period
    pub const fn advice(&self) -> &'static str {
        self.failure.advice_in(self.phase, self.ras_code)
    }

    /// The kind of I/O error that calls on the tunnel fail with
    pub const fn io_kind(&self) -> io::ErrorKind {
        self.failure.io_kind()
    }

    fn hint(&self) -> String {
        self.failure.hint(self.advice(), &self.timeline)
    }
}

impl From<pptp_tunnel::TunnelError> for TunnelError {
    fn from(error: pptp_tunnel::TunnelError) -> Self {
        let pptp_tunnel::TunnelError { phase, failure, timeline, ras_code, .. } = error;
        Self { phase, failure: failure.into(), timeline, ras_code }
    }
}
