//! An attacker on a network in memory, who sends in the name of others and may see their datagrams

use std::net::Ipv4Addr;

use crate::{Host, Network, clock::now, errno::ENOPROTOOPT, inbox::Report, wiretap::Wiretap};

impl Network {
    /// Sends a GRE datagram in the name of `source`, as an attacker off the path can
    ///
    /// It arrives one latency later. Impairments do not affect it.
    pub fn forge_gre(&self, source: Ipv4Addr, destination: Ipv4Addr, gre: &[u8]) {
        self.with_state(|state| state.forge(source, destination, gre));
    }

    /// Shows each GRE datagram that is sent from now on to an attacker on the path
    ///
    /// `tap` gets the sender, the receiver and the datagram from its GRE header on. The datagrams
    /// that it returns arrive in the same sender's name right before that datagram, the worst place
    /// for a copy. It must not call the network.
    pub fn wiretap_gre(
        &self,
        tap: impl FnMut(Ipv4Addr, Ipv4Addr, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) {
        self.with_state(|state| state.wiretap = Some(Wiretap::new(tap)));
    }
}

impl Network {
    /// Sends a host the ICMP message "protocol unreachable" about GRE that it is said to have sent to
    /// `destination` with this Call ID, if the message quotes that much, as every host can
    ///
    /// It arrives at once.
    pub fn forge_unreachable(
        &self,
        host: Ipv4Addr,
        destination: Ipv4Addr,
        peer_call_id: Option<u16>,
    ) {
        let raw_os_error = ENOPROTOOPT;
        let icmp = (3, 2);
        let report =
            Report { destination, peer_call_id, reporter: destination, icmp, raw_os_error };
        self.with_state(|state| state.deliver_report(host, now(), report));
    }
}

impl Host {
    /// Writes octets into the open connections of this host with `peer`, in the name of `peer`
    ///
    /// An attacker who guesses TCP's sequence numbers can do this, and nothing else. The octets
    /// arrive one latency later, behind earlier octets of the stream, as many as the window has
    /// room for.
    pub fn forge_octets(&self, peer: Ipv4Addr, octets: &[u8]) {
        for connection in self.with_state(|host| host.connections.open()) {
            connection.forge(peer, self.address(), now(), octets);
        }
    }
}
