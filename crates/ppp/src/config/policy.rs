//! The policies of a client: the one safe way, and the weaker ones that it has to allow by name

use pptp_mppe::{KeyStrength, StatefulReset};

use crate::wire::protocol::AuthenticationProtocol;

/// The authentication protocols that a client agrees to (RFC 1661 §6.2)
///
/// It always agrees to MS-CHAPv2, since only that proves the server too and makes keys that differ in each session. A
/// server that asks for anything weaker is asked for better first, even if the weaker is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationPolicy {
    /// MS-CHAPv2 inside EAP (RFC 3748); true: it is as strong as without
    pub eap: bool,
    /// MS-CHAPv1: the server proves nothing, and the keys are the same in each session
    pub insecure_mschap_v1: bool,
    /// CHAP with MD5: the server proves nothing, and there are no keys for MPPE
    pub insecure_chap_md5: bool,
    /// PAP: the password in the clear, to any server that asks
    pub insecure_pap: bool,
    /// True if an allowed protocol is agreed to at once, instead of asking for MS-CHAPv2 first
    ///
    /// For pppd: if it is asked for a protocol that it does not have, it asks for none any more,
    /// and then hangs up because of that. It offers its best protocol first.
    pub accept_first_offer: bool,
}

impl AuthenticationPolicy {
    /// Returns true if the client agrees to this protocol when the server insists
    pub const fn allows(&self, protocol: AuthenticationProtocol) -> bool {
        match protocol {
            AuthenticationProtocol::MsChapV2 => true,
            AuthenticationProtocol::Eap => self.eap,
            AuthenticationProtocol::MsChapV1 => self.insecure_mschap_v1,
            AuthenticationProtocol::ChapMd5 => self.insecure_chap_md5,
            AuthenticationProtocol::Pap => self.insecure_pap,
            _ => false,
        }
    }
}

impl Default for AuthenticationPolicy {
    /// Returns the policy that agrees to MS-CHAPv2 only, alone or in EAP
    fn default() -> Self {
        Self {
            eap: true,
            insecure_mschap_v1: false,
            insecure_chap_md5: false,
            insecure_pap: false,
            accept_first_offer: false,
        }
    }
}

/// The encryption that a client agrees to (RFC 3078)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptionPolicy {
    /// The demand for encryption
    pub demand: EncryptionDemand,
    /// The shortest key; less than 128 bits is insecure
    pub insecure_least_key: KeyStrength,
    /// The reset of stateful MPPE, if that is allowed with a server that has no other; `None`: not
    /// allowed
    ///
    /// After a loss, keys are used twice: RFC 3078 says so itself.
    pub insecure_stateful: Option<StatefulReset>,
    /// True if stateful MPPE, where it is allowed, is asked for at once: for servers that hang up
    /// when they are asked for stateless MPPE
    ///
    /// One request cannot ask for both (RFC 3078 §2.1), and not every server names the mode that it
    /// wants.
    pub insecure_stateful_first: bool,
}

impl EncryptionPolicy {
    /// Returns true if a link of this authentication has to be encrypted, by the policy alone
    pub(crate) fn is_required(self) -> bool {
        self.demand == EncryptionDemand::Require
    }
}

impl Default for EncryptionPolicy {
    /// Returns the policy that a link has 128 bit stateless MPPE or ends
    fn default() -> Self {
        Self {
            demand: EncryptionDemand::Require,
            insecure_least_key: KeyStrength::Bits128,
            insecure_stateful: None,
            insecure_stateful_first: false,
        }
    }
}

/// The demand for encryption of a link
///
/// However it came up, a link that was encrypted never goes on in the clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionDemand {
    /// No link without it
    #[default]
    Require,
    /// Asked for; a server that has none gets a link in the clear
    ///
    /// That is: a server that rejects MPPE or CCP, one that agrees to CCP without MPPE, and one that
    /// has not said a word of CCP for 9 s, in which it was asked three times.
    InsecurePrefer,
    /// The client does not ask for encryption, and agrees to it where the server asks
    ///
    /// A link that came up in the clear is encrypted from then on if the server asks later.
    InsecureAllow,
    /// Refused, with a Protocol-Reject of CCP: all in the clear
    InsecureDeny,
}
