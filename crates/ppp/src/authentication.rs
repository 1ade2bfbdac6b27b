//! The authentication phase (RFC 1661 §3.5): what every method of it is, and what comes of it

use std::time::Instant;

use pptp_mppe::KeyStrength;
use pptp_mschap::{StartKey, StartKeys};

use crate::context::{Context, Trouble};
use crate::failure::Failure;
use crate::packet::Packet;
use crate::round_trips::Sent;

/// The authentication phase of one role
pub(crate) trait Authentication {
    /// LCP is open
    fn start(&mut self, now: Instant, context: &mut Context);
    /// LCP is down: what was proven holds no longer
    fn stop(&mut self);
    /// A CHAP packet came in; `lcp_ack` is when our LCP Configure-Ack was sent
    fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        lcp_ack: Option<Sent>,
        context: &mut Context,
    ) -> Result<Option<Authenticated>, Trouble>;
    /// The peer sends NCP packets already
    fn peer_went_ahead(&mut self, _context: &mut Context) {}
    fn handle_timeout(&mut self, now: Instant, context: &mut Context) -> Result<(), Failure>;
    fn deadline(&self) -> Option<Instant>;
}

/// Both ends know who the other is, as far as the method goes
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) keys: Keys,
    /// The name the peer gave
    pub(crate) peer_name: Box<str>,
}

/// What an authentication leaves MPPE to begin with
#[derive(Debug)]
pub(crate) enum Keys {
    /// PAP and CHAP-MD5: nothing, so that MPPE is not to be had
    #[expect(dead_code, reason = "the methods without keys come next")]
    None,
    /// MS-CHAPv1: the same key for both directions (RFC 3079 §2)
    #[expect(dead_code, reason = "MS-CHAPv1 comes next")]
    V1(Box<V1Keys>),
    /// MS-CHAPv2, plain or in EAP (RFC 3079 §3)
    V2(Box<StartKeys>),
}

/// The start keys of MS-CHAPv1, which depend on the strength
#[derive(Debug)]
pub(crate) struct V1Keys {
    /// From the NT hash and the challenge
    pub(crate) bits_128: StartKey,
    /// From the LAN Manager hash alone: the same in every session
    pub(crate) bits_40_56: StartKey,
}

impl Keys {
    /// The start keys of a session of this strength, in the caller's directions
    pub(crate) fn start_keys(&self, strength: KeyStrength) -> Option<StartKeys> {
        let both = |key: &StartKey| {
            let octets = key.as_bytes();
            StartKeys { send: StartKey::new(*octets), receive: StartKey::new(*octets) }
        };
        match self {
            Self::None => None,
            Self::V1(keys) if strength == KeyStrength::Bits128 => Some(both(&keys.bits_128)),
            Self::V1(keys) => Some(both(&keys.bits_40_56)),
            Self::V2(keys) => {
                let [send, receive] =
                    [&keys.send, &keys.receive].map(|key| StartKey::new(*key.as_bytes()));
                Some(StartKeys { send, receive })
            }
        }
    }
}
