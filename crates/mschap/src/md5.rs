//! CHAP with MD5 (RFC 1994)

use md5::{Digest, Md5};

/// The Response value of CHAP with MD5 (RFC 1994 §4.1)
///
/// `secret` is the password in octets: see [`Password::octets`](crate::Password::octets).
pub fn md5_response(id: u8, secret: &[u8], challenge: &[u8]) -> [u8; 16] {
    Md5::new().chain_update([id]).chain_update(secret).chain_update(challenge).finalize().into()
}
