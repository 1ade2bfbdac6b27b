//! Frames of the next phase that overtook the last frame of this one
//!
//! The peer does not send them again before its restart timer of 3 s.

use std::time::Instant;

use pptp_packet::Redacted;

use crate::context::Trouble;
use crate::events::Phase;
use crate::machine::Machine;
use crate::machine::role::Role;
use crate::wire::frame;

/// A control frame that came too early
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Early {
    protocol: u16,
    information: Redacted<Box<[u8]>>,
}

impl<R: Role> Machine<R> {
    /// Keeps a frame if it belongs to the phase after this one, and there is room
    pub(crate) fn keep_early(&mut self, protocol: u16, information: &[u8]) {
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
        if !is_next || information.len() > LONGEST {
            return;
        }
        let kept = self.early.get_or_insert_default();
        let early = Early { protocol, information: Redacted(information.into()) };
        if kept.len() < MOST_EARLY && !kept.contains(&early) {
            kept.push(early);
        }
    }

    /// Takes the frames that were kept for the phase there is now
    pub(crate) fn take_early(&mut self, now: Instant) {
        let is_time = |kept: &Vec<Early>| kept.iter().any(|early| self.admits(early.protocol));
        if !self.early.as_deref().is_some_and(is_time) {
            return;
        }
        for Early { protocol, information } in self.early.take().into_iter().flat_map(|kept| *kept)
        {
            match self.take_control(now, protocol, &information) {
                Ok(()) => {}
                Err(Trouble::Discard(discard)) => self.context.stats.count(discard),
                Err(Trouble::Fail(failure)) => return self.fail(now, failure),
            }
        }
    }
}

/// CCP's and IPCP's requests come together; IPV6CP's with them
const MOST_EARLY: usize = 3;
/// Octets of the longest that is kept
const LONGEST: usize = 256;
