//! The configuration of all sites that was set last, for the handles of a fleet

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{SiteConfig, SiteName, plan::Wish};

/// The configuration of all sites that was set last
///
/// Handles change it and send the command under its lock, so that the supervisor has the same order.
#[derive(Default)]
pub(crate) struct Wanted(Mutex<Latest>);

/// The configuration of all sites
#[derive(Default)]
pub(crate) struct Latest {
    /// Changes with each change
    pub(crate) generation: u64,
    pub(crate) sites: BTreeMap<SiteName, Arc<SiteConfig>>,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wanted({})", self.lock().sites.len())
    }
}

impl Wanted {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latest {
    /// Takes the configuration of a site, or that it is gone
    pub(crate) fn set(&mut self, name: &SiteName, config: Option<&Arc<SiteConfig>>) {
        self.generation = self.generation.wrapping_add(1);
        match config {
            Some(config) => _ = self.sites.insert(name.clone(), Arc::clone(config)),
            None => _ = self.sites.remove(name),
        }
    }

    /// Takes what a plan wishes
    pub(crate) fn set_all(&mut self, wishes: &[Wish]) {
        for (name, config) in wishes {
            self.set(name, config.as_ref());
        }
    }
}
