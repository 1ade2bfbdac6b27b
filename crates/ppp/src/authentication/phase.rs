//! The authentication phase of either role: its outcomes, and the keys that it leaves

use std::time::Instant;

use pptp_mppe::KeyStrength;
use pptp_mschap::{StartKey, StartKeys};

use crate::{
    config::questions::Question,
    context::{Context, PacketError, round_trips::Sent},
    failure::Failure,
    wire::{packet::Packet, protocol::AuthenticationProtocol},
};

/// The authentication phase of one role
pub(crate) trait Authentication {
    /// Starts the protocol on which LCP has agreed
    fn start(&mut self, now: Instant, protocol: AuthenticationProtocol, context: &mut Context);
    /// Stops, because LCP is down: the proofs so far do not count any more
    fn stop(&mut self);
    /// The protocol that was agreed on, by its number in a PPP header
    fn protocol(&self) -> Option<u16>;
    /// Handles a packet of that protocol; `lcp_ack` is the time of our LCP Configure-Ack
    fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        lcp_ack: Option<Sent>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError>;
    /// Handles the case that the peer sends NCP packets already: for it the authentication is over
    fn peer_went_ahead(&mut self, _now: Instant, _context: &mut Context) -> Outcome {
        Outcome::Nothing
    }
    /// Returns true if a packet of that protocol would end the link
    fn would_fail(&self, _packet: &Packet<'_>) -> bool {
        false
    }
    /// Returns the reason of a peer that hangs up now: it refused the login, and waits for an
    /// answer
    fn disagreement(&self) -> Option<Failure> {
        None
    }
    fn handle_timeout(&mut self, now: Instant, context: &mut Context) -> Result<(), Failure>;
    fn deadline(&self) -> Option<Instant>;
}

/// The outcome of a packet
#[derive(Debug)]
pub(crate) enum Outcome {
    Nothing,
    /// Both ends have proven who they are, as far as the method does that
    Authenticated(Authenticated),
    /// The peer was authenticated once more after this phase; these are the new keys
    AuthenticatedAgain(Keys),
    /// The server took the new password; the result is there if this was the link's first
    /// authentication
    PasswordChanged(Option<Authenticated>),
    /// The owner has to answer this question first
    Ask(Question),
}

/// The peer's name, and the keys that MPPE begins with
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) keys: Keys,
    /// The name the peer gave
    pub(crate) peer_name: Box<str>,
}

/// The keys that an authentication leaves for MPPE
#[derive(Debug)]
pub(crate) enum Keys {
    /// PAP and CHAP-MD5: no keys, so that MPPE is not possible
    None,
    /// MS-CHAPv1: the same key for both directions (RFC 3079 §2)
    V1(Box<V1Keys>),
    /// MS-CHAPv2, plain or in EAP (RFC 3079 §3)
    V2(Box<StartKeys>),
}

/// The start keys of MS-CHAPv1, which depend on the strength
#[derive(Debug)]
pub(crate) struct V1Keys {
    /// The key of 128 bits, from the NT hash and the challenge
    pub(crate) bits_128: StartKey,
    /// The key of 40 and 56 bits, from the LAN Manager hash alone: the same in every session
    pub(crate) bits_40_56: StartKey,
}

impl Keys {
    /// The start keys of a session of this strength, in the caller's directions
    pub(crate) fn start_keys(&self, strength: KeyStrength) -> Option<StartKeys> {
        let pair = |send: &StartKey, receive: &StartKey| {
            let [send, receive] = [send, receive].map(|key| StartKey::new(*key.as_bytes()));
            Some(StartKeys { send, receive })
        };
        match self {
            Self::None => None,
            Self::V1(keys) if strength == KeyStrength::Bits128 => {
                pair(&keys.bits_128, &keys.bits_128)
            }
            Self::V1(keys) => pair(&keys.bits_40_56, &keys.bits_40_56),
            Self::V2(keys) => pair(&keys.send, &keys.receive),
        }
    }
}

/// Returns a name for people: octets that are not UTF-8 are replaced, and a long name is cut off
pub(crate) fn peer_name(name: &[u8]) -> Box<str> {
    String::from_utf8_lossy(name.get(..MAX_NAME).unwrap_or(name)).into()
}

/// Returns a peer's own words: octets that are not UTF-8 are replaced, and a long text is cut off
pub(crate) fn peer_text(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..MAX_TEXT).unwrap_or(text)).into_owned()
}

/// Octets kept of a name: that of a Windows host has 15, a DNS name 255
const MAX_NAME: usize = 255;
/// Octets kept of a server's text for people
const MAX_TEXT: usize = 256;
