//! MPPE of a link, both directions, stateless or not

use std::time::Instant;

use pptp_mppe::{
    Arrival, Decryptor, Discard, Encryptor, Opened, StatefulDecryptor, StatefulEncryptor,
    StatefulReset,
};
use pptp_mschap::StartKey;

use crate::{
    authentication::Keys,
    encryption::{agreed::Encryption, wrong_key::KeyMismatch},
    failure::WrongKey,
};

/// Both directions of MPPE
#[derive(Debug)]
pub(crate) struct Cipher {
    send: Encryption,
    receive: Encryption,
    encryptor: Sealing,
    decryptor: Opening,
    /// The signs that the peer has other keys
    pub(crate) mismatch: KeyMismatch,
}

#[derive(Debug)]
enum Sealing {
    Stateless(Encryptor),
    Stateful(StatefulEncryptor),
}

#[derive(Debug)]
enum Opening {
    Stateless(Decryptor),
    Stateful(StatefulDecryptor),
}

impl Cipher {
    /// Makes a cipher as CCP has agreed; `None` if there are no keys
    pub(crate) fn new(
        keys: &Keys,
        send: Encryption,
        receive: Encryption,
        reset: StatefulReset,
    ) -> Option<Self> {
        let encryptor = Sealing::new(&keys.start_keys(send.strength)?.send, send, reset);
        let decryptor = Opening::new(&keys.start_keys(receive.strength)?.receive, receive, reset);
        Some(Self { send, receive, encryptor, decryptor, mismatch: KeyMismatch::default() })
    }

    /// Returns true if CCP has agreed on this cipher
    pub(crate) fn is_for(&self, send: Encryption, receive: Encryption) -> bool {
        (self.send, self.receive) == (send, receive)
    }

    /// The weaker of both directions
    pub(crate) fn encryption(&self) -> Encryption {
        self.send.weaker(self.receive)
    }

    pub(crate) fn seal(&mut self, inner: &mut [u8]) -> [u8; 2] {
        match &mut self.encryptor {
            Sealing::Stateless(encryptor) => encryptor.seal(inner),
            Sealing::Stateful(encryptor) => encryptor.seal(inner),
        }
    }

    pub(crate) fn open<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Result<Opened<'p>, Discard> {
        match &mut self.decryptor {
            Opening::Stateless(decryptor) => decryptor.open(now, arrival, frame),
            Opening::Stateful(decryptor) => decryptor.open(now, arrival, frame),
        }
    }

    /// Takes a Reset-Request of the peer's decryptor
    ///
    /// True if the decryptor should have recovered by itself, since our encryption is stateless.
    pub(crate) fn handle_reset_request(&mut self) -> bool {
        match &mut self.encryptor {
            Sealing::Stateless(_) => true,
            Sealing::Stateful(encryptor) => {
                encryptor.handle_reset_request();
                false
            }
        }
    }

    /// Returns true if the peer is to be asked for a reset now
    pub(crate) fn poll_reset_request(&mut self, now: Instant) -> bool {
        match &mut self.decryptor {
            Opening::Stateless(_) => false,
            Opening::Stateful(decryptor) => decryptor.poll_reset_request(now),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Opening::Stateless(decryptor) = &mut self.decryptor {
            decryptor.handle_timeout(now);
        }
    }

    /// The time at which keys kept for late frames expire
    pub(crate) fn kept_keys(&self) -> Option<Instant> {
        match &self.decryptor {
            Opening::Stateless(decryptor) => decryptor.poll_timeout(),
            Opening::Stateful(_) => None,
        }
    }

    /// The time at which the peer is to be asked for a reset again
    pub(crate) fn reset_request(&self) -> Option<Instant> {
        match &self.decryptor {
            Opening::Stateless(_) => None,
            Opening::Stateful(decryptor) => decryptor.poll_timeout(),
        }
    }

    /// Notes that the link is up: from now on packets of the peer should open
    pub(crate) fn begin(&mut self) {
        let stats = *self.decryptor_stats();
        self.mismatch.begin(&stats);
    }

    /// Returns the failure if the packets of the peer that came since the link was up show another
    /// key
    pub(crate) fn wrong_key(&self) -> Option<WrongKey> {
        self.mismatch.unopened(self.decryptor_stats())
    }

    pub(crate) const fn decryptor_stats(&self) -> &pptp_mppe::Stats {
        match &self.decryptor {
            Opening::Stateless(decryptor) => decryptor.stats(),
            Opening::Stateful(decryptor) => decryptor.stats(),
        }
    }
}

impl Sealing {
    fn new(key: &StartKey, as_agreed: Encryption, reset: StatefulReset) -> Self {
        let (key, strength) = (key.as_bytes(), as_agreed.strength);
        if as_agreed.stateful {
            Self::Stateful(StatefulEncryptor::new(key, strength, reset))
        } else {
            Self::Stateless(Encryptor::stateless(key, strength))
        }
    }
}

impl Opening {
    fn new(key: &StartKey, as_agreed: Encryption, reset: StatefulReset) -> Self {
        let (key, strength) = (key.as_bytes(), as_agreed.strength);
        if as_agreed.stateful {
            Self::Stateful(StatefulDecryptor::new(key, strength, reset))
        } else {
            Self::Stateless(Decryptor::stateless(key, strength))
        }
    }
}
