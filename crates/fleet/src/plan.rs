//! A plan: the changes that another configuration of all sites would make

use std::{collections::BTreeMap, sync::Arc};

use crate::{Change, SiteConfig, SiteName, registry::Registry, wanted::Wanted};

/// The changes that another configuration of all sites would make, ready to be applied
///
/// [`Fleet::plan`](crate::Fleet::plan) makes it and [`Fleet::apply`](crate::Fleet::apply) takes it. It is of use until
/// a site is set or removed, or another plan is applied.
#[derive(Debug)]
#[must_use]
pub struct Plan {
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) generation: u64,
    pub(crate) changes: Changes,
    pub(crate) wishes: Vec<Wish>,
}

/// A site that is to have this configuration, or to be gone
pub(crate) type Wish = (SiteName, Option<Arc<SiteConfig>>);

impl Plan {
    /// Makes the plan of a fleet; of two configurations for one name the latter counts
    pub(crate) fn new<'a>(
        of: &Arc<Wanted>,
        registry: &Registry,
        wanted: impl IntoIterator<Item = (&'a SiteName, &'a SiteConfig)>,
    ) -> Self {
        let wanted: BTreeMap<_, _> = wanted.into_iter().collect();
        let (mut changes, mut wishes) = (Changes::default(), Vec::new());
        let latest = of.lock();
        for name in latest.sites.keys().filter(|name| !wanted.contains_key(name)) {
            changes.removed.push(name.clone());
            wishes.push((name.clone(), None));
        }
        for (name, config) in wanted {
            match latest.sites.get(name) {
                Some(before) if before.is_same(config) => continue,
                Some(before) => {
                    let dialled = registry.dialled(name);
                    let (change, _) = Change::between(before, dialled.as_deref(), config);
                    changes.note(name, change, Some((before, dialled.as_deref())), config);
                }
                None => changes.added.push(name.clone()),
            }
            wishes.push((name.clone(), Some(Arc::new(config.clone()))));
        }
        let generation = latest.generation;
        drop(latest);
        Self { wanted: Arc::clone(of), generation, changes, wishes }
    }

    /// Returns the changes, as far as they are known before they are made
    ///
    /// A tunnel that comes up or ends meanwhile moves its site from one list to another: [`Applied`] has what was
    /// decided.
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }
}

/// The changes of sites, in the order of their names
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// The sites that are new
    pub added: Vec<SiteName>,
    /// The sites that are gone once they are hung up
    pub removed: Vec<SiteName>,
    /// The sites that are changed without a dial, with the names of what is changed
    ///
    /// A site that gets the configuration of its tunnel back is one of them: it is not dialled anew any more.
    pub in_place: Vec<(SiteName, Vec<String>)>,
    /// The sites that are dialled anew when their turn comes, with the names of the options that are the reason
    pub redialled: Vec<(SiteName, Vec<String>)>,
}

impl Changes {
    /// Returns true if there is no change
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.in_place.is_empty()
            && self.redialled.is_empty()
    }

    /// Notes the change of a site; `before` is its configuration, and that of its dial or tunnel
    pub(crate) fn note(
        &mut self,
        name: &SiteName,
        change: Change,
        before: Option<(&SiteConfig, Option<&SiteConfig>)>,
        after: &SiteConfig,
    ) {
        let name = name.clone();
        match (change, before) {
            (Change::Redial, Some((before, dialled))) => {
                let names = dialled.unwrap_or(before).difference(after).names;
                self.redialled.push((name, names));
            }
            (Change::InPlace | Change::Nothing, Some((before, _))) => {
                self.in_place.push((name, before.changed_names(after)));
            }
            (Change::Added, _) | (_, None) => self.added.push(name),
        }
    }
}

/// The effect of a plan that was applied
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The changes
    pub changes: Changes,
    /// The sites of a rollout that was paused, and goes on; `None` if none was
    pub continued: Option<usize>,
}

/// The reason why a plan was not applied; nothing is changed
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotApplied {
    /// Other sites are set than those that it was made from
    #[error(
        "the plan is out of date: sites were set or removed after it was made, so it might undo that; make another plan"
    )]
    OutOfDate,
    /// The fleet is shut down
    #[error("the fleet is shut down")]
    ShutDown,
}
