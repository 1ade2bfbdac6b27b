//! The logins that a fleet has seen accepted, for the next one

use std::{fmt, fmt::Write};

use crate::decide::{accepted_logins::MAX_ACCEPTED, login::LoginKey};

/// The logins that a fleet has seen accepted, as keyed hashes with their key
///
/// A server that refuses a login it has accepted before may still have an earlier session of it: after this program
/// was killed, for one. Such a login is tried again after a minute, and one that was never accepted after an hour. So
/// a program keeps [`Fleet::accepted`](crate::Fleet::accepted) in a file, and gives it to its next fleet:
/// [`FleetOptions::accepted`](crate::FleetOptions::accepted).
///
/// Neither users nor passwords are in it. But guesses can be checked against it, as with any file of hashes: only its
/// owner should be able to read it.
///
/// ```
/// # async fn example(fleet: pptp_fleet::Fleet, client: pptp::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use pptp_fleet::{Accepted, Fleet, FleetOptions};
///
/// let text = fleet.accepted().await.ok_or("it is shut down")?.to_text();
/// let options = FleetOptions::default().accepted(Accepted::parse(&text)?);
/// let next = Fleet::new(client, &options);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    key: [u8; 16],
    /// The one with the oldest acceptance first
    logins: Vec<LoginKey>,
}

/// The reason why a text is none of [`Accepted::to_text`]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is none that a fleet wrote as its accepted logins: delete the text, and logins are known again once \
     they are accepted"
)]
pub struct InvalidAccepted {
    /// The line, from 1 on
    pub line: usize,
}

impl Accepted {
    pub(crate) const fn new(key: [u8; 16], logins: Vec<LoginKey>) -> Self {
        Self { key, logins }
    }

    /// The most logins; of more the oldest are forgotten
    pub const MAX: usize = MAX_ACCEPTED;

    /// Reads a text of [`Self::to_text`]
    ///
    /// # Errors
    /// The first line that is wrong; more than [`Self::MAX`] logins.
    pub fn parse(text: &str) -> Result<Self, InvalidAccepted> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(InvalidAccepted { line: 1 });
        }
        let key = lines.next().and_then(octets).ok_or(InvalidAccepted { line: 2 })?;
        let mut logins = Vec::new();
        for (line, text) in (3..).zip(lines) {
            let login = octets(text).filter(|_| logins.len() < Self::MAX);
            logins.push(LoginKey::from_octets(login.ok_or(InvalidAccepted { line })?));
        }
        Ok(Self { key, logins })
    }

    /// Returns a text of lines: [`Self::parse`] reads it
    ///
    /// 34 octets for each login, and 2 MiB at most.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for octets in [self.key].into_iter().chain(self.logins.iter().map(|it| it.octets())) {
            for octet in octets {
                // writing to a text does not fail
                let _ = write!(text, "{octet:02x}");
            }
            text.push('\n');
        }
        text
    }

    /// Returns the number of logins
    pub const fn len(&self) -> usize {
        self.logins.len()
    }

    /// Returns true if there is no login
    pub const fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    pub(crate) const fn key(&self) -> [u8; 16] {
        self.key
    }

    pub(crate) fn logins(&self) -> impl Iterator<Item = LoginKey> {
        self.logins.iter().copied()
    }
}

/// Prints the number of logins only
impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accepted({})", self.len())
    }
}

/// Reads 16 octets in 32 hexadecimal digits
fn octets(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    let number = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    Some(number.to_be_bytes())
}

/// The first line, with the version of the form
const HEADER: &str = "pptp-fleet accepted logins 1";

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(count: usize) -> Accepted {
        let login =
            |number: usize| LoginKey::new(&[9; 16], "vpn.example", &number.to_string(), b"secret");
        Accepted::new([0xAB; 16], (0..count).map(login).collect())
    }

    #[test]
    fn a_text_is_read_as_it_was_written_and_has_no_name_in_it() {
        for count in [0, 1, 100] {
            let before = accepted(count);
            let text = before.to_text();
            assert_eq!(text.lines().count(), count + 2);
            assert!(!text.contains("vpn.example") && !text.contains("secret"));
            assert_eq!(Accepted::parse(&text), Ok(before));
        }
        assert_eq!(format!("{:?}", accepted(3)), "Accepted(3)");
    }

    #[test]
    fn another_text_is_refused_with_its_line() {
        let good = accepted(2).to_text();
        for (text, line) in [
            (String::new(), 1),
            (good.replacen('1', "2", 1), 1),
            (good.replacen("ab", "AB", 1), 2),
            (good.lines().take(1).collect(), 2),
            (format!("{good}0"), 5),
            (format!("{good}\n"), 5),
            (format!("{good}{}\n", "é".repeat(16)), 5),
            (format!("{good}+{}\n", "0".repeat(31)), 5),
        ] {
            assert_eq!(Accepted::parse(&text), Err(InvalidAccepted { line }), "{text}");
        }
    }

    #[test]
    fn no_text_has_more_logins_than_the_most() {
        let most = accepted(Accepted::MAX).to_text();
        assert!(most.len() < 3 << 20);
        assert_eq!(Accepted::parse(&most).map(|it| it.len()), Ok(Accepted::MAX));
        let line = Accepted::MAX + 3;
        let more = format!("{most}{}\n", "0".repeat(32));
        assert_eq!(Accepted::parse(&more), Err(InvalidAccepted { line }));
    }
}
