//! The Failure packet

use std::fmt;

use crate::{ParseError, success::hex};

/// The message of a Failure packet (RFC 2433 §7, RFC 2759 §6)
///
/// [`Display`](fmt::Display) gives the text that such a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `E=`: see [`meaning`](Self::meaning)
    pub code: u32,
    /// `R=1`: another response is welcome
    pub retry: bool,
    /// `C=`: the challenge for that response: 16 octets, in MS-CHAPv1 8
    ///
    /// `None` if left out or of another length. See [`v1_retry_challenge`] for version 1.
    pub challenge: Option<Vec<u8>>,
    /// `V=`: the version of the password-changing protocol: 3 in MS-CHAPv2
    pub version: Option<u32>,
    /// `M=`: the rest, for people; empty if left out
    pub message: String,
}

impl Failure {
    /// Reads the message of a Failure packet, with the deviations of real servers
    ///
    /// Only `E=` must be there. The others may be missing, doubled (the last counts), unreadable or
    /// in any order, unknown ones are skipped, `M=` ends it. A message that is not UTF-8 is
    /// repaired.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut fields = Fields::default();
        let mut rest = text.trim_ascii_start();
        while !rest.is_empty() {
            if let Some(message) = rest.strip_prefix(b"M=") {
                fields.message = String::from_utf8_lossy(message).into_owned();
                break;
            }
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            let (field, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            fields.read(field);
            rest = behind.trim_ascii_start();
        }
        fields.finish()
    }

    /// The meaning of the code in a few words (RFC 2759 §6)
    pub const fn meaning(&self) -> Option<&'static str> {
        Some(match self.code {
            646 => "restricted logon hours",
            647 => "account disabled",
            648 => "password expired",
            649 => "no dial-in permission",
            691 => "authentication failure",
            709 => "changing the password failed",
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E={} R={}", self.code, u8::from(self.retry))?;
        if let Some(challenge) = &self.challenge {
            f.write_str(" C=")?;
            challenge.iter().try_for_each(|octet| write!(f, "{octet:02X}"))?;
        }
        if let Some(version) = self.version {
            write!(f, " V={version}")?;
        }
        if !self.message.is_empty() {
            write!(f, " M={}", self.message)?;
        }
        Ok(())
    }
}

/// The challenge of a retry in MS-CHAPv1 whose Failure names none (RFC 2433 §7)
///
/// Each retry adds 23 to the first octet.
pub const fn v1_retry_challenge(previous: [u8; 8]) -> [u8; 8] {
    let mut challenge = previous;
    let [first, ..] = &mut challenge;
    *first = first.wrapping_add(23);
    challenge
}

#[derive(Default)]
struct Fields {
    code: Option<u32>,
    retry: bool,
    challenge: Option<Vec<u8>>,
    version: Option<u32>,
    message: String,
}

impl Fields {
    fn read(&mut self, field: &[u8]) {
        match field.split_at_checked(2) {
            Some((b"E=", value)) => self.code = decimal(value),
            Some((b"R=", value)) => self.retry = value == b"1",
            Some((b"C=", value)) => self.challenge = challenge(value),
            Some((b"V=", value)) => self.version = decimal(value),
            _ => (),
        }
    }

    fn finish(self) -> Result<Failure, ParseError> {
        let Self { code, retry, challenge, version, message } = self;
        let code = code.ok_or(ParseError::NoErrorCode)?;
        Ok(Failure { code, retry, challenge, version, message })
    }
}

fn decimal(digits: &[u8]) -> Option<u32> {
    str::from_utf8(digits).ok()?.parse().ok()
}

fn challenge(digits: &[u8]) -> Option<Vec<u8>> {
    let version_2 = hex::<16>(digits).map(Vec::from);
    version_2.or_else(|| hex::<8>(digits).map(Vec::from))
}
