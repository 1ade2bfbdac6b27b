//! A client's link with EAP from a fuzzer

use crate::link::{self, Reach, Spoken};

/// Packets of EAP, to a client whose server has asked for it
///
/// Holds: what [`link`] says.
pub fn target(data: &[u8]) {
    link::run(data, Reach::Authentication, Spoken::Eap);
}
