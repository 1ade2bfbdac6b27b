//! A login as a keyed hash

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// A login at a server, as a keyed hash: nothing can be read from it
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LoginKey([u8; 16]);

impl LoginKey {
    /// Returns the key of a login under this secret
    pub(crate) fn new(secret: &[u8; 16], server: &str, user: &str, password: &[u8]) -> Self {
        let mut hasher = SipHasher13::new_with_key(secret);
        for part in [server.as_bytes(), user.as_bytes(), password] {
            // with its length, so that no two logins have the same octets
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        let hash = hasher.finish128();
        let [high, low] = [hash.h1, hash.h2].map(u64::to_be_bytes);
        let mut key = [0; 16];
        key.iter_mut().zip(high.into_iter().chain(low)).for_each(|(place, octet)| *place = octet);
        Self(key)
    }

    /// Makes a key of the octets that [`Self::octets`] returned
    pub(crate) const fn from_octets(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Returns the octets of the hash
    pub(crate) const fn octets(self) -> [u8; 16] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_in_each_part_and_in_the_secret() {
        let secret = [7; 16];
        let key = LoginKey::new(&secret, "ab", "c", b"d");
        for other in [
            LoginKey::new(&secret, "a", "bc", b"d"),
            LoginKey::new(&secret, "ab", "cd", b""),
            LoginKey::new(&secret, "ab", "c", b"e"),
            LoginKey::new(&[8; 16], "ab", "c", b"d"),
        ] {
            assert_ne!(key, other);
        }
        assert_eq!(key, LoginKey::new(&secret, "ab", "c", b"d"));
        assert_eq!(key, LoginKey::from_octets(key.octets()));
    }
}
