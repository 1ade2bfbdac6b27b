//! The outcome of CCP, and the policies that a link may have for it

use std::fmt;

use pptp_mppe::KeyStrength;

use crate::{config::policy::EncryptionPolicy, wire::protocol::MppeBits};

/// MPPE as it was agreed on (RFC 3078 §2.1)
///
/// CCP negotiates each direction by itself (RFC 1962 §2), so that they may differ, though no real
/// server has been seen to let them; both are within the policy then, and this is the weaker of the
/// two. One direction encrypted and the other in the clear is never agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encryption {
    /// The secret part of the session keys
    pub strength: KeyStrength,
    /// True if one key stream serves many frames; stateless sessions have a key for each
    pub stateful: bool,
}

impl Encryption {
    /// Returns true if the owner lets the link be encrypted in this way
    pub(crate) fn is_allowed_by(self, policy: EncryptionPolicy) -> bool {
        self.strength >= policy.insecure_least_key
            && (!self.stateful || policy.insecure_stateful.is_some())
    }

    /// Returns the weaker strength and mode of both directions
    pub(crate) fn weaker(self, other: Self) -> Self {
        Self {
            strength: self.strength.min(other.strength),
            stateful: self.stateful || other.stateful,
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.strength {
            KeyStrength::Bits40 => 40,
            KeyStrength::Bits56 => 56,
            KeyStrength::Bits128 => 128,
        };
        write!(f, "MPPE {bits} bit {}", if self.stateful { "stateful" } else { "stateless" })
    }
}

/// The outcome of CCP, once it is open
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// Both directions are encrypted, each in its way
    Encrypted { send: Encryption, receive: Encryption },
    /// Both directions are in the clear
    Clear,
    /// One direction is encrypted, the other in the clear
    OneWay,
}

impl Agreed {
    pub(crate) const fn new(send: Option<Encryption>, receive: Option<Encryption>) -> Self {
        match (send, receive) {
            (Some(send), Some(receive)) => Self::Encrypted { send, receive },
            (None, None) => Self::Clear,
            _ => Self::OneWay,
        }
    }
}

/// The policy for CCP once the authentication is over
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CcpPolicy {
    /// CCP is opened, and without MPPE the link ends
    Require,
    /// CCP is opened, and without MPPE the link goes on in the clear
    Prefer,
    /// CCP is opened when the peer opens it
    Listen,
    /// CCP is answered with Protocol-Reject
    Refuse,
    /// CCP gets no answer at all
    #[cfg(feature = "server")]
    Ignore,
}

impl MppeBits {
    /// The MPPE bits that ask for exactly this encryption
    pub(crate) fn only(encryption: Encryption) -> Self {
        let stateless = if encryption.stateful { 0 } else { Self::STATELESS };
        Self::at_least(encryption.strength, encryption.strength).with(stateless)
    }

    /// Returns the encryption that these bits mean, if they name one strength and nothing beside H
    pub(crate) fn exactly(self) -> Option<Encryption> {
        let strength = self.strengths().next()?;
        let encryption = Encryption { strength, stateful: !self.is_stateless() };
        (Self::only(encryption) == self).then_some(encryption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_mean_one_encryption_or_none() {
        let stateless = |strength| Some(Encryption { strength, stateful: false });
        let stateful = |strength| Some(Encryption { strength, stateful: true });
        for (bits, expected) in [
            (0x0100_0040, stateless(KeyStrength::Bits128)),
            (0x0100_0080, stateless(KeyStrength::Bits56)),
            (0x0100_0020, stateless(KeyStrength::Bits40)),
            (0x40, stateful(KeyStrength::Bits128)),
            (0, None),
            (0x0100_0000, None),
            (0x0100_0060, None),
            (0x0100_0041, None),
            (0x0100_0001, None),
            (0x0100_0050, None),
            (0x8100_0040, None),
        ] {
            assert_eq!(MppeBits(bits).exactly(), expected, "{bits:08x}");
            if let Some(encryption) = expected {
                assert_eq!(MppeBits::only(encryption), MppeBits(bits));
            }
        }
    }

    #[test]
    fn an_encryption_is_told_in_words() {
        let weak = Encryption { strength: KeyStrength::Bits40, stateful: true };
        let strong = Encryption { strength: KeyStrength::Bits128, stateful: false };
        assert_eq!(strong.to_string(), "MPPE 128 bit stateless");
        assert_eq!(weak.weaker(strong), weak);
        assert_eq!(strong.weaker(weak).to_string(), "MPPE 40 bit stateful");
    }
}
