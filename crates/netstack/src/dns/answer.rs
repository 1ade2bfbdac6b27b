//! Answers (RFC 1035 §4.1), read within a bound of work

use std::{net::Ipv4Addr, ops::Range};

use super::{name::expand, work::Work};

/// Aliases of an answer that are followed at most
///
/// More than servers themselves follow in practice (BIND 16, Unbound 11).
pub(crate) const MAX_ALIASES: usize = 16;

/// Records of an answer that are read; later ones are not
pub(crate) const MAX_RECORDS: usize = 256;

/// A question's identifier, name and type, as its answer has to repeat them
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: u16,
    /// The labels behind their lengths, in lower case
    pub(crate) name: Vec<u8>,
    pub(crate) record_type: u16,
}

/// A message that answers a question
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The response code, without EDNS's high bits
    pub(crate) code: u8,
    /// True if the answer did not fit the datagram
    pub(crate) truncated: bool,
    pub(crate) found: Result<Values, Useless>,
}

/// The records of the name, of the type that was asked for
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) texts: Vec<String>,
}

impl Values {
    pub(crate) const fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.texts.is_empty()
    }
}

/// The reason for which the records of an answer are of no use
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Useless {
    /// The records cannot be read
    Malformed,
    /// There are more aliases than [`MAX_ALIASES`], or they form a loop
    Aliases,
}

/// The transport that a message came over
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Over UDP, after a query with or without EDNS
    Udp {
        edns: bool,
    },
    Tcp,
}

/// A record of the answer section that may count
struct Record {
    owner: Vec<u8>,
    kind: u16,
    data: Range<usize>,
}

impl Reply {
    /// Reads a message; `None` if it does not answer the question
    ///
    /// The authority and the additional section are not read, and of a truncated datagram no record is.
    pub(crate) fn parse(
        message: &[u8],
        asked: &Asked,
        carrier: Carrier,
        work: &mut Work,
    ) -> Option<Self> {
        let header = Header::parse(message)?;
        if header.id != asked.id || !header.is_response {
            return None;
        }
        let (code, truncated) = (header.code, header.truncated);
        let mut reply = Self { code, truncated, found: Ok(Values::default()) };
        match header.questions {
            1 => {}
            // a server that does not know EDNS may send back its header only (RFC 6891 §7)
            0 if lacks_edns(code) && carrier == (Carrier::Udp { edns: true }) => {
                return Some(reply);
            }
            _ => return None,
        }
        let (name, at) = expand(message, HEADER, work)?;
        let question = fixed::<4>(message, at)?;
        let [type_high, type_low, class @ ..] = question;
        let record_type = u16::from_be_bytes([type_high, type_low]);
        if !work.is_same(&name, &asked.name) || record_type != asked.record_type || class != IN {
            return None;
        }
        let is_whole = !truncated || carrier == Carrier::Tcp;
        if code == NO_ERROR && is_whole {
            let at = at.checked_add(question.len())?;
            reply.found = Records { message, asked, work }.find(at, header.answers);
        }
        Some(reply)
    }
}

/// Returns true if a server has this code for a query whose EDNS it does not know (RFC 6891 §7)
pub(crate) const fn lacks_edns(code: u8) -> bool {
    matches!(code, FORMAT_ERROR | NOT_IMPLEMENTED)
}

/// The answer section of a message
struct Records<'m, 'w> {
    message: &'m [u8],
    asked: &'m Asked,
    work: &'w mut Work,
}

impl Records<'_, '_> {
    fn find(mut self, at: usize, count: u16) -> Result<Values, Useless> {
        let records = self.read(at, count).ok_or(Useless::Malformed)?;
        let owner = self.follow_aliases(&records)?;
        let mut values = Values::default();
        for record in &records {
            if record.kind == self.asked.record_type && self.work.is_same(&record.owner, &owner) {
                self.take(record, &mut values);
            }
        }
        Ok(values)
    }

    /// The records that are aliases or of the type that was asked for, in class IN
    fn read(&mut self, mut at: usize, count: u16) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        for _ in 0..usize::from(count).min(MAX_RECORDS) {
            self.work.step();
            let (owner, behind) = expand(self.message, at, self.work)?;
            let [type_high, type_low, class_high, class_low, _, _, _, _, high, low] =
                fixed::<10>(self.message, behind)?;
            let record_type = u16::from_be_bytes([type_high, type_low]);
            let start = behind.checked_add(10)?;
            at = start.checked_add(u16::from_be_bytes([high, low]).into())?;
            self.message.get(start..at)?;
            let counts = record_type == ALIAS || record_type == self.asked.record_type;
            if counts && [class_high, class_low] == IN {
                records.push(Record { owner, kind: record_type, data: start..at });
            }
        }
        Some(records)
    }

    /// The name at the end of the aliases that the answer itself resolves
    fn follow_aliases(&mut self, records: &[Record]) -> Result<Vec<u8>, Useless> {
        let (mut name, mut followed) = (self.asked.name.clone(), Vec::new());
        loop {
            let mut aliases = records.iter().enumerate().filter(|(_, it)| it.kind == ALIAS);
            let alias = aliases.find(|(_, alias)| self.work.is_same(&alias.owner, &name));
            let Some((number, alias)) = alias else { return Ok(name) };
            if followed.len() >= MAX_ALIASES || followed.contains(&number) {
                return Err(Useless::Aliases);
            }
            followed.push(number);
            let (target, end) =
                expand(self.message, alias.data.start, self.work).ok_or(Useless::Malformed)?;
            if end != alias.data.end {
                return Err(Useless::Malformed);
            }
            name = target;
        }
    }

    /// Takes the value of a record; a record that cannot be read is left out
    fn take(&mut self, record: &Record, values: &mut Values) {
        let Some(data) = self.message.get(record.data.clone()) else { return };
        self.work.octets(data.len());
        match record.kind {
            ADDRESS => {
                let address = <[u8; 4]>::try_from(data).map(Ipv4Addr::from);
                values.addresses.extend(address);
            }
            TEXT => values.texts.extend(text(data)),
            _ => {}
        }
    }
}

/// The joined strings of a TXT record (RFC 1035 §3.3.14); octets that are not UTF-8 are replaced
fn text(mut data: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(data.len());
    while let Some((length, behind)) = data.split_first() {
        let (string, rest) = behind.split_at_checked(usize::from(*length))?;
        text.extend_from_slice(string);
        data = rest;
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The fields of a message's header that count (RFC 1035 §4.1.1)
struct Header {
    id: u16,
    is_response: bool,
    truncated: bool,
    code: u8,
    questions: u16,
    answers: u16,
}

impl Header {
    fn parse(message: &[u8]) -> Option<Self> {
        let [i0, i1, flags, more, q0, q1, a0, a1, ..] = fixed::<HEADER>(message, 0)?;
        Some(Self {
            id: u16::from_be_bytes([i0, i1]),
            // the response bit, and the operation code of a query
            is_response: flags & 0xF8 == 0x80,
            truncated: flags & 0x02 != 0,
            code: more & 0x0F,
            questions: u16::from_be_bytes([q0, q1]),
            answers: u16::from_be_bytes([a0, a1]),
        })
    }
}

fn fixed<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..)?.first_chunk().copied()
}

/// Octets of a message's header
const HEADER: usize = 12;

/// The class of the Internet
const IN: [u8; 2] = [0, 1];

pub(crate) const ADDRESS: u16 = 1;
const ALIAS: u16 = 5;
pub(crate) const TEXT: u16 = 16;

pub(crate) const NO_ERROR: u8 = 0;
const FORMAT_ERROR: u8 = 1;
pub(crate) const NO_SUCH_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
