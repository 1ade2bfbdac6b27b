//! The key stream of one direction

use crate::{
    KeyStrength,
    key::{KeyChain, SessionKey},
    plaintext::{self, Plaintext},
    rc4::Rc4,
};

/// A session key, and the stream that began with it
#[derive(Debug)]
pub(super) struct Stream {
    chain: KeyChain,
    key: SessionKey,
    cipher: Box<Rc4>,
}

impl Stream {
    pub(super) fn new(start_key: &[u8; 16], strength: KeyStrength) -> Self {
        let chain = KeyChain::new(start_key, strength);
        let key = chain.initial();
        let mut stream = Self { chain, key, cipher: Box::new(Rc4::unkeyed()) };
        stream.restart();
        stream
    }

    /// Encrypts the next octets
    pub(super) fn apply(&mut self, octets: &mut [u8]) {
        self.cipher.apply(octets);
    }

    /// Begins a new stream with the next key
    pub(super) fn rekey(&mut self) {
        self.key = self.chain.next(&self.key);
        self.restart();
    }

    /// Begins a new stream with the same key
    pub(super) fn restart(&mut self) {
        self.chain.rekey(&mut self.cipher, &self.key);
    }

    /// Opens the next octets of the stream; without a plausible plaintext the state is unchanged
    pub(super) fn open_next(&mut self, ciphertext: &mut [u8]) -> Option<Plaintext> {
        let before = self.cipher.clone();
        let plaintext = plaintext::open_with(&mut self.cipher, ciphertext);
        if plaintext.is_none() {
            self.cipher = before;
        }
        plaintext
    }

    /// Opens the beginning of a new stream that is some key changes ahead: tries each number in
    /// `steps`, which ascend, and returns the one that opens it
    ///
    /// If none opens it, the state is unchanged.
    pub(super) fn open_new_stream(
        &mut self,
        steps: impl Iterator<Item = u16>,
        ciphertext: &mut [u8],
    ) -> Option<(u16, Plaintext)> {
        let before = self.cipher.clone();
        let (mut key, mut at) = (self.key.clone(), 0);
        for step in steps {
            while at < step {
                key = self.chain.next(&key);
                at = at.saturating_add(1);
            }
            self.chain.rekey(&mut self.cipher, &key);
            if let Some(plaintext) = plaintext::open_with(&mut self.cipher, ciphertext) {
                self.key = key;
                return Some((step, plaintext));
            }
        }
        self.cipher = before;
        None
    }
}
