//! The stream cipher

use rc4::{KeyInit, StreamCipher};
use zeroize::Zeroizing;

/// RC4, keyed and somewhere in its stream
pub(crate) struct Rc4(rc4::Rc4);

impl Rc4 {
    /// Starts the stream of a key of 1 to 32 octets whose length divides 32
    ///
    /// RC4 cycles through its key, so that the key written several times is the same key: that way
    /// the cipher's constructor for 32 octets serves, which cannot fail.
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut cycled = Zeroizing::new([0; 32]);
        for (to, from) in cycled.iter_mut().zip(key.iter().cycle()) {
            *to = *from;
        }
        Self(rc4::Rc4::new((&*cycled).into()))
    }

    /// Encrypts or decrypts the next octets
    pub(crate) fn apply(&mut self, octets: &mut [u8]) {
        self.0.apply_keystream(octets);
    }
}
