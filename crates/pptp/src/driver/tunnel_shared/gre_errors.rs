//! Errors and strangers' datagrams that the network gives back for a tunnel's GRE

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
};

use pptp_tunnel::GreError;

use super::TunnelShared;
use crate::clock::now;

impl TunnelShared {
    /// Takes the kernel's refusal to send one of this tunnel's datagrams
    pub(crate) fn send_failed(&self, error: &io::Error) {
        self.unsendable.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(parent: &self.span, %error, "a GRE datagram was not sent");
        if let Some(machine) = self.lock().protocol.machine_mut() {
            machine.handle_gre_error(now(), GreError::NotSent(error.to_string()));
        }
    }

    /// Takes an ICMP message which says that this peer does not know GRE
    pub(crate) fn protocol_unreachable(self: &Arc<Self>) {
        if let Some(machine) = self.lock().protocol.machine_mut() {
            machine.handle_gre_error(now(), GreError::ProtocolUnreachable);
        }
        self.mark_timers_due();
    }

    /// Takes a datagram from `from` that has the Call ID of this tunnel and is not its server's GRE
    ///
    /// If it comes from the server itself, its header is one of another kind of GRE.
    pub(crate) fn stranger(&self, from: Ipv4Addr, gre: &mut [u8]) {
        let Some(route) = self.route() else { return };
        let server = *route.server.ip();
        let mut inner = self.lock();
        let Some(machine) = inner.protocol.machine_mut() else { return };
        if from == server {
            // the state machine counts it, and remembers what its header is
            let _ = machine.handle_gre(now(), gre);
        } else {
            machine.handle_gre_error(now(), GreError::FromElsewhere { from, server });
        }
    }
}
