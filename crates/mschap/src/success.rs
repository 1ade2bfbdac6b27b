//! The authenticator's proof, and the Success packet that carries it

use std::fmt;

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use crate::{NtHash, ParseError};

/// The authenticator's proof that it knows the password's hash (RFC 2759 §8.7)
///
/// Compares in constant time. [`Display`](fmt::Display) gives the text with which a Success packet
/// begins. `Debug` is redacted, so that the expected answer cannot be read from a client's log
/// before the server has sent it.
#[derive(Clone, Copy)]
pub struct AuthenticatorResponse([u8; 20]);

impl AuthenticatorResponse {
    /// The right answer to the response `nt_response` to `challenge`, the result of
    /// [`challenge_hash`]
    ///
    /// [`challenge_hash`]: crate::challenge_hash
    pub fn new(hash: &NtHash, nt_response: &[u8; 24], challenge: &[u8; 8]) -> Self {
        let digest = Sha1::new()
            .chain_update(hash.hash().as_bytes())
            .chain_update(nt_response)
            .chain_update(MAGIC_1)
            .finalize();
        let digest = Sha1::new()
            .chain_update(digest)
            .chain_update(challenge)
            .chain_update(MAGIC_2)
            .finalize();
        Self(digest.into())
    }

    /// Reads the message of a Success packet (RFC 2759 §5)
    ///
    /// `S=` and 40 hexadecimal digits of either case, then nothing or `M=` and any text, with a
    /// space before it or none: Windows often leaves the text out.
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let digits = message.strip_prefix(b"S=").ok_or(ParseError::NoAuthenticatorResponse)?;
        let (digits, rest) = digits.split_at_checked(40).unwrap_or((digits, &[]));
        let octets = hex(digits).ok_or(ParseError::NoAuthenticatorResponse)?;
        let text = rest.strip_prefix(b" ").unwrap_or(rest);
        if !rest.is_empty() && !text.starts_with(b"M=") {
            return Err(ParseError::TrailingOctets);
        }
        Ok(Self(octets))
    }
}

impl PartialEq for AuthenticatorResponse {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AuthenticatorResponse {}

impl fmt::Display for AuthenticatorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S=")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

impl fmt::Debug for AuthenticatorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticatorResponse([redacted])")
    }
}

/// Exactly `N` octets in hexadecimal digits of either case
pub(crate) fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let octets: Option<Vec<u8>> = pairs
        .iter()
        .map(|&[high, low]| {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            u8::try_from(digit(high)? << 4 | digit(low)?).ok()
        })
        .collect();
    octets?.try_into().ok()
}

const MAGIC_1: &[u8; 39] = b"Magic server to client signing constant";
const MAGIC_2: &[u8; 41] = b"Pad to make it do more than one iteration";
