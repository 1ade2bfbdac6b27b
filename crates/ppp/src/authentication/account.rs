//! The account of a client: from a challenge to the answer, and to the one that is expected of the server

use pptp_mschap::{
    AuthenticatorResponse, HashName, NtHash, Password, PasswordChange, PasswordEncoding,
    PasswordTooLong, Side, challenge_hash, master_key, md5_response, nt_response,
    v1_start_key_40_56, v1_start_key_128,
};
use pptp_packet::Redacted;

use super::phase::{Keys, V1Keys};
use crate::{
    context::random::Random,
    wire::{
        authentication::{ChangePassword, chap::RESPONSE},
        packet::ChapValue,
        protocol::AuthenticationProtocol,
    },
};

/// Octets of the value of an MS-CHAP Response of either version
pub(crate) const RESPONSE_LEN: usize = 49;

/// The client's account: user name and password, and how they are hashed
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) user: Box<str>,
    pub(crate) password: Password,
    pub(crate) hash_name: HashName,
    pub(crate) encoding: PasswordEncoding,
}

/// The algorithm of a CHAP (RFC 1994 §3)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Algorithm 05
    Md5,
    /// Algorithm 80
    MsChapV1,
    /// Algorithm 81
    MsChapV2,
}

/// An answer to a challenge, with the one that is then expected of the server
#[derive(Debug)]
pub(crate) struct ChapAnswer {
    pub(crate) code: u8,
    /// The data of the packet, the name included
    pub(crate) data: Redacted<Vec<u8>>,
    pub(crate) expected: ExpectedAnswer,
}

/// The answer expected in a Success, and the keys that are valid after it
#[derive(Debug)]
pub(crate) struct ExpectedAnswer {
    /// The Authenticator Response of MS-CHAPv2; the other algorithms do not prove the server
    pub(crate) authenticator_response: Option<AuthenticatorResponse>,
    pub(crate) keys: Keys,
}

impl Algorithm {
    /// The algorithm of this protocol, if it is a CHAP
    pub(crate) const fn of(protocol: AuthenticationProtocol) -> Option<Self> {
        match protocol {
            AuthenticationProtocol::ChapMd5 => Some(Self::Md5),
            AuthenticationProtocol::MsChapV1 => Some(Self::MsChapV1),
            AuthenticationProtocol::MsChapV2 => Some(Self::MsChapV2),
            _ => None,
        }
    }

    /// Returns true if a challenge may have this many octets (RFC 1994 §4.1, RFC 2433 §4, RFC 2759 §3)
    pub(crate) const fn takes(self, octets: usize) -> bool {
        match self {
            Self::Md5 => octets > 0,
            Self::MsChapV1 => octets == 8,
            Self::MsChapV2 => octets == 16,
        }
    }
}

impl Account {
    /// The Response to a challenge; `None` if the challenge has a wrong length
    ///
    /// `peer_challenge` is our own challenge, which MS-CHAPv2 has.
    pub(crate) fn respond(
        &self,
        algorithm: Algorithm,
        id: u8,
        challenge: &[u8],
        peer_challenge: &[u8; 16],
    ) -> Option<ChapAnswer> {
        let (value, expected) = match algorithm {
            Algorithm::Md5 => {
                let value = md5_response(id, &self.password.octets(self.encoding), challenge);
                (value.to_vec(), ExpectedAnswer { authenticator_response: None, keys: Keys::None })
            }
            Algorithm::MsChapV1 => {
                let (response, expected) = self.prove_v1(challenge.try_into().ok()?);
                (v1_value(&response).to_vec(), expected)
            }
            Algorithm::MsChapV2 => {
                let (response, expected) =
                    self.prove_v2(challenge.try_into().ok()?, peer_challenge);
                (v2_value(peer_challenge, &response).to_vec(), expected)
            }
        };
        let mut data = Vec::new();
        ChapValue { value: &value, name: self.user.as_bytes() }.emit(&mut data);
        Some(ChapAnswer { code: RESPONSE, data: Redacted(data), expected })
    }

    /// The Change-Password packet that changes the password from `old` to that of this account
    ///
    /// `None` if the algorithm has no such packet, or does not take the challenge.
    pub(crate) fn change_password(
        &self,
        old: &Password,
        algorithm: Algorithm,
        challenge: &[u8],
        random: &mut Random,
    ) -> Option<Result<ChapAnswer, PasswordTooLong>> {
        let peer_challenge = random.draw();
        let (nt_response, expected, peer_challenge) = match algorithm {
            Algorithm::Md5 => return None,
            Algorithm::MsChapV1 => {
                let (response, expected) = self.prove_v1(challenge.try_into().ok()?);
                (response, expected, None)
            }
            Algorithm::MsChapV2 => {
                let (response, expected) =
                    self.prove_v2(challenge.try_into().ok()?, &peer_challenge);
                (response, expected, Some(&peer_challenge))
            }
        };
        let (hash, fill) = (old.nt_hash(self.encoding), random.draw());
        let change = PasswordChange::new(&hash, &self.password, self.encoding, &fill);
        Some(change.map(|change| {
            let packet =
                ChangePassword { change: &change, peer_challenge, nt_response: &nt_response };
            let (code, data) = packet.emit();
            ChapAnswer { code, data: Redacted(data), expected }
        }))
    }

    fn hash(&self) -> NtHash {
        self.password.nt_hash(self.encoding)
    }

    fn prove_v1(&self, challenge: [u8; 8]) -> ([u8; 24], ExpectedAnswer) {
        let hash = self.hash();
        let keys = Keys::V1(Box::new(V1Keys {
            bits_128: v1_start_key_128(&hash, &challenge),
            bits_40_56: v1_start_key_40_56(&self.password.lm_hash()),
        }));
        (nt_response(&challenge, &hash), ExpectedAnswer { authenticator_response: None, keys })
    }

    fn prove_v2(
        &self,
        challenge: &[u8; 16],
        peer_challenge: &[u8; 16],
    ) -> ([u8; 24], ExpectedAnswer) {
        let (hash, user) = (self.hash(), self.user.as_bytes());
        let challenge = challenge_hash(peer_challenge, challenge, user, self.hash_name);
        let response = nt_response(&challenge, &hash);
        let authenticator_response = Some(AuthenticatorResponse::new(&hash, &response, &challenge));
        let keys = Keys::V2(Box::new(master_key(&hash, &response).start_keys(Side::Client)));
        (response, ExpectedAnswer { authenticator_response, keys })
    }
}

/// The value of an MS-CHAPv1 Response (RFC 2433 §6): no LAN Manager response, and the flag that says so
fn v1_value(nt_response: &[u8; 24]) -> [u8; RESPONSE_LEN] {
    let mut value = [0; RESPONSE_LEN];
    if let Some([rest @ .., flag]) = value.get_mut(24..) {
        rest.copy_from_slice(nt_response);
        *flag = 1;
    }
    value
}

/// The value of an MS-CHAPv2 Response (RFC 2759 §4): peer challenge, 8 octets of zero, NT-Response, flags
fn v2_value(peer_challenge: &[u8; 16], nt_response: &[u8; 24]) -> [u8; RESPONSE_LEN] {
    let mut value = [0; RESPONSE_LEN];
    let (challenge, rest) = value.split_at_mut(16);
    challenge.copy_from_slice(peer_challenge);
    if let Some(response) = rest.get_mut(8..32) {
        response.copy_from_slice(nt_response);
    }
    value
}
