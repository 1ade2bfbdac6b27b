//! A client's link with IPV6CP from a fuzzer

use pptp_ppp::frame;

use crate::link::{self, Reach, Spoken};

/// Packets of IPV6CP, to a client that wants IPv6
///
/// Holds: what [`link`] says.
pub fn target(data: &[u8]) {
    link::run(data, Reach::Network, Spoken::Protocol(frame::IPV6CP));
}
