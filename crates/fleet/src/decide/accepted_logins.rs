//! The logins that a server has accepted, the latest ones

use std::collections::{BTreeMap, HashMap};

use super::login::LoginKey;

/// The logins that a server has accepted at some time
///
/// [`MAX_ACCEPTED`] of them; the one that was not accepted for the longest time goes first.
#[derive(Debug, Default)]
pub(crate) struct AcceptedLogins {
    /// The number of the latest acceptance of each
    numbers: HashMap<LoginKey, u64>,
    /// The same by that number
    by_number: BTreeMap<u64, LoginKey>,
    next: u64,
}

impl AcceptedLogins {
    /// Notes an acceptance; returns true if it is the first one of this login
    pub(crate) fn insert(&mut self, login: LoginKey) -> bool {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let before = self.numbers.insert(login, number);
        if let Some(before) = before {
            self.by_number.remove(&before);
        } else if self.numbers.len() > MAX_ACCEPTED
            && let Some((_, oldest)) = self.by_number.pop_first()
        {
            self.numbers.remove(&oldest);
        }
        self.by_number.insert(number, login);
        before.is_none()
    }

    /// Returns true if this login was accepted
    pub(crate) fn contains(&self, login: LoginKey) -> bool {
        self.numbers.contains_key(&login)
    }

    /// The logins, the one with the oldest acceptance first
    pub(crate) fn iter(&self) -> impl Iterator<Item = LoginKey> {
        self.by_number.values().copied()
    }
}

/// Logins that are remembered, at most
pub(crate) const MAX_ACCEPTED: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn login(number: usize) -> LoginKey {
        LoginKey::new(&[0; 16], "server", &number.to_string(), b"")
    }

    #[test]
    fn the_login_that_was_not_accepted_for_the_longest_time_goes_first() {
        let mut logins = AcceptedLogins::default();
        assert!((0..MAX_ACCEPTED).all(|number| logins.insert(login(number))));
        assert!(!logins.insert(login(0)), "it is the latest now");
        for number in 0..2 {
            assert!(logins.insert(login(MAX_ACCEPTED + number)));
        }
        assert!(logins.contains(login(0)) && !logins.contains(login(1)));
        assert!(!logins.contains(login(2)) && logins.contains(login(3)));
        let all: Vec<_> = logins.iter().collect();
        assert_eq!((all.len(), logins.numbers.len()), (MAX_ACCEPTED, MAX_ACCEPTED));
        let latest = [0, MAX_ACCEPTED, MAX_ACCEPTED + 1].map(login);
        assert_eq!((all[0], &all[MAX_ACCEPTED - 3..]), (login(3), &latest[..]));
    }
}
