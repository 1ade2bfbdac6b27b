//! The accounts that may connect

use pptp_mschap::{HashName, Password, PasswordEncoding};
use subtle::ConstantTimeEq;

/// User names and their secrets, and how a server takes both
#[derive(Debug)]
pub(crate) struct Accounts {
    secrets: Vec<(String, Password)>,
    pub(crate) hash_name: HashName,
    pub(crate) encoding: PasswordEncoding,
}

impl Accounts {
    pub(crate) const fn new(
        secrets: Vec<(String, Password)>,
        hash_name: HashName,
        encoding: PasswordEncoding,
    ) -> Self {
        Self { secrets, hash_name, encoding }
    }

    pub(crate) fn password(&self, user: &[u8]) -> Option<&Password> {
        self.secrets.iter().find(|(name, _)| name.as_bytes() == user).map(|(_, secret)| secret)
    }

    pub(crate) fn change(&mut self, user: &[u8], new: Password) {
        let named = |(name, _): &&mut (String, Password)| name.as_bytes() == user;
        if let Some((_, secret)) = self.secrets.iter_mut().find(named) {
            *secret = new;
        }
    }

    /// Returns true if this is the password of that user, as PAP tells it
    pub(crate) fn has(&self, user: &[u8], password: &[u8]) -> bool {
        let secret = self.password(user).map(|secret| secret.octets(self.encoding));
        secret.is_some_and(|secret| bool::from(secret.ct_eq(password)))
    }
}
