//! Frames that have to be in order: those of stateful MPPE, and those in the clear

use std::time::Instant;

use pptp_gre::{Header, Placed, ReorderBuffer, Requirement, Verdict};
use pptp_ppp::Negotiated;

use super::Tunnel;

/// The state that is kept while frames need their order
#[derive(Debug)]
pub(super) struct Ordered {
    buffer: ReorderBuffer,
    /// IP packets go in the clear, so that what carries them proves nothing
    is_clear: bool,
    /// The number of the packet that came up last
    opened: Option<u32>,
}

impl Ordered {
    /// Returns the time at which a frame will have waited too long
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.buffer.poll_timeout()
    }

    /// Lets the number of a control frame pass: no packet has to wait for it
    pub(super) fn pass(&mut self, now: Instant, sequence: u32) {
        self.buffer.pass(now, sequence);
    }

    /// A packet came up
    ///
    /// One from behind tells where the numbers really are, unless what came up last has told that
    /// already: then it is late, or a copy under an old number.
    fn open(&mut self, sequence: u32, is_behind: bool) {
        let next = self.opened.map(|opened| opened.wrapping_add(1));
        if !is_behind || next != self.buffer.next() {
            self.buffer.continue_after(sequence);
            self.opened = Some(sequence);
        }
    }

    /// Returns true if a frame that the buffer has passed over may still count
    ///
    /// Encrypted ones tell by themselves: a late one or a duplicate does not open.
    fn may_count(&self, sequence: u32) -> bool {
        !self.is_clear
            || self.opened.is_none_or(|opened| sequence.wrapping_sub(opened).cast_signed() > 0)
    }
}

impl Tunnel {
    /// Returns the next IP packet that had to wait for one before it
    ///
    /// Call it after [`handle_gre`](Self::handle_gre) and after
    /// [`handle_timeout`](Self::handle_timeout), before the events, until it returns `None`.
    /// Stateless MPPE needs no order, so that no packet waits.
    pub fn poll_ip(&mut self, now: Instant) -> Option<Vec<u8>> {
        loop {
            let (sequence, mut frame) = self.ordered.as_mut()?.buffer.poll(now)?;
            let session = self.session.as_mut()?;
            let call_id = session.peer_call_id();
            let header = Header { call_id, sequence: Some(sequence), acknowledgment: None };
            let Ok(verdict) = session.check(&header) else { continue };
            let Some(opened) = self.open_frame(now, verdict, &mut frame) else { continue };
            let length = opened.packet().map(|packet| packet.len());
            self.note_opened(sequence, false);
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
        let ordered = self.ordered.as_deref_mut()?;
        let sequence = verdict.sequence;
        let is_behind = if verdict.requirement == Requirement::DecryptedPayload {
            if ordered.is_clear {
                return None;
            }
            ordered.buffer.is_behind(sequence)
        } else if verdict.is_new_base() {
            ordered.buffer.jump(sequence);
            false
        } else {
            match ordered.buffer.place(now, sequence, frame) {
                Placed::Next => false,
                Placed::Passed if ordered.may_count(sequence) => true,
                Placed::Passed | Placed::Kept | Placed::Dropped => return None,
            }
        };
        let opened = self.open_frame(now, verdict, frame)?;
        self.note_opened(sequence, is_behind);
        opened.packet()
    }

    fn note_opened(&mut self, sequence: u32, is_behind: bool) {
        if let Some(ordered) = &mut self.ordered {
            ordered.open(sequence, is_behind);
        }
    }

    /// Begins or ends the reordering of frames, as PPP has agreed
    pub(super) fn order_frames(&mut self, negotiated: &Negotiated) {
        let is_clear = negotiated.encryption.is_none();
        let needs_order = negotiated.encryption.is_none_or(|encryption| encryption.stateful);
        let highest = self.session.as_ref().and_then(pptp_gre::Session::highest);
        self.ordered = needs_order.then(|| {
            let reordering = self.reordering.as_deref().copied().unwrap_or_default();
            let buffer = ReorderBuffer::new(reordering, highest);
            Box::new(Ordered { buffer, is_clear, opened: None })
        });
    }
}
