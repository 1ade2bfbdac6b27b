//! Identification and Time-Remaining: remarks of the peer that ask for nothing (RFC 1570 §2)

use std::time::Duration;

use crate::{
    authentication::peer_text,
    events::Event,
    machine::{Machine, role::Role},
    wire::packet::Packet,
};

impl<R: Role> Machine<R> {
    /// Tells the owner an Identification: a Magic-Number, and a text for people
    pub(super) fn note_identification(&mut self, packet: &Packet<'_>) {
        if let Some((_, text)) = packet.data.split_first_chunk::<4>() {
            self.push_remark(Event::Identification(peer_text(text)));
        }
    }

    /// Tells the owner a Time-Remaining: a Magic-Number, seconds (all ones: for ever), and perhaps
    /// a text
    pub(super) fn note_time_remaining(&mut self, packet: &Packet<'_>) {
        let seconds = packet.data.split_first_chunk::<4>().map(|(_, rest)| rest);
        let Some((seconds, text)) = seconds.and_then(<[u8]>::split_first_chunk::<4>) else {
            return;
        };
        let left = match u32::from_be_bytes(*seconds) {
            u32::MAX => Duration::MAX,
            seconds => Duration::from_secs(seconds.into()),
        };
        self.push_remark(Event::TimeRemaining { left, message: peer_text(text) });
    }
}
