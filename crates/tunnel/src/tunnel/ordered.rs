//! Frames that have to be in order: those of stateful MPPE, and those in the clear

use std::time::Instant;

use pptp_gre::{Evidence, Header, Placed, ReorderBuffer, Verdict};
use pptp_ppp::{Arrival, Negotiated, Received};

use super::{Tunnel, order};

/// What is kept while frames need their order
#[derive(Debug)]
pub(super) struct Ordered {
    buffer: ReorderBuffer,
    /// IP packets go in the clear, so that what carries them proves nothing
    is_clear: bool,
}

impl Ordered {
    /// When a frame will have waited too long
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.buffer.poll_timeout()
    }
}

impl Tunnel {
    /// The next IP packet that had to wait for one before it
    ///
    /// Asked after [`handle_gre`](Self::handle_gre) and after
    /// [`handle_timeout`](Self::handle_timeout), before the events, until there is none. None at all
    /// with stateless MPPE, which needs no order.
    pub fn poll_ip(&mut self, now: Instant) -> Option<Vec<u8>> {
        loop {
            let (sequence, mut frame) = self.ordered.as_mut()?.buffer.poll(now)?;
            let session = self.session.as_mut()?;
            let (call_id, sequence) = (session.peer_call_id(), Some(sequence));
            let header = Header { call_id, sequence, acknowledgment: None };
            let Ok(verdict) = session.check(&header) else { continue };
            let length = self.open_frame(now, verdict, &mut frame).map(|packet| packet.len());
            if let Some(length) = length {
                frame.drain(..frame.len().saturating_sub(length));
                return Some(frame);
            }
        }
    }

    /// Takes a frame that is no control frame, while order counts
    ///
    /// One beyond the forward-jump guard proves nothing in the clear; MPPE opens one there only if a
    /// new key stream begins with it.
    pub(super) fn handle_ordered<'p>(
        &mut self,
        now: Instant,
        verdict: Verdict,
        frame: &'p mut [u8],
    ) -> Option<&'p mut [u8]> {
        let Ordered { buffer, is_clear } = self.ordered.as_deref_mut()?;
        let sequence = verdict.sequence;
        if verdict.evidence == Evidence::Decrypted {
            if *is_clear {
                return None;
            }
            let packet = self.open_frame(now, verdict, frame)?;
            self.ordered.as_mut()?.buffer.jump(sequence);
            return Some(packet);
        }
        if verdict.is_new_base() {
            buffer.jump(sequence);
        } else if buffer.place(now, sequence, frame) != Placed::Next {
            return None;
        }
        self.open_frame(now, verdict, frame)
    }

    /// Hands a frame to PPP, and commits its number if that takes it
    pub(super) fn open_frame<'p>(
        &mut self,
        now: Instant,
        verdict: Verdict,
        frame: &'p mut [u8],
    ) -> Option<&'p mut [u8]> {
        let arrival = Arrival { sequence: verdict.sequence, order: order(verdict.order) };
        let session = self.session.as_mut()?;
        match self.link.handle_frame(now, arrival, frame) {
            Received::Ip(packet) => {
                session.commit(now, verdict);
                self.counters.ip_received = self.counters.ip_received.saturating_add(1);
                return Some(packet);
            }
            Received::Control if verdict.evidence == Evidence::Accepted => {
                session.commit(now, verdict);
                if let Some(ordered) = &mut self.ordered {
                    ordered.buffer.pass(now, verdict.sequence);
                }
            }
            // a discarded frame may still be the one that was too much
            Received::Control | Received::Discarded(_) => {}
        }
        self.link_events(now);
        None
    }

    /// Whether frames need their order from now on, as PPP has agreed
    pub(super) fn order_frames(&mut self, negotiated: &Negotiated) {
        let is_clear = negotiated.encryption.is_none();
        let needs_order = negotiated.encryption.is_none_or(|encryption| encryption.stateful);
        let highest = self.session.as_ref().and_then(pptp_gre::Session::highest);
        self.ordered = needs_order.then(|| {
            let reordering = self.reordering.as_deref().copied().unwrap_or_default();
            Box::new(Ordered { buffer: ReorderBuffer::new(reordering, highest), is_clear })
        });
    }
}
