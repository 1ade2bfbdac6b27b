//! Login and encryption, and all that weakens them

use pptp_tunnel::{EncryptionDemand, HashName, KeyStrength, PasswordEncoding, StatefulReset};

use super::TunnelConfig;

/// Login and encryption
impl TunnelConfig {
    /// The form of `DOMAIN\user` that goes into the MS-CHAPv2 hash (RFC 2759 §4); without the domain by default
    #[must_use]
    pub const fn hash_name(mut self, form: HashName) -> Self {
        self.machine.link.hash_name = form;
        self
    }

    /// The way in which the password becomes UTF-16 for its hash (RFC 2759 §8.3), and octets for PAP and CHAP-MD5
    ///
    /// Without effect on a password in ASCII.
    #[must_use]
    pub const fn password_encoding(mut self, encoding: PasswordEncoding) -> Self {
        self.machine.link.password_encoding = encoding;
        self
    }

    /// Allows or forbids MS-CHAPv2 inside EAP, where the server insists on it (RFC 3748); allowed by default
    ///
    /// It is as strong as without EAP, and takes three round trips more.
    #[must_use]
    pub const fn eap(mut self, allow: bool) -> Self {
        self.machine.link.authentication.eap = allow;
        self
    }

    /// Agrees to MS-CHAPv1 where the server insists on it (RFC 2433); it does not by default
    ///
    /// Insecure: the server proves nothing, so that anyone may play it. Who records one login finds the
    /// password's hash by trying 2^56 keys at most, and has with it all that was ever encrypted. MPPE's key of 128
    /// bits is the same in both directions, and those of 40 and 56 are the same in every session.
    #[must_use]
    pub const fn insecure_mschap_v1(mut self) -> Self {
        self.machine.link.authentication.insecure_mschap_v1 = true;
        self
    }

    /// Agrees to CHAP with MD5 where the server insists on it (RFC 1994); it does not by default
    ///
    /// Insecure: the server proves nothing, and who records one login can try passwords against it, a
    /// billion in a second. It leaves no keys for MPPE, so that
    /// [`insecure_encryption`](Self::insecure_encryption) has to allow a tunnel in the clear too.
    #[must_use]
    pub const fn insecure_chap_md5(mut self) -> Self {
        self.machine.link.authentication.insecure_chap_md5 = true;
        self
    }

    /// Agrees to PAP where the server insists on it (RFC 1334); it does not by default
    ///
    /// Insecure: the password is sent in the clear to anyone who asks for it. It leaves no keys for MPPE, so that
    /// [`insecure_encryption`](Self::insecure_encryption) has to allow a tunnel in the clear too.
    #[must_use]
    pub const fn insecure_pap(mut self) -> Self {
        self.machine.link.authentication.insecure_pap = true;
        self
    }

    /// The demand for encryption (RFC 3078); it is required by default
    ///
    /// Insecure with every other demand: what goes through the tunnel can be read and changed by
    /// anyone on the way to the server, also where the server would have encrypted, since an
    /// attacker on that way decides. A tunnel that was encrypted never goes on in the clear.
    /// [`Facts::encryption`](crate::info::Facts::encryption) tells what came of it.
    #[must_use]
    pub const fn insecure_encryption(mut self, demand: EncryptionDemand) -> Self {
        self.machine.link.encryption.demand = demand;
        self
    }

    /// The shortest MPPE key (RFC 3078 §2.1); 128 bits by default
    ///
    /// Insecure below 128: keys of 40 bits are found by trial within seconds, those of 56 within
    /// hours. The longest key that both ends have is agreed on.
    #[must_use]
    pub const fn insecure_least_key(mut self, least: KeyStrength) -> Self {
        self.machine.link.encryption.insecure_least_key = least;
        self
    }

    /// Agrees to stateful MPPE where the server has no stateless (RFC 3078 §7.3); it does not by default
    ///
    /// Insecure: after a loss, key stream is used twice, which gives away the packets that were encrypted with it.
    /// Slow too: a lost frame stops the tunnel for a round trip, and frames are put in order
    /// first ([`Self::reorder_buffer`]). `reset` has to be what the server does; servers on Linux are
    /// [`StatefulReset::Linux`].
    #[must_use]
    pub const fn insecure_stateful_mppe(mut self, reset: StatefulReset) -> Self {
        self.machine.link.encryption.insecure_stateful = Some(reset);
        self
    }

    /// The same, and asks for stateful MPPE at once: for servers that hang up when they are asked for
    /// stateless
    #[must_use]
    pub const fn insecure_stateful_mppe_first(mut self, reset: StatefulReset) -> Self {
        self.machine.link.encryption.insecure_stateful = Some(reset);
        self.machine.link.encryption.insecure_stateful_first = true;
        self
    }
}
