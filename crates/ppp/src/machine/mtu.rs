//! The MTU of a link's inner packets

use crate::negotiation::role_options::LinkFacts;

/// Octets of the largest inner packet: it has to fit the Information field that either end and the
/// carrier allow, and if it is encrypted, the inner protocol and MPPE's header with it
///
/// Not below the minimum of IPv4, unless the peer takes less.
pub(super) fn mtu(link: &LinkFacts, carrier_limit: u16, is_encrypted: bool) -> u16 {
    let overhead = if is_encrypted { MPPE_OVERHEAD } else { 0 };
    let carrier = carrier_limit.saturating_sub(link.form.header_len());
    let information = link.mru.min(link.peer_mru).min(carrier);
    let floor = MIN_MTU.min(link.peer_mru.saturating_sub(overhead));
    information.saturating_sub(overhead).max(floor)
}

/// MPPE's header, and the encrypted protocol number
const MPPE_OVERHEAD: u16 = 4;
/// Octets that every IPv4 host takes (RFC 791 §3.1)
const MIN_MTU: u16 = 576;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{frame, protocol::AuthenticationProtocol};

    fn link(mru: u16, peer_mru: u16) -> LinkFacts {
        let form = frame::Form::default();
        let authentication = AuthenticationProtocol::MsChapV2;
        LinkFacts { mru, peer_mru, magic: None, peer_magic: None, form, authentication }
    }

    #[test]
    fn the_inner_mtu_follows_the_least_of_three() {
        let encrypted = |link, carrier| mtu(&link, carrier, true);
        assert_eq!(encrypted(link(1400, 1400), 1464), 1396);
        assert_eq!(encrypted(link(1500, 1436), 1464), 1432, "accel-ppp's MRU");
        assert_eq!(encrypted(link(1500, 1500), 1464), 1456, "an Ethernet path");
        assert_eq!(encrypted(link(1500, 128), 1464), 124, "a peer that takes no more");
        assert_eq!(encrypted(link(200, 1500), 1464), 576);
        let form = frame::Form { acfc: true, pfc: true };
        assert_eq!(encrypted(LinkFacts { form, ..link(1500, 1500) }, 1464), 1459);
    }

    #[test]
    fn in_the_clear_there_is_no_overhead_but_the_header() {
        let clear = |link, carrier| mtu(&link, carrier, false);
        assert_eq!(clear(link(1400, 1400), 1464), 1400);
        assert_eq!(clear(link(1500, 1500), 1464), 1460, "FF03 and 0021 on an Ethernet path");
        assert_eq!(clear(link(1500, 128), 1464), 128);
        assert_eq!(clear(link(200, 1500), 1464), 576);
        let form = frame::Form { acfc: true, pfc: true };
        assert_eq!(clear(LinkFacts { form, ..link(1500, 1500) }, 1464), 1463);
    }
}
