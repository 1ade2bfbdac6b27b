//! The MPPE start keys, derived from a password (RFC 3079)

use sha1::{Digest, Sha1};

use crate::{
    LmHash, NtHash,
    secret::{leading, secret},
};

secret! {
    /// `MasterKey`, from which the start keys of both directions are derived (RFC 3079 §3.4)
    MasterKey, 16
}

secret! {
    /// The key that MPPE starts one direction with
    ///
    /// 16 octets for 128-bit sessions; 40- and 56-bit sessions use the first 8.
    StartKey, 16
}

/// The start keys of both directions, as seen by the side that computed them
#[derive(Debug)]
pub struct StartKeys {
    /// The key for packets that this side sends
    pub send: StartKey,
    /// The key for packets that this side receives
    pub receive: StartKey,
}

/// The side that computes the keys; the samples of RFC 3079 §3.5 show the server's send key
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The authenticated peer
    Client,
    /// The authenticator
    Server,
}

/// `GetMasterKey` (RFC 3079 §3.4)
pub fn master_key(hash: &NtHash, nt_response: &[u8; 24]) -> MasterKey {
    let digest = Sha1::new()
        .chain_update(hash.hash().as_bytes())
        .chain_update(nt_response)
        .chain_update(b"This is the MPPE Master Key")
        .finalize();
    MasterKey::new(leading(&digest))
}

impl MasterKey {
    /// The start keys of both directions (RFC 3079 §3.4)
    pub fn start_keys(&self, side: Side) -> StartKeys {
        let client_send = self.asymmetric_start_key(MAGIC_2);
        let client_receive = self.asymmetric_start_key(MAGIC_3);
        match side {
            Side::Client => StartKeys { send: client_send, receive: client_receive },
            Side::Server => StartKeys { send: client_receive, receive: client_send },
        }
    }

    fn asymmetric_start_key(&self, magic: &[u8; 84]) -> StartKey {
        let digest = Sha1::new()
            .chain_update(self.as_bytes())
            .chain_update([0x00; 40])
            .chain_update(magic)
            .chain_update([0xF2; 40])
            .finalize();
        StartKey::new(leading(&digest))
    }
}

/// The start key of both directions of a 128-bit session after MS-CHAPv1 (RFC 3079 §2.4)
pub fn v1_start_key_128(hash: &NtHash, challenge: &[u8; 8]) -> StartKey {
    let hash_hash = hash.hash();
    let digest = Sha1::new()
        .chain_update(hash_hash.as_bytes())
        .chain_update(hash_hash.as_bytes())
        .chain_update(challenge)
        .finalize();
    StartKey::new(leading(&digest))
}

/// The start key of both directions of a 40- or 56-bit session after MS-CHAPv1 (RFC 3079 §2.2, 2.3)
///
/// Only the first 8 octets count. It is the same in every session.
pub fn v1_start_key_40_56(hash: &LmHash) -> StartKey {
    StartKey::new(*hash.as_bytes())
}

const MAGIC_2: &[u8; 84] =
    b"On the client side, this is the send key; on the server side, it is the receive key.";
const MAGIC_3: &[u8; 84] =
    b"On the client side, this is the receive key; on the server side, it is the send key.";
