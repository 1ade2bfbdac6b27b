//! A client's link with the proof of who we are: PAP, CHAP with MD5, MS-CHAP of both versions from a fuzzer

use crate::link::{self, Reach, Spoken};

/// Packets of whatever authentication the server of the script asks for
///
/// Holds: what [`link`] says.
pub fn target(data: &[u8]) {
    link::run(data, Reach::Authentication, Spoken::Authentication);
}
