//! The texts of MS-CHAP's Success and Failure packets

use pptp_mschap::{AuthenticatorResponse, Failure};

/// The text of a Failure or Success packet
///
/// Holds: what is read is told in a text that reads the same, and is not much larger than it was.
pub fn target(data: &[u8]) {
    if let Ok(failure) = Failure::parse(data) {
        // a message that is no UTF-8 is repaired: three octets for one
        assert!(failure.message.len() <= data.len() * 3);
        let challenge = failure.challenge.as_ref().map(Vec::len);
        assert!(matches!(challenge, None | Some(8 | 16)), "a challenge of {challenge:?} octets");
        let told = failure.to_string();
        assert_eq!(Failure::parse(told.as_bytes()), Ok(failure), "{told:?}");
    }
    if let Ok(proof) = AuthenticatorResponse::parse(data) {
        let told = proof.to_string();
        assert_eq!(AuthenticatorResponse::parse(told.as_bytes()), Ok(proof));
        assert!(data.to_ascii_uppercase().starts_with(told.as_bytes()), "another proof");
        assert!(!format!("{proof:?}").contains(&told[2..]), "a proof in a log");
    }
}
