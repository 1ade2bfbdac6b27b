//! Messages out of the TCP stream

use crate::{
    Message, ParseError,
    message::{HEADER_LEN, Prefix},
};

/// Takes messages out of the TCP stream in whatever pieces it arrives
///
/// Holds at most 220 octets, and no memory between messages. Messages of an unknown type with a
/// sane length are skipped and counted; every other fault ends the stream for good, for the RFC
/// forbids to hunt for the next magic cookie.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// The first octets of a message whose rest has not come yet
    partial: Vec<u8>,
    skipped: u32,
    lost: Option<ParseError>,
}

impl Decoder {
    /// A decoder at the start of a stream
    pub const fn new() -> Self {
        Self { partial: Vec::new(), skipped: 0, lost: None }
    }

    /// The next message, taking its octets off the front of `octets`; `None` once more are needed
    ///
    /// Called until it gives `None`; all of `octets` is consumed then. After an error it gives that
    /// error for ever, [`partial`](Self::partial) has the octets at fault, and `octets` those behind.
    pub fn decode(&mut self, octets: &mut &[u8]) -> Result<Option<Message>, ParseError> {
        if let Some(error) = self.lost {
            return Err(error);
        }
        let message = self.advance(octets);
        if let Err(error) = message {
            self.lost = Some(error);
        }
        message
    }

    /// Messages skipped because their type is unknown
    pub const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// The octets held of a message whose rest has not come yet
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    fn advance(&mut self, octets: &mut &[u8]) -> Result<Option<Message>, ParseError> {
        loop {
            let prefix = Prefix::judge(&self.partial)?;
            let wanted = match prefix {
                Prefix::Partial => HEADER_LEN,
                Prefix::Known(_, len) | Prefix::Foreign(len) => len,
            };
            if self.partial.len() < wanted {
                if octets.is_empty() {
                    return Ok(None);
                }
                self.fill(octets, wanted);
                continue;
            }
            let whole = std::mem::take(&mut self.partial);
            if matches!(prefix, Prefix::Known(..)) {
                return Message::parse(&whole).map(Some);
            }
            self.skipped = self.skipped.saturating_add(1);
        }
    }

    /// Moves octets over until `wanted` are held, or none are left
    fn fill(&mut self, octets: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(octets.len());
        let (moved, rest) = octets.split_at_checked(missing).unwrap_or((octets, &[]));
        self.partial.extend_from_slice(moved);
        *octets = rest;
    }
}
