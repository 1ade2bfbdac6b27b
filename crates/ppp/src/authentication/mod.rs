//! The authentication phase (RFC 1661 §3.5): what both roles have in common
//!
//! ```text
//!   client         the side that is authenticated: one method, as LCP agreed
//!     pap          the password in the clear (RFC 1334)
//!     eap          EAP with MS-CHAPv2 inside (RFC 3748)
//!     conversation challenge, answer and verdict of the CHAP family, whatever carries them
//!       account    a challenge's answer, made of the password
//! ```
//!
//! Three files touch the password: `account` hashes it, `pap` sends it, and `client` compares it with
//! the owner's other one. The packets are in [`wire::authentication`](crate::wire::authentication).

mod account;
mod client;
mod conversation;
mod eap;
mod pap;

use std::time::Instant;

use pptp_mppe::KeyStrength;
use pptp_mschap::{StartKey, StartKeys};

#[cfg(feature = "server")]
pub(crate) use account::Algorithm;
pub(crate) use client::Client;

use crate::config::questions::Question;
use crate::context::round_trips::Sent;
use crate::context::{Context, Trouble};
use crate::failure::Failure;
use crate::wire::packet::Packet;
use crate::wire::protocol::AuthenticationProtocol;

/// The authentication phase of one role
pub(crate) trait Authentication {
    /// LCP is open, and has agreed on this protocol
    fn start(&mut self, now: Instant, protocol: AuthenticationProtocol, context: &mut Context);
    /// LCP is down: what was proven holds no longer
    fn stop(&mut self);
    /// The protocol that was agreed on, by its number in a PPP header
    fn protocol(&self) -> Option<u16>;
    /// A packet of that protocol came in; `lcp_ack` is when our LCP Configure-Ack was sent
    fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        lcp_ack: Option<Sent>,
        context: &mut Context,
    ) -> Result<Outcome, Trouble>;
    /// The peer sends NCP packets already: it holds the authentication to be over
    fn peer_went_ahead(&mut self, _now: Instant, _context: &mut Context) -> Outcome {
        Outcome::Nothing
    }
    /// Returns whether a packet of that protocol would end the link
    fn would_fail(&self, _packet: &Packet<'_>) -> bool {
        false
    }
    /// Returns the reason that a peer hangs up now: the login that it refused is still to be answered
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
    /// Both ends know who the other is, as far as the method goes
    Authenticated(Authenticated),
    /// The peer has proven itself once more on a link that is past it, with the keys of this time
    AuthenticatedAgain(Keys),
    /// The server took the new password; an authentication for the first time comes with it
    PasswordChanged(Option<Authenticated>),
    /// The owner has to answer before it goes on
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
    /// PAP and CHAP-MD5: nothing, so that MPPE is not to be had
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
pub(crate) fn words(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..MAX_WORDS).unwrap_or(text)).into_owned()
}

/// Octets kept of a name: that of a Windows host has 15, a DNS name 255
const MAX_NAME: usize = 255;
/// Octets kept of what a server says for people
const MAX_WORDS: usize = 256;
