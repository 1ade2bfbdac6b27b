//! The questions of a server that has refused a login: a new password, or another account

use std::fmt;

/// The refusals about which a client asks its owner, instead of ending the link
///
/// Neither by default: the link ends with [`Failure::AuthFailed`](crate::Failure::AuthFailed) at
/// once. The same password is never sent again, asked or not: accounts get locked that way, and
/// each answer helps an attacker to find the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// An expired password, for [`Link::change_password`](crate::Link::change_password)
    pub new_password: bool,
    /// A refused login that may be tried again, for [`Link::log_in_as`](crate::Link::log_in_as)
    pub other_credentials: bool,
}

/// A question to a client's owner; each comes at most once in an authentication
///
/// Without an answer within a minute the link ends with the server's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// The password has expired (error 648), and the server lets it be changed
    NewPassword {
        /// The server's own words, if it had any
        message: String,
    },
    /// The login was refused, and the server takes another (`R=1`)
    OtherCredentials {
        /// The server's error code, for example 691
        code: u32,
        /// The server's own words, if it had any
        message: String,
    },
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewPassword { .. } => {
                f.write_str("the password has expired: a new one is wanted")
            }
            Self::OtherCredentials { code, .. } => {
                write!(f, "the login was refused (error {code}): another one is wanted")
            }
        }
    }
}
