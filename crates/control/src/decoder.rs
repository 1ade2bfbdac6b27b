//! Decoder of the messages in the TCP stream

use crate::{
    Message, ParseError,
    message::{HEADER_LEN, Prefix},
};

/// Takes messages out of the TCP stream, which may arrive in pieces of any size
///
/// Holds at most 220 octets, and no memory between messages. Messages of an unknown type with a
/// sane length are skipped and counted; every other fault ends the stream for good, for the RFC
/// forbids to hunt for the next magic cookie.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// The first octets of a message whose rest has not come yet
    partial: Vec<u8>,
    skipped: u32,
}

impl Decoder {
    /// A decoder at the start of a stream
    pub const fn new() -> Self {
        Self { partial: Vec::new(), skipped: 0 }
    }

    /// The next message, taking its octets off the front of `octets`; `None` once more are needed
    ///
    /// To be called until it returns `None`; all of `octets` is consumed then. After an error it
    /// gives that error for ever; [`partial`](Self::partial) has the octets at fault then, and
    /// `octets` those behind them.
    pub fn decode(&mut self, octets: &mut &[u8]) -> Result<Option<Message>, ParseError> {
        loop {
            let prefix = Prefix::judge(&self.partial)?;
            let wanted = match prefix {
                Prefix::Partial => HEADER_LEN,
                Prefix::Known(_, len) | Prefix::Unknown(len) => len,
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

    /// Messages skipped because their type is unknown
    pub const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// The octets held of a message whose rest has not come yet
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// Moves octets over until `wanted` are held, or none are left
    fn fill(&mut self, octets: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(octets.len());
        let (moved, rest) = octets.split_at_checked(missing).unwrap_or((octets, &[]));
        self.partial.extend_from_slice(moved);
        *octets = rest;
    }
}

#[cfg(test)]
mod tests {
    mod every_length;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        ControlType,
        message::tests::{any_message, blank, emitted, one_of_each},
    };

    /// Decodes these pieces of a stream: returns its messages, the number of skipped ones, and the
    /// error if any
    fn decoded<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Message>, u32, Option<ParseError>) {
        let mut decoder = Decoder::new();
        let mut messages = Vec::new();
        for piece in pieces {
            let mut rest = piece;
            loop {
                match decoder.decode(&mut rest) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, decoder.skipped(), Some(error)),
                }
                assert!(decoder.partial().len() <= 220);
            }
            assert!(rest.is_empty(), "all is taken");
        }
        (messages, decoder.skipped(), None)
    }

    /// A stream with one message of each type, and two unknown messages among them
    fn stream() -> Vec<u8> {
        let mut octets: Vec<u8> = one_of_each().iter().flat_map(emitted).collect();
        octets.splice(156..156, blank(16, 12));
        let mut management = blank(5, 220);
        management[3] = 2;
        octets.extend(management);
        octets.extend(emitted(&one_of_each()[4]));
        octets
    }

    #[test]
    fn a_stream_cut_at_any_octet_gives_the_same_messages() {
        let stream = stream();
        let whole = decoded([&stream[..]]);
        assert_eq!((whole.0.len(), whole.1, whole.2), (16, 2, None));
        for cut in 0..=stream.len() {
            assert_eq!(decoded([&stream[..cut], &stream[cut..]]), whole, "at {cut}");
        }
        assert_eq!(decoded(stream.chunks(1)), whole);
    }

    #[test]
    fn a_fault_ends_the_stream_at_its_first_octet_however_it_is_cut() {
        let control_type = ControlType::EchoReply;
        let faults = [
            (1, 11, ParseError::Length(11)),
            (1, 221, ParseError::Length(221)),
            (0, 0x48, ParseError::Length(0x4810)),
            (4, 0, ParseError::MagicCookie),
            (5, 0, ParseError::MagicCookie),
            (6, 0, ParseError::MagicCookie),
            (7, 0, ParseError::MagicCookie),
            (9, 6, ParseError::TypeLength { control_type, length: 16 }),
        ];
        for (offset, octet, error) in faults {
            let mut octets = emitted(&one_of_each()[4]);
            octets[offset] = octet;
            let judged = offset.max(1);
            assert_eq!(decoded(octets[..judged].chunks(1)).2, None);
            assert_eq!(decoded(octets[..=judged].chunks(1)).2, Some(error));
            assert_eq!(decoded([&octets[..]]).2, Some(error));
        }
    }

    #[test]
    fn after_a_fault_nothing_is_hunted_for() {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&mut &[0xFF; 2][..]), Err(ParseError::Length(0xFFFF)));
        let stream = stream();
        assert_eq!(decoder.decode(&mut &stream[..]), Err(ParseError::Length(0xFFFF)));
    }

    #[test]
    fn nothing_is_held_between_messages() {
        let mut decoder = Decoder::new();
        let octets = emitted(&one_of_each()[0]);
        let (first, second) = octets.split_at(100);
        assert_eq!(decoder.decode(&mut &first[..]), Ok(None));
        assert_eq!(decoder.partial(), first);
        assert!(decoder.decode(&mut &second[..]).unwrap().is_some());
        assert_eq!(decoder.partial.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_messages_in_any_pieces(
            messages in vec(any_message(), 0..6), cuts in vec(1..50_usize, 1..40)
        ) {
            let octets: Vec<u8> = messages.iter().flat_map(emitted).collect();
            let mut rest = &octets[..];
            let mut pieces = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            prop_assert_eq!(decoded(pieces), (messages, 0, None));
        }

        #[test]
        fn arbitrary_octets_come_to_the_same_end_in_any_pieces(octets in vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decoded([&octets[..]]), decoded(octets.chunks(1)));
        }
    }
}
