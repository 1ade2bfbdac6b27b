//! SOCKS 5: a client's octets in any pieces, and its datagrams

use std::fmt::Debug;

use pptp_socks5::{Datagram, Error, Greeting, Login, Request};

/// Reads the octets as each message of a client
///
/// A message is read alike whole and octet by octet, never from octets that it does not name as its own, and a
/// datagram that was read is emitted as it came.
pub fn target(octets: &[u8]) {
    in_pieces(octets, Greeting::read);
    in_pieces(octets, Login::read);
    in_pieces(octets, Request::read);
    if let Ok(datagram) = Datagram::read(octets) {
        assert_eq!(datagram.emit(), octets, "a datagram is emitted as it was read");
    }
}

/// The outcome of reading a message
type Read<M> = Result<Option<(M, usize)>, Error>;

/// Gives the octets one after the other: what is decided once stays decided
fn in_pieces<M: PartialEq + Debug>(octets: &[u8], read: fn(&[u8]) -> Read<M>) {
    let whole = read(octets);
    for length in 0..octets.len() {
        let part = read(octets.get(..length).unwrap_or_default());
        match part {
            Ok(None) => {}
            decided => {
                assert_eq!(decided, whole, "{length} octets were enough");
                break;
            }
        }
    }
    if let Ok(Some((_, used))) = whole {
        assert!(used <= octets.len());
    }
}
