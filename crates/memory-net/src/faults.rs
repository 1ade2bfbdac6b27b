//! Faults of a host: a cable pulled out, a power failure, a path that drops large packets

use std::{net::Ipv4Addr, time::Duration};

use crate::{Host, clock::now};

impl Host {
    /// Adds to the latency of everything that is sent to this host from now on
    ///
    /// So that the two ways of a round trip may differ.
    pub fn delay(&self, extra: Duration) {
        self.with_state(|host| host.delay = extra);
    }

    /// Drops GRE to and from this host in IP packets of more octets than that, or lifts it
    ///
    /// A path whose routers neither fragment nor report does this: a "black hole".
    pub fn drop_large_gre(&self, larger_than: Option<usize>) {
        self.with_state(|host| host.largest = larger_than.unwrap_or(usize::MAX));
    }

    /// Takes the right to open a raw socket from this host's programs, as if they had no `CAP_NET_RAW`
    ///
    /// Sockets that are open stay so. TCP needs no such right.
    pub fn forbid_gre(&self) {
        self.with_state(|host| host.forbids_gre = true);
    }

    /// Lets this host's programs read and write connections one octet at a time from now on
    ///
    /// A write would block before each octet, which a kernel may do at any place. So it is seen if
    /// a program continues where it was.
    pub fn move_single_octets(&self) {
        self.with_state(|host| host.moves_single_octets = true);
    }

    /// Lets this host send GRE from `address` too, as a host with a second line does
    ///
    /// Datagrams to that address do not arrive here.
    pub fn add_source(&self, address: Ipv4Addr) {
        self.with_state(|host| host.further_addresses.push(address));
    }

    /// Lets nothing pass to and from this host until [`Host::plug_in`]
    ///
    /// GRE is lost, except the datagrams that are on their way already. Octets and ends of
    /// connections wait: TCP repeats them. TCP never gives up here, because PPTP gives up long
    /// before Linux would (15 minutes).
    pub fn unplug(&self) {
        self.with_state(|host| host.unplugged = true);
        for connection in self.with_state(|host| host.connections.open()) {
            connection.hold(now());
        }
    }

    /// Lets everything pass again
    ///
    /// Octets that connections held back arrive when TCP repeats them next, which takes the longer the
    /// longer it waited: 0.2 s, 0.4 s and so on, at most 120 s (RFC 6298 §5.5).
    pub fn plug_in(&self) {
        self.with_state(|host| host.unplugged = false);
        for connection in self.with_state(|host| host.connections.open()) {
            connection.resume(now());
        }
    }

    /// Ends all connections of this host with a reset, as a firewall does: both ends see it
    pub fn reset_connections(&self) {
        for connection in self.with_state(|host| host.connections.open()) {
            connection.reset(now());
        }
    }

    /// Makes the host forget its connections without a word, as a power failure does
    ///
    /// The connections are half-open then. The other end notices nothing until it sends something.
    /// The host, once it is there again, answers that with a reset. The host's programs can still
    /// use their ends, without effect.
    pub fn forget_connections(&self) {
        for connection in self.with_state(|host| host.connections.open()) {
            connection.forget(self.address());
        }
    }
}
