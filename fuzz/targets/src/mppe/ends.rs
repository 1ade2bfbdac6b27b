//! A sender and a receiver, stateless or stateful

use std::time::Instant;

use pptp_mppe::{
    Arrival, Decryptor, Discard, Encryptor, Opened, StatefulDecryptor, StatefulEncryptor, Stats,
};

/// A sender and a receiver of one mode
pub(super) enum Ends {
    Stateless(Encryptor, Decryptor),
    Stateful(StatefulEncryptor, StatefulDecryptor),
}

impl Ends {
    pub(super) fn seal(&mut self, inner: &mut [u8]) -> [u8; 2] {
        match self {
            Self::Stateless(sender, _) => sender.seal(inner),
            Self::Stateful(sender, _) => sender.seal(inner),
        }
    }

    pub(super) fn open<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Result<Opened<'p>, Discard> {
        match self {
            Self::Stateless(_, receiver) => receiver.open(now, arrival, frame),
            Self::Stateful(_, receiver) => receiver.open(now, arrival, frame),
        }
    }

    pub(super) const fn stats(&self) -> &Stats {
        match self {
            Self::Stateless(_, receiver) => receiver.stats(),
            Self::Stateful(_, receiver) => receiver.stats(),
        }
    }
}
