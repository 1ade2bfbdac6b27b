//! The login by name and password (RFC 1929)

use std::fmt;

use crate::{Error, reader::Reader};

/// A client's name and password
///
/// Both may be empty: curl sends an empty password for a user without one.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name, as octets
    pub user: Vec<u8>,
    /// The password, as octets
    pub password: Vec<u8>,
}

/// Prints the name, never the password
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &String::from_utf8_lossy(&self.user))
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Reads a login; returns it with the number of its octets, or `None` while some are missing
    ///
    /// # Errors
    /// The octets are none.
    pub fn read(octets: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let mut reader = Reader::new(octets);
        match reader.octet() {
            None => return Ok(None),
            Some(VERSION) => {}
            Some(other) => return Err(Error::LoginVersion(other)),
        }
        let Some(user) = reader.counted() else { return Ok(None) };
        let Some(password) = reader.counted() else { return Ok(None) };
        let login = Self { user: user.to_vec(), password: password.to_vec() };
        Ok(Some((login, reader.used())))
    }
}

/// Makes the answer to a login; after a refusal the connection is closed
pub const fn login_answer(is_accepted: bool) -> [u8; 2] {
    [VERSION, if is_accepted { 0 } else { 1 }]
}

/// The version of the login, which is not that of SOCKS
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1929_2_name_and_password_are_read_also_where_the_password_is_empty() {
        let octets = b"\x01\x03b17\x06secret";
        for length in 0..octets.len() {
            assert_eq!(Login::read(&octets[..length]), Ok(None), "{length}");
        }
        let (login, used) = Login::read(octets).unwrap().unwrap();
        assert_eq!((&login.user[..], &login.password[..], used), (&b"b17"[..], &b"secret"[..], 12));
        assert_eq!(format!("{login:?}"), r#"Login { user: "b17", .. }"#);
        let (curl, used) = Login::read(b"\x01\x03b17\0rest").unwrap().unwrap();
        assert_eq!((curl.password.len(), used), (0, 6));
        assert_eq!(Login::read(&[5]), Err(Error::LoginVersion(5)));
        assert_eq!((login_answer(true), login_answer(false)), ([1, 0], [1, 1]));
    }
}
