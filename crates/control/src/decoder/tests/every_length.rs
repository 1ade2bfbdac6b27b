//! Every length field from 0 to 221 for every type, whole, cut at every octet, and octet by octet

use super::*;

/// RFC 2637 section 2: octets of a message of each type, from 1 to 15
const LENGTHS: [u16; 15] = [156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24];

/// The result of a stream: types of its messages, number of skipped ones, and the error that ends
/// it
type End = (Vec<u16>, u32, Option<ParseError>);

/// A message of this type that says it is so long, and an Echo-Request behind it
fn stream(code: u16, declared: u16) -> Vec<u8> {
    let mut octets = blank(code, declared.max(12));
    octets[..2].copy_from_slice(&declared.to_be_bytes());
    octets.extend(blank(5, 16));
    octets
}

/// The expected result of the first `there` octets of such a stream
fn expected(code: u16, declared: u16, there: usize) -> End {
    let control_type = ControlType::from(code);
    let own = usize::from(code).checked_sub(1).and_then(|at| LENGTHS.get(at).copied());
    if !(12..=220).contains(&declared) {
        // seen as soon as the length is there
        return (vec![], 0, (there >= 2).then_some(ParseError::Length(declared)));
    }
    if own.is_some_and(|own| own != declared) {
        let error = ParseError::TypeLength { control_type, length: declared };
        return (vec![], 0, (there >= 10).then_some(error));
    }
    let first = usize::from(declared);
    let is_there = u16::from(there >= first);
    let mut messages = Vec::new();
    messages.extend(own.filter(|_| is_there == 1).map(|_| code));
    messages.extend((there >= first + 16).then_some(5));
    let skipped = if own.is_none() { is_there } else { 0 };
    (messages, skipped.into(), None)
}

/// A connection's decoder, and the result of the stream so far
#[derive(Default)]
struct Reader {
    decoder: Decoder,
    end: End,
}

impl Reader {
    fn read(&mut self, mut octets: &[u8]) -> &End {
        let (messages, skipped, error) = &mut self.end;
        loop {
            match self.decoder.decode(&mut octets) {
                Ok(Some(message)) => messages.push(message.control_type().into()),
                Ok(None) => break assert!(octets.is_empty(), "all is taken"),
                Err(fault) => break *error = Some(fault),
            }
        }
        assert!(self.decoder.partial().len() <= 220);
        *skipped = self.decoder.skipped();
        &self.end
    }
}

/// The 15 types, and those on either side of them
fn every_type_and_length() -> impl Iterator<Item = (u16, u16)> {
    (0..=16).flat_map(|code| (0..=221).map(move |declared| (code, declared)))
}

#[test]
fn every_length_field_of_every_type_whole_and_octet_by_octet() {
    let mut taken = Vec::new();
    for (code, declared) in every_type_and_length() {
        let stream = stream(code, declared);
        let end = expected(code, declared, stream.len());
        let (mut whole, mut octets) = (Reader::default(), Reader::default());
        assert_eq!(*whole.read(&stream), end, "type {code}, length {declared}");
        stream.chunks(1).for_each(|octet| _ = octets.read(octet));
        assert_eq!(octets.end, end, "octets of type {code}, length {declared}");
        if end.0.len() == 2 {
            taken.push((code, declared));
        }
    }
    assert_eq!(taken, (1..).zip(LENGTHS).collect::<Vec<_>>(), "each type has one length");
}

/// Partial input gives a partial result; with the rest behind it, the result is that of the whole
#[test]
fn every_length_field_of_every_type_cut_off_at_every_octet_and_then_going_on() {
    for (code, declared) in every_type_and_length() {
        let stream = stream(code, declared);
        let end = expected(code, declared, stream.len());
        for there in 0..=stream.len() {
            let (first, second) = stream.split_at(there);
            let mut reader = Reader::default();
            let so_far = expected(code, declared, there);
            assert_eq!(*reader.read(first), so_far, "{there} of type {code}, {declared}");
            assert_eq!(*reader.read(second), end, "cut at {there}, type {code}, {declared}");
        }
    }
}

#[test]
fn what_is_held_of_a_message_is_what_came_and_never_more_than_the_longest() {
    for (code, length) in (1..).zip(LENGTHS) {
        let octets = blank(code, length);
        for there in 0..octets.len() {
            let mut decoder = Decoder::new();
            assert_eq!(decoder.decode(&mut &octets[..there]), Ok(None));
            assert_eq!(decoder.partial(), &octets[..there]);
        }
    }
}
