//! Local ports for proxies that nobody has chosen

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Returns the preferred port of loopback, or the next free one, or one that the system chooses
///
/// Another program may take it before it is bound; then the bind says so.
pub fn next_free(preferred: u16) -> SocketAddr {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let port = (preferred..preferred.saturating_add(MAX_TRIES)).find(is_free);
    (Ipv4Addr::LOCALHOST, port.unwrap_or(0)).into()
}

/// Ports that are tried
const MAX_TRIES: u16 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(next_free(port).port(), port);
    }
}
