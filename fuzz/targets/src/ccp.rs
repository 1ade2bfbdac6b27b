//! A client's link with CCP from a fuzzer

use pptp_ppp::frame;

use crate::link::{self, Reach, Spoken};

/// Packets of CCP, with IPCP beside it
///
/// Holds: what [`link`] says.
pub fn target(data: &[u8]) {
    link::run(data, Reach::Network, Spoken::Protocol(frame::CCP));
}
