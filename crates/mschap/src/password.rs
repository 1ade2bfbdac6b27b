//! Passwords and their hashes

use md4::{Digest, Md4};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    des_block::des_encrypt,
    secret::{leading, secret},
};

/// A password, zeroized on drop
///
/// RFC 2759 allows 0 to 256 UTF-16 units. Longer ones are hashed as they are; no server has them.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes the password as text
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    /// MD4 of the password in the given encoding: `NtPasswordHash` (RFC 2759 §8.3)
    pub fn nt_hash(&self, encoding: PasswordEncoding) -> NtHash {
        let mut md4 = Md4::new();
        for unit in self.units(encoding).iter() {
            md4.update(unit.to_le_bytes());
        }
        NtHash::new(md4.finalize().into())
    }

    /// The 16-bit units that are hashed, and sent when the password is changed
    pub(crate) fn units(&self, encoding: PasswordEncoding) -> Zeroizing<Vec<u16>> {
        // no more units than octets: a vector that grows would leave a copy of its octets in memory
        let mut units = Zeroizing::new(Vec::with_capacity(self.0.len()));
        match encoding {
            PasswordEncoding::Utf16 => units.extend(self.0.encode_utf16()),
            PasswordEncoding::WidenedOctets | PasswordEncoding::WidenedUtf8 => {
                units.extend(self.octets(encoding).iter().copied().map(u16::from));
            }
        }
        units
    }

    /// `LmPasswordHash` (RFC 2433 A.2): the first 14 octets, in upper case, as two DES keys
    ///
    /// Only MS-CHAPv1 needs it. Upper case is that of ASCII, octets are taken as
    /// [`PasswordEncoding::WidenedOctets`] takes them: the OEM code pages of the time are not known
    /// here.
    pub fn lm_hash(&self) -> LmHash {
        let mut password =
            Zeroizing::new(leading::<14>(&self.octets(PasswordEncoding::WidenedOctets)));
        password.make_ascii_uppercase();
        let mut hash = [0; 16];
        let (keys, _) = password.as_chunks();
        let (blocks, _) = hash.as_chunks_mut();
        for (block, key) in blocks.iter_mut().zip(keys) {
            *block = des_encrypt(*key, LM_PLAINTEXT);
        }
        LmHash::new(hash)
    }

    /// The octets of the password, as PAP sends and CHAP-MD5 hashes them
    ///
    /// UTF-8. With [`WidenedOctets`](PasswordEncoding::WidenedOctets) they are the octets in the
    /// secrets file of such a server: Latin-1 if the password can be written in it, otherwise
    /// UTF-8.
    pub fn octets(&self, encoding: PasswordEncoding) -> Zeroizing<Vec<u8>> {
        let is_latin1 = || self.0.chars().all(|c| u8::try_from(c).is_ok());
        let mut octets = Zeroizing::new(Vec::with_capacity(self.0.len()));
        if encoding == PasswordEncoding::WidenedOctets && is_latin1() {
            octets.extend(self.0.chars().filter_map(|c| u8::try_from(c).ok()));
        } else {
            octets.extend(self.0.as_bytes());
        }
        octets
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self(password)
    }
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Self(password.to_owned())
    }
}

/// Compares in constant time, as far as the lengths are equal
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Password {}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Password {}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// Ways to make the 16-bit units that are hashed from a password
///
/// All give the same result for a password in ASCII. The first two give the same result for one in
/// Latin-1, because a widened octet of Latin-1 is its UTF-16 unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordEncoding {
    /// UTF-16 with surrogates, as RFC 2759 says and Windows does
    #[default]
    Utf16,
    /// Octets of Latin-1, or of UTF-8, widened to 16 bits each, as pppd and accel-ppp widen the
    /// octets of their secrets
    ///
    /// The octets are Latin-1 if the password can be written in it, otherwise UTF-8.
    WidenedOctets,
    /// Octets of UTF-8 widened to 16 bits each
    ///
    /// pppd and accel-ppp do this with a secrets file that was written in UTF-8.
    WidenedUtf8,
}

secret! {
    /// `PasswordHash`: the MD4 of the password (RFC 2759 §8.3)
    ///
    /// An attacker who has it needs no password.
    NtHash, 16
}

secret! {
    /// The LAN Manager hash of the password (RFC 2433 A.2)
    LmHash, 16
}

impl NtHash {
    /// `PasswordHashHash`, with which an authenticator makes its answer and the MPPE keys (RFC 2759
    /// §8.4)
    pub(crate) fn hash(&self) -> Self {
        Self::new(Md4::digest(self.as_bytes()).into())
    }
}

/// `StdText` of RFC 2433 A.2
const LM_PLAINTEXT: [u8; 8] = *b"KGS!@#$%";
