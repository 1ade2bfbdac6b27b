//! MS-CHAP: from a password to proofs and MPPE start keys (RFC 2433, 2759, 3079)
//!
//! Pure functions. The authenticated peer computes [`challenge_hash`] and [`nt_response`], sends
//! the response, and compares the authenticator's answer with its own [`AuthenticatorResponse`];
//! the authenticator does the same the other way round. Both then have the same [`MasterKey`],
//! whose [`StartKeys`] start MPPE.
//!
//! ```
//! use pptp_mschap::{
//!     AuthenticatorResponse, HashName, Password, PasswordEncoding, Side, challenge_hash,
//!     master_key, nt_response,
//! };
//!
//! let hash = Password::new("clientPass").nt_hash(PasswordEncoding::Utf16);
//! let challenge = challenge_hash(&[1; 16], &[2; 16], br"CORP\User", HashName::StripDomain);
//! let response = nt_response(&challenge, &hash);
//!
//! let answer = AuthenticatorResponse::new(&hash, &response, &challenge).to_string();
//! let proven = AuthenticatorResponse::parse(answer.as_bytes()).unwrap()
//!     == AuthenticatorResponse::new(&hash, &response, &challenge);
//! assert!(proven);
//! let keys = master_key(&hash, &response).start_keys(Side::Client);
//! assert_eq!(format!("{:?}", keys.send), "StartKey([redacted])");
//! ```
//!
//! The cryptography is that of 1998. An attacker who records one handshake can try passwords
//! against it, and trying all 2^56 DES keys is possible today.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod change;
mod des_block;
mod failure;
mod keys;
mod md5;
mod parse_error;
mod password;
mod response;
mod secret;
mod success;

pub use change::{PasswordChange, PasswordTooLong};
pub use failure::{Failure, v1_retry_challenge};
pub use keys::{
    MasterKey, Side, StartKey, StartKeys, master_key, v1_start_key_40_56, v1_start_key_128,
};
pub use md5::md5_response;
pub use parse_error::ParseError;
pub use password::{LmHash, NtHash, Password, PasswordEncoding};
pub use response::{HashName, challenge_hash, lm_response, nt_response};
pub use success::AuthenticatorResponse;

#[cfg(test)]
mod tests;
