//! One block of DES with a key of 56 bits (RFC 2759 §8.6)

use des::{
    Des,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use zeroize::Zeroizing;

/// `DesEncrypt` (RFC 2759 §8.6)
pub(crate) fn des_encrypt(key: [u8; 7], plaintext: [u8; 8]) -> [u8; 8] {
    let key = Zeroizing::new(expand_key(key));
    let mut block = plaintext.into();
    Des::new((&*key).into()).encrypt_block(&mut block);
    block.into()
}

/// Spreads 56 bits over 8 octets, the lowest bit of each making its parity odd
///
/// DES ignores the parity; the samples of RFC 2759 have it.
pub(crate) fn expand_key(key: [u8; 7]) -> [u8; 8] {
    let bits = key.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
    let seven_at = |index: u32| (bits >> 49_u32.saturating_sub(index.saturating_mul(7))) & 0x7F;
    [0, 1, 2, 3, 4, 5, 6, 7].map(|index| with_odd_parity(seven_at(index)))
}

fn with_odd_parity(seven: u64) -> u8 {
    let [.., octet] = (seven << 1).to_be_bytes();
    octet | u8::from(seven.count_ones().is_multiple_of(2))
}
