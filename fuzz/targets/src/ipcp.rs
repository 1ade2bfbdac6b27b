//! A client's link with IPCP from a fuzzer

use pptp_ppp::frame;

use crate::link::{self, Reach, Spoken};

/// Packets of IPCP, with CCP beside it
///
/// Holds: what [`link`] says.
pub fn target(data: &[u8]) {
    link::run(data, Reach::Network, Spoken::Protocol(frame::IPCP));
}
