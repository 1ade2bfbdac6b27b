//! The way down: packets and PPP control frames as GRE datagrams, and bare acknowledgments

use std::{ops::Deref, time::Instant};

use pptp_packet::{Egress, PacketBuf};
use pptp_ppp::frame::is_control_frame;

use super::{Stage, Tunnel};
use crate::{NotNow, recorder::Kind};

impl Tunnel {
    /// Checks whether a packet may be composed and sealed at `now`
    ///
    /// # Errors
    /// Why not.
    pub fn may_send(&self, now: Instant) -> Result<(), NotNow> {
        let Some(session) = self.session.as_ref().filter(|_| self.link.is_up()) else {
            return Err(NotNow::NotUp);
        };
        session.may_send(now).map_or(Ok(()), |until| Err(NotNow::PacedUntil(until)))
    }

    /// Turns an IP packet into a GRE datagram, in its headroom
    ///
    /// Only after [`may_send`](Self::may_send) said so, at the same `now`: then it cannot fail.
    /// Datagrams must go out in the order in which they were sealed.
    pub fn seal(&mut self, now: Instant, packet: &mut PacketBuf) {
        debug_assert!(self.link.is_up(), "sealed although IP packets do not pass");
        #[cfg(feature = "server")]
        self.withhold_acknowledgment();
        let octets = packet.len();
        let wants_answer = pptp_ppp::wants_answer(packet.as_slice());
        if let Some(session) = &mut self.session
            && self.link.seal(packet)
        {
            session.seal(now, packet);
            self.link.note_sent(now, wants_answer);
            self.counters.sent(octets);
        }
    }

    /// Composes the PPP control frames that wait: LCP, CHAP, CCP, IPCP, and the proofs of the data path
    ///
    /// Before the packets of the turn, for they say when packets pass: the first packet would not
    /// be taken by a peer that has not yet got our last Configure-Ack.
    pub fn poll_frames(&mut self, now: Instant, out: &mut impl Egress) {
        debug_assert!(self.events.is_empty(), "outputs are taken in order, events first");
        #[cfg(feature = "server")]
        self.withhold_acknowledgment();
        while self.session.is_some() && out.has_room() {
            let Some(frame) = self.next_frame() else { break };
            self.compose_frame(now, &frame, out);
            #[cfg(feature = "server")]
            if self.gre_behavior.repeats_frames {
                self.compose_frame(now, &frame, out);
            }
        }
    }

    fn next_frame(&mut self) -> Option<impl Deref<Target = Vec<u8>> + use<>> {
        self.link.poll_frame().or_else(|| self.link.poll_proof())
    }

    fn compose_frame(&mut self, now: Instant, frame: &[u8], out: &mut impl Egress) {
        let Some(session) = &mut self.session else { return };
        self.gre_probe.on_composed(now);
        let Ok(length) = u16::try_from(frame.len()) else { return };
        let header = session.next_header(now);
        if is_control_frame(frame) {
            let sequence = header.sequence.unwrap_or_default();
            self.recorder.frame(now, Kind::FrameSent, sequence, frame);
        }
        let header = header.emit(length);
        let octets = header.as_slice();
        out.compose(octets.len().saturating_add(frame.len()), |room| {
            if let Some((head, tail)) = room.split_at_mut_checked(octets.len())
                && tail.len() == frame.len()
            {
                head.copy_from_slice(octets);
                tail.copy_from_slice(frame);
            }
        });
    }

    /// Composes what the tunnel itself still has to say over GRE: control frames for which there was
    /// no room before the packets, and a bare acknowledgment if none could ride along
    pub fn poll_gre(&mut self, now: Instant, out: &mut impl Egress) {
        self.poll_frames(now, out);
        let Some(session) = &mut self.session else { return };
        if self.stage != Stage::Finished
            && out.has_room()
            && let Some(acknowledgment) = session.poll_acknowledgment(now)
        {
            self.gre_probe.on_composed(now);
            out.compose(acknowledgment.len(), |room| {
                if let Some(room) = room.first_chunk_mut() {
                    *room = acknowledgment;
                }
            });
        }
    }
}
