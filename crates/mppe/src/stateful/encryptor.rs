//! The encryptor of stateful sessions (RFC 3078 §8.2)

use crate::{
    KeyStrength, StatefulReset,
    header::{COHERENCY_COUNT, Header},
    stateful::{
        reset::{FLAG, is_flag},
        stream::Stream,
    },
};

/// Encrypts one direction of a stateful link, in place
///
/// The frames must reach the wire in the order in which they were sealed: the receiver can open
/// none out of order.
///
/// Memory: the state of RC4, 1 KiB on the heap.
#[derive(Debug)]
pub struct StatefulEncryptor {
    stream: Stream,
    reset: StatefulReset,
    coherency_count: u16,
    /// True if the peer asked for a reset, which the next frame makes
    flush: bool,
}

impl StatefulEncryptor {
    /// A stateful session, before its first frame (RFC 3078 §7.3)
    ///
    /// 40 and 56 bits use the first 8 octets of the start key.
    pub fn new(start_key: &[u8; 16], strength: KeyStrength, reset: StatefulReset) -> Self {
        let stream = Stream::new(start_key, strength);
        Self { stream, reset, coherency_count: 0, flush: false }
    }

    /// Encrypts `protocol ‖ payload` in place and returns the MPPE header (RFC 3078 §3)
    ///
    /// The header and the octets belong behind the protocol number 00FD.
    pub fn seal(&mut self, inner: &mut [u8]) -> [u8; 2] {
        let flush = std::mem::take(&mut self.flush);
        if flush && self.reset == StatefulReset::Linux {
            self.skip_to_flag();
        }
        let changes_key = is_flag(self.coherency_count);
        if changes_key {
            self.stream.rekey();
        } else if flush {
            self.stream.restart();
        }
        self.stream.apply(inner);
        let header =
            Header { flushed: changes_key || flush, ..Header::stateless(self.coherency_count) };
        self.coherency_count = self.coherency_count.wrapping_add(1) & COHERENCY_COUNT;
        header.emit()
    }

    /// Handles a Reset-Request of the peer: the next frame begins a new stream
    ///
    /// Several requests before that frame count as one: the peer could not count a key change for
    /// each.
    pub const fn handle_reset_request(&mut self) {
        self.flush = true;
    }

    /// Uses up the counts before the next flag frame, as if they had been lost
    ///
    /// A Linux peer counts the flag frames that it missed, but not the other frames with an A bit:
    /// one of those, lost, and the keys differ for ever. If resets fall on flag frames only, the key
    /// is always told by the count. The peer asked because it lost frames, and takes these for lost
    /// too.
    const fn skip_to_flag(&mut self) {
        self.coherency_count |= FLAG;
    }
}
