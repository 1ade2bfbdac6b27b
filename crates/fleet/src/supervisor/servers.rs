//! The servers that sites name, with the failures of those that wait to be tried again

use std::{collections::HashMap, sync::Arc};

use super::Supervisor;
use crate::{
    SiteFailure,
    decide::dial::{ServerKey, SiteId},
};

/// The servers of a fleet's sites
///
/// A server is here while a site names it, so there are no more servers than sites.
#[derive(Debug, Default)]
pub(super) struct Servers(HashMap<ServerKey, Known>);

/// What is known of a server beside the scheduler
#[derive(Debug, Default)]
struct Known {
    sites: usize,
    failure: Option<SiteFailure>,
}

impl Servers {
    /// Counts a site of a server
    pub(super) fn join(&mut self, server: &ServerKey) {
        let known = self.0.entry(Arc::clone(server)).or_default();
        known.sites = known.sites.saturating_add(1);
    }

    /// Takes a site off a server; returns true if it was the last one, and the server is forgotten
    pub(super) fn leave(&mut self, server: &ServerKey) -> bool {
        let Some(known) = self.0.get_mut(server) else { return true };
        known.sites = known.sites.saturating_sub(1);
        let is_last = known.sites == 0;
        if is_last {
            self.0.remove(server);
        }
        is_last
    }

    /// Notes the failure for which a server waits, or that it does not wait any more
    pub(super) fn set_failure(&mut self, server: &ServerKey, failure: Option<SiteFailure>) {
        if let Some(known) = self.0.get_mut(server) {
            known.failure = failure;
        }
    }

    /// Returns the failure for which a server waits
    pub(super) fn failure(&self, server: &ServerKey) -> Option<&SiteFailure> {
        self.0.get(server)?.failure.as_ref()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Supervisor {
    /// Notes that a site is reached by another server than before
    pub(super) fn move_site(&mut self, site: SiteId, server: &ServerKey) {
        let Some(entry) = self.sites.get_mut(&site) else { return };
        let before = std::mem::replace(&mut entry.server, Arc::clone(server));
        self.servers.join(server);
        self.leave_server(&before);
    }

    /// Forgets the failure for which a server waited; its sites are told that they wait for their turn only
    pub(super) fn forget_failure(&mut self, server: &ServerKey) {
        if self.servers.failure(server).is_some() {
            self.servers.set_failure(server, None);
            self.publish_waiting(server);
        }
    }

    /// Takes a site off a server; one that no site names any more is forgotten, and so are its failures
    pub(super) fn leave_server(&mut self, server: &ServerKey) {
        if self.servers.leave(server) {
            self.scheduler.forgive(server);
        }
    }
}
