use crate::KeyStrength;

/// Encrypts one direction of a link, in place
#[derive(Debug)]
pub struct Encryptor {}

impl Encryptor {
    /// A stateless session (RFC 3078 §4)
    pub fn stateless(_start_key: &[u8; 16], _strength: KeyStrength) -> Self {
        todo!()
    }

    /// Encrypts `protocol ‖ payload` in place and returns the MPPE header (RFC 3078 §3)
    pub fn seal(&mut self, _inner: &mut [u8]) -> [u8; 2] {
        todo!()
    }
}
