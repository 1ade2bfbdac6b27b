//! The calls by the server's Call ID, for ICMP messages about our GRE

use std::{collections::HashMap, net::Ipv4Addr};

/// The calls that are being connected, by the server's address and the server's Call ID
///
/// An ICMP message quotes the head of a datagram that we sent, in which the Call ID is the server's. It
/// counts while a call has heard no GRE, so only the calls on their way up are here: a flood of such
/// messages costs one look each, however many tunnels there are.
#[derive(Default)]
pub(crate) struct PeerCalls {
    /// To our Call ID
    ours: HashMap<Quoted, u16>,
    /// From our Call ID
    theirs: HashMap<u16, Quoted>,
}

/// The destination of a quoted datagram, and its Call ID
type Quoted = (Ipv4Addr, u16);

impl PeerCalls {
    /// Notes what a call's datagrams say now; `None` once it is up or over
    pub(crate) fn note(&mut self, call_id: u16, quoted: Option<Quoted>) {
        if quoted.is_none() && self.theirs.is_empty() {
            return;
        }
        let before = match quoted {
            Some(quoted) => self.theirs.insert(call_id, quoted),
            None => self.theirs.remove(&call_id),
        };
        if before == quoted {
            return;
        }
        if let Some(before) = before.filter(|before| self.ours.get(before) == Some(&call_id)) {
            self.ours.remove(&before);
        }
        if let Some(quoted) = quoted {
            self.ours.insert(quoted, call_id);
        }
    }

    /// Our Call ID of the call that a quoted datagram was sent for
    pub(crate) fn find(&self, destination: Ipv4Addr, peer_call_id: u16) -> Option<u16> {
        self.ours.get(&(destination, peer_call_id)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORTH: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const SOUTH: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    #[test]
    fn a_call_is_found_by_address_and_call_id_until_it_is_up() {
        let mut calls = PeerCalls::default();
        calls.note(100, Some((NORTH, 7)));
        calls.note(101, Some((SOUTH, 7)));
        calls.note(100, Some((NORTH, 7)));
        assert_eq!((calls.find(NORTH, 7), calls.find(SOUTH, 7)), (Some(100), Some(101)));
        assert_eq!((calls.find(NORTH, 8), calls.find(Ipv4Addr::LOCALHOST, 7)), (None, None));
        calls.note(100, None);
        calls.note(100, None);
        assert_eq!((calls.find(NORTH, 7), calls.find(SOUTH, 7)), (None, Some(101)));
        calls.note(101, None);
        assert!(calls.ours.is_empty() && calls.theirs.is_empty());
    }

    #[test]
    fn a_call_that_is_dialled_once_more_has_its_new_call_id() {
        let mut calls = PeerCalls::default();
        calls.note(100, Some((NORTH, 7)));
        calls.note(100, Some((NORTH, 8)));
        assert_eq!((calls.find(NORTH, 7), calls.find(NORTH, 8)), (None, Some(100)));
    }

    #[test]
    fn two_calls_under_one_name_are_one_and_the_later_is_meant() {
        let mut calls = PeerCalls::default();
        calls.note(100, Some((NORTH, 7)));
        calls.note(101, Some((NORTH, 7)));
        assert_eq!(calls.find(NORTH, 7), Some(101));
        calls.note(100, None);
        assert_eq!(calls.find(NORTH, 7), Some(101), "the earlier takes nothing along");
        calls.note(101, None);
        assert!(calls.ours.is_empty() && calls.theirs.is_empty());
    }
}
