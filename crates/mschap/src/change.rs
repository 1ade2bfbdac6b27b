//! Changing an expired password (RFC 2433 §9, RFC 2759 §7)

use md4::{Digest, Md4};
use rc4::{KeyInit, Rc4, StreamCipher};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{NtHash, Password, PasswordEncoding, des_block::des_encrypt, secret::leading};

/// The new password in a Change-Password packet, encrypted with the old one
///
/// The same in MS-CHAPv2 and in version 2 of MS-CHAPv1's packet; version 1 of that sends the hashes
/// together with their key, and is not made here.
#[derive(Clone)]
pub struct PasswordChange {
    encrypted_password: Box<[u8; Self::PASSWORD_LEN]>,
    encrypted_hash: [u8; 16],
}

/// The new password has more than 256 UTF-16 units (RFC 2759 §8.10)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a new password has at most 256 UTF-16 units")]
pub struct PasswordTooLong;

impl PasswordChange {
    /// Octets of [`encrypted_password`](Self::encrypted_password)
    pub const PASSWORD_LEN: usize = BLOCK + 4;

    /// Encrypts `new` for a server that knows the password whose hash `old` is
    ///
    /// `fill` has to be random: it hides how long the password is.
    ///
    /// # Errors
    /// A password that does not fit the packet.
    pub fn new(
        old: &NtHash,
        new: &Password,
        encoding: PasswordEncoding,
        fill: &[u8; BLOCK],
    ) -> Result<Self, PasswordTooLong> {
        let mut block = Zeroizing::new([0; Self::PASSWORD_LEN]);
        let units = new.units(encoding);
        let length = units.len().checked_mul(2).filter(|length| *length <= BLOCK);
        let length = length.ok_or(PasswordTooLong)?;
        let (text, size) = block.split_at_mut(BLOCK);
        text.copy_from_slice(fill);
        let at = BLOCK.saturating_sub(length);
        let (pairs, _) = text.get_mut(at..).unwrap_or_default().as_chunks_mut();
        for (pair, unit) in pairs.iter_mut().zip(units.iter()) {
            *pair = unit.to_le_bytes();
        }
        size.copy_from_slice(&u32::try_from(length).unwrap_or_default().to_le_bytes());
        apply_rc4(old, &mut *block);
        Ok(Self {
            encrypted_password: Box::new(*block),
            encrypted_hash: encrypt_hash(old, &new.nt_hash(encoding)),
        })
    }

    /// Takes both fields as they were received
    pub fn from_fields(
        encrypted_password: &[u8; Self::PASSWORD_LEN],
        encrypted_hash: &[u8; 16],
    ) -> Self {
        Self { encrypted_password: Box::new(*encrypted_password), encrypted_hash: *encrypted_hash }
    }

    /// `NewPasswordEncryptedWithOldNtPasswordHash` (RFC 2759 §8.9)
    pub const fn encrypted_password(&self) -> &[u8; Self::PASSWORD_LEN] {
        &self.encrypted_password
    }

    /// `OldNtPasswordHashEncryptedWithNewNtPasswordHash` (RFC 2759 §8.12)
    pub const fn encrypted_hash(&self) -> &[u8; 16] {
        &self.encrypted_hash
    }

    /// The new password, if both fields were made by one who knows the old one
    pub fn open(&self, old: &NtHash) -> Option<Password> {
        let mut block = Zeroizing::new(*self.encrypted_password);
        apply_rc4(old, &mut *block);
        let (text, size) = block.split_first_chunk::<BLOCK>()?;
        let length = usize::try_from(u32::from_le_bytes(*size.first_chunk()?)).ok()?;
        let text = text.get(BLOCK.checked_sub(length)?..)?;
        let (pairs, []) = text.as_chunks() else { return None };
        let new = NtHash::new(Md4::digest(text).into());
        let is_proven: bool = encrypt_hash(old, &new).ct_eq(&self.encrypted_hash).into();
        let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
        let text = Zeroizing::new(units.collect::<Vec<_>>());
        is_proven.then(|| String::from_utf16(&text).ok().map(Password::new)).flatten()
    }
}

impl std::fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordChange([redacted])")
    }
}

/// `EncryptPwBlockWithPasswordHash` (RFC 2759 §8.10), its own inverse
fn apply_rc4(key: &NtHash, block: &mut [u8]) {
    match Rc4::new_from_slice(key.as_bytes()) {
        Ok(mut cipher) => cipher.apply_keystream(block),
        // any key of 1 to 256 octets is accepted; if it were not, the block must not be sent in the
        // clear
        Err(_) => block.fill(0),
    }
}

/// `NtPasswordHashEncryptedWithBlock` (RFC 2759 §8.13): two blocks under two thirds of the new hash
fn encrypt_hash(old: &NtHash, new: &NtHash) -> [u8; 16] {
    let keys = Zeroizing::new(leading::<14>(new.as_bytes()));
    let (keys, _) = keys.as_chunks();
    let mut hash = *old.as_bytes();
    let (blocks, _) = hash.as_chunks_mut();
    for (block, key) in blocks.iter_mut().zip(keys) {
        *block = des_encrypt(*key, *block);
    }
    hash
}

/// Octets of the field of a new password, which stands at its end: 256 UTF-16 units
const BLOCK: usize = 512;
