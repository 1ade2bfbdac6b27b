//! The phase gate: the control frames that a phase lets in, and those that wait for the next one

use std::time::Instant;

use super::{Machine, early::EarlyFrame, role::Role};
use crate::{
    authentication::Authentication,
    context::{PacketError, stats::Discard},
    events::Phase,
    wire::frame,
};

impl<R: Role> Machine<R> {
    /// Turns away a frame that is too early, or keeps it for its phase
    pub(super) fn pass_gate(
        &mut self,
        now: Instant,
        protocol: u16,
        information: &[u8],
    ) -> Result<(), Discard> {
        if protocol != frame::LCP {
            self.lcp.note_peer_is_open();
        }
        if let (Phase::Authentication, frame::CCP | frame::IPCP) = (self.phase, protocol) {
            let outcome = self.authentication.peer_went_ahead(now, &mut self.context);
            self.conclude(now, outcome);
        }
        if is_admitted(self.phase, protocol) {
            return Ok(());
        }
        self.keep_early(protocol, information);
        Err(Discard::OutOfPhase)
    }

    /// Keeps a frame if it belongs to the phase after this one
    fn keep_early(&mut self, protocol: u16, information: &[u8]) {
        #[cfg(feature = "server")]
        if self.role.is_deaf_to_network() {
            return;
        }
        let is_next = match self.phase {
            Phase::LinkControl => matches!(protocol, frame::CHAP | frame::EAP),
            Phase::Authentication => {
                matches!(protocol, frame::CCP | frame::IPCP | frame::IPV6CP)
            }
            _ => false,
        };
        if is_next {
            self.early.keep(protocol, information);
        }
    }

    /// Takes the frames that were kept for the current phase
    pub(super) fn take_early(&mut self, now: Instant) {
        let phase = self.phase;
        let kept = self.early.take_if(|protocol| is_admitted(phase, protocol));
        for EarlyFrame { protocol, information } in kept {
            match self.take_control(now, protocol, &information) {
                Ok(()) => {}
                Err(PacketError::Discard(discard)) => self.context.stats.count(discard),
                Err(PacketError::Fail(failure)) => return self.fail(now, failure),
            }
        }
    }
}

/// Returns true if a phase lets in a control protocol (RFC 1661 §3.4, §3.5)
const fn is_admitted(phase: Phase, protocol: u16) -> bool {
    matches!(
        (phase, protocol),
        (Phase::Network | Phase::Up, _)
            | (_, frame::LCP)
            | (Phase::Authentication, frame::PAP | frame::CHAP | frame::EAP)
    )
}
