//! SHA-256, as a building's sink writes it

use sha2::{Digest, Sha256};

/// The SHA-256 of some octets in lower-case hexadecimal
pub fn sha256(octets: &[u8]) -> String {
    let nibble = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    Sha256::digest(octets)
        .iter()
        .flat_map(|octet| [nibble(octet >> 4), nibble(octet & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_the_device_writes_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
    }
}
