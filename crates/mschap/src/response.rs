//! The peer's answer to a challenge

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::{LmHash, NtHash, des_block::des_encrypt, secret::leading};

/// The name that goes into the hash of the challenges
///
/// The name on the wire is always the full name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashName {
    /// The part behind the last `\`: RFC 2759 §8.2, Windows, pppd
    #[default]
    StripDomain,
    /// The name as it was sent: accel-ppp with its own secrets
    AsSent,
}

/// `ChallengeHash`: both challenges and the name in 8 octets (RFC 2759 §8.2)
pub fn challenge_hash(
    peer: &[u8; 16],
    authenticator: &[u8; 16],
    user_name: &[u8],
    hash_name: HashName,
) -> [u8; 8] {
    let name = match hash_name {
        HashName::StripDomain => user_name.rsplit(|&octet| octet == b'\\').next(),
        HashName::AsSent => Some(user_name),
    };
    let digest = Sha1::new()
        .chain_update(peer)
        .chain_update(authenticator)
        .chain_update(name.unwrap_or_default())
        .finalize();
    leading(&digest)
}

/// `ChallengeResponse` under the NT hash (RFC 2759 §8.5, RFC 2433 A.5)
///
/// The challenge is that of [`challenge_hash`] in version 2, the authenticator's own in version 1.
pub fn nt_response(challenge: &[u8; 8], hash: &NtHash) -> [u8; 24] {
    challenge_response(*challenge, hash.as_bytes())
}

/// `LmChallengeResponse` (RFC 2433 A.1), of MS-CHAPv1 only
///
/// It helps an eavesdropper more than the server: a peer sends zeros in its place.
pub fn lm_response(challenge: &[u8; 8], hash: &LmHash) -> [u8; 24] {
    challenge_response(*challenge, hash.as_bytes())
}

fn challenge_response(challenge: [u8; 8], hash: &[u8; 16]) -> [u8; 24] {
    let padded = Zeroizing::new(leading::<21>(hash));
    let mut response = [0; 24];
    let (keys, _) = padded.as_chunks();
    let (blocks, _) = response.as_chunks_mut();
    for (block, key) in blocks.iter_mut().zip(keys) {
        *block = des_encrypt(*key, challenge);
    }
    response
}
