//! Identification and Time-Remaining: remarks of the peer that ask for nothing (RFC 1570 §2)

use std::time::Duration;

use crate::events::Event;
use crate::machine::Machine;
use crate::machine::role::Role;
use crate::wire::packet::Packet;

impl<R: Role> Machine<R> {
    /// A Magic-Number, and a text that means nothing to a machine
    pub(super) fn note_identification(&mut self, packet: &Packet<'_>) {
        if let Some((_, text)) = packet.data.split_first_chunk::<4>() {
            self.tell(Event::Identification(words(text)));
        }
    }

    /// A Magic-Number, seconds, and perhaps a text; all ones are for ever
    pub(super) fn note_time_remaining(&mut self, packet: &Packet<'_>) {
        let seconds = packet.data.split_first_chunk::<4>().map(|(_, rest)| rest);
        let Some((seconds, text)) = seconds.and_then(<[u8]>::split_first_chunk::<4>) else {
            return;
        };
        let left = match u32::from_be_bytes(*seconds) {
            u32::MAX => Duration::MAX,
            seconds => Duration::from_secs(seconds.into()),
        };
        self.tell(Event::TimeRemaining { left, message: words(text) });
    }
}

fn words(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..MAX_TEXT).unwrap_or(text)).into_owned()
}

/// Octets kept of a text
const MAX_TEXT: usize = 256;
