//! The way of packets through a link: encrypted, in the clear, or closed
//!
//! **No way back to the clear.** Once a link was encrypted, no packet of it goes or is taken in the
//! clear again, for the rest of its life. This file alone keeps that promise: the fields of
//! [`DataPath`] are private, only [`DataPath::begin`] and [`DataPath::go_clear`] open the path in the
//! clear, and both refuse once [`DataPath::encrypt`] has made a cipher. What takes the encryption down
//! later closes the path.

use std::time::{Duration, Instant};

use pptp_mppe::StatefulReset;
use pptp_packet::PacketBuf;

use super::{
    agreed::{CcpPolicy, Encryption},
    cipher::Cipher,
};
use crate::{
    authentication::Keys,
    wire::frame::{self, Form},
};

/// The data path of one link, with the keys that it begins with
#[derive(Debug)]
pub(crate) struct DataPath {
    state: PathState,
    ccp_policy: CcpPolicy,
    /// The keys of the latest login, until a cipher is made of them
    keys: Option<Keys>,
    /// True if a cipher was ever made
    was_encrypted: bool,
}

/// The state of the path
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum PathState {
    /// Closed: CCP has not decided yet
    Undecided {
        /// The time at which a peer that has said nothing of CCP gets a link in the clear
        clear_at: Option<Instant>,
    },
    /// Encrypted, both ways
    Encrypted(Cipher),
    /// In the clear, both ways
    Clear,
}

/// The outcome of [`DataPath::encrypt`]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncryptOutcome {
    /// A cipher was made: the path is encrypted from now on
    Started,
    /// The path is encrypted already, in the same way
    Unchanged,
    /// The path is encrypted already, in another way, for which there are no keys
    OtherEncryption,
    /// The login left no keys of this strength
    NoKeys,
}

impl DataPath {
    /// The path of a link without a login: closed
    pub(crate) const fn new() -> Self {
        let state = PathState::Undecided { clear_at: None };
        Self { state, ccp_policy: CcpPolicy::Require, keys: None, was_encrypted: false }
    }

    /// Begins with the keys of a login
    ///
    /// `ccp_policy` follows from the configuration; a link that was encrypted before requires encryption in any case.
    pub(crate) fn begin(&mut self, now: Instant, ccp_policy: CcpPolicy, keys: Keys) {
        self.keys = match keys {
            Keys::None => None,
            keys => Some(keys),
        };
        self.ccp_policy = if self.was_encrypted { CcpPolicy::Require } else { ccp_policy };
        self.state = match self.ccp_policy {
            CcpPolicy::Require => PathState::Undecided { clear_at: None },
            CcpPolicy::Prefer => PathState::Undecided { clear_at: now.checked_add(CCP_SILENCE) },
            CcpPolicy::Listen | CcpPolicy::Refuse => PathState::Clear,
            #[cfg(feature = "server")]
            CcpPolicy::Ignore => PathState::Clear,
        };
    }

    /// Closes the path and forgets its keys, since LCP is down
    pub(crate) fn reset(&mut self) {
        self.keys = None;
        self.close();
    }

    fn close(&mut self) {
        self.state = PathState::Undecided { clear_at: None };
    }

    /// Takes the keys of a login that was repeated before the first ones were used
    ///
    /// A peer that began anew, and whose request looked like a repeat, encrypts with the keys of its
    /// latest login.
    /// Once a cipher was made the keys stay: a challenge on a link that is up brings no others.
    pub(crate) fn renew_keys(&mut self, keys: Keys) {
        if let Some(waiting) = &mut self.keys
            && !matches!(keys, Keys::None)
        {
            *waiting = keys;
        }
    }

    /// Encrypts both directions from now on
    ///
    /// The keys of a login serve once: CCP negotiated anew has to come to the same.
    pub(crate) fn encrypt(
        &mut self,
        send: Encryption,
        receive: Encryption,
        reset: StatefulReset,
    ) -> EncryptOutcome {
        if let PathState::Encrypted(cipher) = &self.state {
            let is_same = cipher.is_for(send, receive);
            return if is_same {
                EncryptOutcome::Unchanged
            } else {
                EncryptOutcome::OtherEncryption
            };
        }
        let keys = self.keys.take();
        let Some(cipher) = keys.and_then(|keys| Cipher::new(&keys, send, receive, reset)) else {
            return EncryptOutcome::NoKeys;
        };
        self.state = PathState::Encrypted(cipher);
        self.ccp_policy = CcpPolicy::Require;
        self.was_encrypted = true;
        EncryptOutcome::Started
    }

    /// Opens the path in the clear; false, and nothing changes, where encryption is required
    ///
    /// Every path that was encrypted requires it.
    pub(crate) fn go_clear(&mut self) -> bool {
        let may_be_clear = self.ccp_policy != CcpPolicy::Require;
        if may_be_clear {
            self.state = PathState::Clear;
        }
        may_be_clear
    }

    /// Closes a path in the clear, since CCP is negotiated after all
    pub(crate) fn wait_for_ccp(&mut self) {
        if self.is_clear() {
            self.close();
        }
    }

    /// Notes that the peer speaks CCP: no silence makes the link go in the clear then
    pub(crate) const fn note_ccp(&mut self) {
        if let PathState::Undecided { clear_at } = &mut self.state {
            *clear_at = None;
        }
    }

    /// Turns an inner IP packet into a PPP frame of this form, in its headroom
    ///
    /// False while the path is closed. `corrupt` gets the encrypted octets, for a server that
    /// corrupts them.
    pub(crate) fn seal(
        &mut self,
        packet: &mut PacketBuf,
        form: Form,
        corrupt: impl FnOnce(&mut [u8]),
    ) -> bool {
        let is_ipv6 = packet.as_slice().first().is_some_and(|first| first >> 4 == 6);
        let inner = if is_ipv6 { frame::IPV6 } else { frame::IP };
        let protocol = match &mut self.state {
            PathState::Encrypted(cipher) => {
                packet.prepend_slice(&inner.to_be_bytes());
                let header = cipher.seal(packet.as_mut_slice());
                corrupt(packet.as_mut_slice());
                packet.prepend_slice(&header);
                frame::MPPE
            }
            PathState::Clear => inner,
            PathState::Undecided { .. } => return false,
        };
        match protocol.to_be_bytes() {
            [0, octet] if form.pfc => packet.prepend_slice(&[octet]),
            octets => packet.prepend_slice(&octets),
        };
        if !form.acfc {
            packet.prepend_slice(&frame::ADDRESS_AND_CONTROL);
        }
        true
    }

    /// Returns the cipher, if the path is encrypted
    pub(crate) const fn cipher(&self) -> Option<&Cipher> {
        match &self.state {
            PathState::Encrypted(cipher) => Some(cipher),
            PathState::Undecided { .. } | PathState::Clear => None,
        }
    }

    /// Returns the cipher to work with, if the path is encrypted
    pub(crate) const fn cipher_mut(&mut self) -> Option<&mut Cipher> {
        match &mut self.state {
            PathState::Encrypted(cipher) => Some(cipher),
            PathState::Undecided { .. } | PathState::Clear => None,
        }
    }

    /// Returns the policy for CCP since the latest login
    pub(crate) const fn ccp_policy(&self) -> CcpPolicy {
        self.ccp_policy
    }

    /// Returns true if packets may pass; encrypted ones pass only while CCP is open
    pub(crate) const fn is_open(&self, is_ccp_open: bool) -> bool {
        match &self.state {
            PathState::Undecided { .. } => false,
            PathState::Encrypted(_) => is_ccp_open,
            PathState::Clear => true,
        }
    }

    /// Returns true if packets go in the clear
    pub(crate) const fn is_clear(&self) -> bool {
        matches!(self.state, PathState::Clear)
    }

    /// Returns true if packets go encrypted
    pub(crate) const fn is_encrypted(&self) -> bool {
        matches!(self.state, PathState::Encrypted(_))
    }

    /// The time at which a peer that has said nothing of CCP gets a link in the clear
    pub(crate) const fn clear_at(&self) -> Option<Instant> {
        match &self.state {
            PathState::Undecided { clear_at } => *clear_at,
            PathState::Encrypted(_) | PathState::Clear => None,
        }
    }
}

/// The time for which a peer that has not said a word of CCP is asked, where a link in the clear will
/// do: three requests, three seconds apart
const CCP_SILENCE: Duration = Duration::from_secs(9);

#[cfg(test)]
mod tests {
    use pptp_mppe::KeyStrength;
    use pptp_mschap::{StartKey, StartKeys};
    use proptest::prelude::*;

    use super::*;
    use crate::tests::epoch;

    const STATELESS: Encryption = Encryption { strength: KeyStrength::Bits128, stateful: false };
    const WEAK: Encryption = Encryption { strength: KeyStrength::Bits40, stateful: false };
    const STANCES: [CcpPolicy; 4] =
        [CcpPolicy::Require, CcpPolicy::Prefer, CcpPolicy::Listen, CcpPolicy::Refuse];

    fn keys() -> Keys {
        let [send, receive] = [1, 2].map(|octet| StartKey::new([octet; 16]));
        Keys::V2(Box::new(StartKeys { send, receive }))
    }

    fn encrypt(path: &mut DataPath, encryption: Encryption) -> EncryptOutcome {
        path.encrypt(encryption, encryption, StatefulReset::Rfc)
    }

    /// The PPP header of a packet that is sealed, or nothing if it is not
    fn header(path: &mut DataPath) -> Option<[u8; 4]> {
        let mut packet = PacketBuf::new();
        packet.reset(20).fill(0x45);
        let form = Form { acfc: false, pfc: false };
        let is_sealed = path.seal(&mut packet, form, |_| {});
        is_sealed.then(|| *packet.as_slice().first_chunk().unwrap())
    }

    #[test]
    fn each_stance_begins_in_its_way() {
        let now = epoch();
        let silence = now + Duration::from_secs(9);
        for (ccp_policy, is_clear, clear_at) in [
            (CcpPolicy::Require, false, None),
            (CcpPolicy::Prefer, false, Some(silence)),
            (CcpPolicy::Listen, true, None),
            (CcpPolicy::Refuse, true, None),
        ] {
            let mut path = DataPath::new();
            assert_eq!(header(&mut path), None, "before the login");
            path.begin(now, ccp_policy, keys());
            assert_eq!(
                (path.ccp_policy(), path.is_clear()),
                (ccp_policy, is_clear),
                "{ccp_policy:?}"
            );
            assert_eq!(path.clear_at(), clear_at, "{ccp_policy:?}");
            let clear = is_clear.then_some([0xFF, 0x03, 0x00, 0x21]);
            assert_eq!(header(&mut path), clear, "{ccp_policy:?}");
            path.note_ccp();
            assert_eq!(path.clear_at(), None, "{ccp_policy:?}");
            assert_eq!(path.go_clear(), ccp_policy != CcpPolicy::Require, "{ccp_policy:?}");
        }
    }

    #[test]
    fn the_keys_of_a_login_serve_once() {
        let mut path = DataPath::new();
        path.begin(epoch(), CcpPolicy::Require, Keys::None);
        assert_eq!(encrypt(&mut path, STATELESS), EncryptOutcome::NoKeys);
        path.begin(epoch(), CcpPolicy::Require, keys());
        assert_eq!(encrypt(&mut path, STATELESS), EncryptOutcome::Started);
        assert_eq!(header(&mut path), Some([0xFF, 0x03, 0x00, 0xFD]));
        path.renew_keys(keys());
        assert_eq!(encrypt(&mut path, STATELESS), EncryptOutcome::Unchanged);
        assert_eq!(encrypt(&mut path, WEAK), EncryptOutcome::OtherEncryption);
        path.reset();
        assert_eq!((header(&mut path), path.cipher().is_none()), (None, true));
        assert_eq!(encrypt(&mut path, STATELESS), EncryptOutcome::NoKeys);
    }

    proptest! {
        #[test]
        fn a_link_that_was_encrypted_never_goes_in_the_clear(
            before in proptest::collection::vec(0..7_u8, 0..12),
            after in proptest::collection::vec(0..7_u8, 0..24),
            stances in proptest::collection::vec(0..4_usize, 40),
        ) {
            let (mut path, now) = (DataPath::new(), epoch());
            let mut stances = stances.into_iter().map(|at| STANCES[at]);
            let mut act = |path: &mut DataPath, action| match action {
                0 => path.begin(now, stances.next().unwrap_or(CcpPolicy::Refuse), keys()),
                1 => path.begin(now, stances.next().unwrap_or(CcpPolicy::Refuse), Keys::None),
                2 => path.reset(),
                3 => { encrypt(path, STATELESS); }
                4 => { path.go_clear(); }
                5 => path.wait_for_ccp(),
                _ => path.note_ccp(),
            };
            for action in before {
                act(&mut path, action);
            }
            if !path.is_encrypted() {
                act(&mut path, 0);
                prop_assert_eq!(encrypt(&mut path, STATELESS), EncryptOutcome::Started);
            }
            for action in after {
                act(&mut path, action);
                prop_assert!(!path.is_clear() && path.clear_at().is_none());
                let header = header(&mut path);
                prop_assert!(matches!(header, None | Some([0xFF, 0x03, 0x00, 0xFD])), "{header:?}");
            }
        }
    }
}
