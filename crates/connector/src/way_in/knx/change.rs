//! Settings of a KNX forward that change while it runs

use std::{net::IpAddr, sync::Arc};

use super::{datagrams::KnxDatagrams, serve::Forward};
use crate::way_in::way::Way;

impl<D: KnxDatagrams> Forward<D> {
    /// Takes other settings; false if they lead elsewhere, so that all connections end
    ///
    /// Clients that they forbid are disconnected in their names.
    pub(super) fn take(&mut self, way: Arc<Way>) -> bool {
        if !is_same(&self.way, &way) || self.address != self.listener.address_of_name(&way) {
            return false;
        }
        self.relay.set_max_clients(self.listener.limits.most());
        let clients = way.clients();
        let now = tokio::time::Instant::now().into_std();
        self.relay.retain_clients(now, |client| clients.may_use(Some(IpAddr::V4(client))));
        self.way = way;
        true
    }
}

/// Returns true if both lead to the same device in the same way
fn is_same(old: &Way, new: &Way) -> bool {
    match (old, new) {
        (Way::Forward { site: old_site, forward: old }, Way::Forward { site, forward }) => {
            old_site == site && old.target == forward.target && old.protocol == forward.protocol
        }
        _ => false,
    }
}
