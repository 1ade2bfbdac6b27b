//! A client's link with LCP from a fuzzer

use pptp_ppp::frame;

use crate::link::{self, Reach, Spoken};

/// Packets of LCP, from the first Configure-Request on
///
/// Holds: what [`link`] says.
pub fn target(data: &[u8]) {
    link::run(data, Reach::LinkControl, Spoken::Protocol(frame::LCP));
}
