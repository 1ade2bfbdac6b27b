//! The cipher alone, for measurements

/// RC4 with a key, at any place in its stream
#[expect(missing_debug_implementations, reason = "its state is secret")]
pub struct Rc4<'c>(&'c mut crate::rc4::Rc4);

impl Rc4<'_> {
    /// Starts the stream of a key and lends it out
    pub fn with<T>(key: &[u8; 16], run: impl FnOnce(Rc4<'_>) -> T) -> T {
        crate::rc4::Rc4::with(key, |cipher| run(Rc4(cipher)))
    }

    /// Encrypts or decrypts the next octets
    pub fn apply(&mut self, octets: &mut [u8]) {
        self.0.apply(octets);
    }
}
