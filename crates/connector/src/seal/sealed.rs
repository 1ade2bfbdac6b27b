//! A sealed password: its text, its making, its opening

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use hpke::{
    Deserializable, HpkeError, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305,
    kdf::HkdfSha256, kem::X25519HkdfSha256, single_shot_open, single_shot_seal,
};
use pptp::{Password, config::PasswordEncoding};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    INFO, KEY_ID,
    bound::{Bound, HINT_LEN, Part},
    keys::{PrivateKey, PublicKey},
};
use crate::hex::hex;

/// A sealed password
///
/// Its text is `k1.` and Base64 of the encapsulated key and the ciphertext behind it. A dot and a hint may follow, which
/// tells what has changed when it cannot be opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key, and the ciphertext behind it
    octets: Vec<u8>,
    hint: Option<[u8; HINT_LEN]>,
}

/// The reason why a text is no sealed password
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no sealed password: `k1.` and Base64 are wanted, as `pptp-connector seal` prints them"
)]
pub struct InvalidSealed;

/// The reason why a sealed password cannot be opened
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOpened {
    /// It was sealed for another site, server, user or weakening: these parts have changed
    Changed(Vec<Part>),
    /// It was sealed for another key, or it is damaged; without a hint, a part may have changed as well
    Key {
        /// True if a hint says that no part has changed
        is_bound_right: bool,
    },
    /// It is no text
    Text,
}

impl Sealed {
    /// Seals a password for a site
    ///
    /// # Errors
    /// The public key is one of the few that lead to no secret.
    pub fn seal(key: &PublicKey, bound: &Bound, password: &Password) -> Result<Self, HpkeError> {
        let password = password.octets(PasswordEncoding::Utf16);
        let (encapsulated, ciphertext) =
            single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &key.0,
                INFO.as_bytes(),
                &password,
                &bound.aad(),
            )?;
        let octets = [encapsulated.to_bytes().as_slice(), &ciphertext].concat();
        Ok(Self { octets, hint: Some(bound.hint()) })
    }

    /// Opens it
    ///
    /// # Errors
    /// See [`NotOpened`].
    pub fn open(&self, key: &PrivateKey, bound: &Bound) -> Result<Password, NotOpened> {
        let (encapsulated, ciphertext) =
            self.octets.split_at_checked(ENCAPSULATED).unwrap_or_default();
        let opened = Deserializable::from_bytes(encapsulated).and_then(|encapsulated| {
            single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeR::Base,
                &key.0,
                &encapsulated,
                INFO.as_bytes(),
                ciphertext,
                &bound.aad(),
            )
        });
        match opened {
            Ok(octets) => {
                let octets = Zeroizing::new(octets);
                let text = str::from_utf8(&octets).map_err(|_| NotOpened::Text)?;
                Ok(Password::new(text))
            }
            Err(_) => Err(self.why_not(bound)),
        }
    }

    /// Returns some digits that differ for each sealed password: for names, not for proofs
    pub fn fingerprint(&self) -> String {
        hex(Sha256::digest(&self.octets).into_iter().take(8))
    }

    fn why_not(&self, bound: &Bound) -> NotOpened {
        match self.hint.map(|hint| bound.changed_since(hint)) {
            Some(changed) if !changed.is_empty() => NotOpened::Changed(changed),
            hint => NotOpened::Key { is_bound_right: hint.is_some() },
        }
    }
}

impl FromStr for Sealed {
    type Err = InvalidSealed;

    fn from_str(text: &str) -> Result<Self, InvalidSealed> {
        let mut parts = text.split('.');
        let (Some(KEY_ID), Some(octets)) = (parts.next(), parts.next()) else {
            return Err(InvalidSealed);
        };
        let hint = match parts.next() {
            Some(hint) => {
                let octets = STANDARD.decode(hint).map_err(|_| InvalidSealed)?;
                Some(octets.try_into().map_err(|_| InvalidSealed)?)
            }
            None => None,
        };
        let octets = STANDARD.decode(octets).map_err(|_| InvalidSealed)?;
        let has_length = (ENCAPSULATED + TAG..=MAX_LEN).contains(&octets.len());
        if !has_length || parts.next().is_some() {
            return Err(InvalidSealed);
        }
        Ok(Self { octets, hint })
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_ID}.{}", STANDARD.encode(&self.octets))?;
        match self.hint {
            Some(hint) => write!(f, ".{}", STANDARD.encode(hint)),
            None => Ok(()),
        }
    }
}

/// Prints its fingerprint only
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.fingerprint())
    }
}

impl std::error::Error for NotOpened {}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(parts) => {
                let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
                let parts = parts.join(" and ");
                write!(
                    f,
                    "it was sealed before {parts} changed: seal the password anew for what it is now"
                )
            }
            Self::Key { is_bound_right: true } => f.write_str(
                "it was sealed for another key, or it is damaged: seal it anew (GET /v1/key has the public key)",
            ),
            Self::Key { is_bound_right: false } => f.write_str(
                "it was sealed for another key, site, `server`, `user` or `insecure`, or it is damaged: seal it anew",
            ),
            Self::Text => f.write_str("what was sealed is not UTF-8"),
        }
    }
}

/// The octets of an encapsulated key of X25519 (RFC 9180 §7.1, `Nenc`)
const ENCAPSULATED: usize = 32;

/// The octets of the tag of ChaCha20-Poly1305 (RFC 9180 §7.3, `Nt`)
const TAG: usize = 16;

/// The octets of the longest sealed password that is read
const MAX_LEN: usize = 4096 + ENCAPSULATED + TAG;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Insecure;

    fn bound(site: &str, server: &str, user: &str, insecure: &[Insecure]) -> Bound {
        Bound::new(&site.parse().unwrap(), server, user, insecure.iter().copied())
    }

    #[test]
    fn what_is_sealed_is_opened_for_the_same_site_alone_and_what_changed_is_named() {
        let key = PrivateKey::generate();
        let right = bound("b17", "vpn", "svc", &[]);
        let sealed = Sealed::seal(&key.public(), &right, &"geheim".into()).unwrap();
        assert_eq!(sealed.open(&key, &right), Ok(Password::new("geheim")));
        for (changed, word) in [
            (bound("b18", "vpn", "svc", &[]), "the site's name"),
            (bound("b17", "vpn:1724", "svc", &[]), "`server`"),
            (bound("b17", "vpn", "root", &[]), "`user`"),
            (bound("b17", "vpn", "svc", &[Insecure::Pap]), "`insecure`"),
        ] {
            let error = sealed.open(&key, &changed).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "it was sealed before {word} changed: seal the password anew for what it is now"
                )
            );
            let bare = Sealed { hint: None, ..sealed.clone() };
            let error = bare.open(&key, &changed).unwrap_err();
            assert_eq!(error, NotOpened::Key { is_bound_right: false });
        }
    }

    #[test]
    fn each_octet_counts_and_another_key_opens_nothing() {
        let key = PrivateKey::generate();
        let right = bound("b17", "vpn", "svc", &[]);
        let sealed = Sealed::seal(&key.public(), &right, &"geheim".into()).unwrap();
        for place in 0..sealed.octets.len() {
            let mut damaged = sealed.clone();
            damaged.octets[place] ^= 1;
            assert!(damaged.open(&key, &right).is_err(), "octet {place}");
        }
        let error = sealed.open(&PrivateKey::generate(), &right).unwrap_err();
        assert_eq!(error, NotOpened::Key { is_bound_right: true });
    }

    #[test]
    fn a_text_is_read_as_it_is_printed_and_others_are_refused() {
        let key = PrivateKey::generate();
        let sealed = Sealed::seal(&key.public(), &bound("b", "v", "u", &[]), &"".into()).unwrap();
        let text = sealed.to_string();
        assert_eq!(text.parse(), Ok(sealed.clone()));
        let (bare, _) = text.rsplit_once('.').unwrap();
        assert_eq!(bare.parse::<Sealed>().unwrap().octets, sealed.octets);
        let long = format!("k1.{}", STANDARD.encode(vec![0; MAX_LEN + 1]));
        let more = format!("{text}.AAAA");
        for text in ["", "geheim", "k1", "k1.", "k1.AAAA", "k2.AAAA", &long, &more] {
            assert_eq!(text.parse::<Sealed>(), Err(InvalidSealed), "{text}");
        }
        assert!(!format!("{sealed:?}").contains(&text));
    }
}
