//! The sites of a fleet by their names, for its handles

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{SiteConfig, SiteName, site::SiteShared};

/// The sites by their names, for handles
#[derive(Default)]
pub(crate) struct Registry {
    sites: Mutex<BTreeMap<SiteName, Arc<SiteShared>>>,
    next_event: AtomicU64,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.sites().len())
    }
}

impl Registry {
    pub(crate) fn add(&self, site: &Arc<SiteShared>) {
        self.sites().insert(site.name.clone(), Arc::clone(site));
    }

    pub(crate) fn remove(&self, name: &SiteName) {
        self.sites().remove(name);
    }

    /// The configuration with which a site's dial or tunnel was begun, if there is one
    pub(crate) fn dialled(&self, name: &SiteName) -> Option<Arc<SiteConfig>> {
        let site = self.sites().get(name).map(Arc::clone)?;
        site.dialled()
    }

    pub(crate) fn set_next_event(&self, number: u64) {
        self.next_event.store(number, Ordering::Release);
    }

    /// The number of the next event
    pub(crate) fn next_event(&self) -> u64 {
        self.next_event.load(Ordering::Acquire)
    }

    /// Locks the sites
    pub(crate) fn sites(&self) -> MutexGuard<'_, BTreeMap<SiteName, Arc<SiteShared>>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
