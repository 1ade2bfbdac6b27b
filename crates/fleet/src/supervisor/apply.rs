//! A plan that is applied, a slice in each turn of the supervisor

use std::{sync::Arc, time::Instant as StdInstant, vec};

use tokio::sync::oneshot;

use super::Supervisor;
use crate::{Applied, Changes, SiteConfig, SiteName, plan::Wish};

/// A plan that is being applied
#[derive(Debug)]
pub(super) struct Applying {
    left: vec::IntoIter<Wish>,
    changes: Changes,
    answer: oneshot::Sender<Applied>,
}

impl Supervisor {
    pub(super) fn begin_apply(&mut self, wishes: Vec<Wish>, answer: oneshot::Sender<Applied>) {
        // what is added now would never be hung up: who asked is told so by the answer that is dropped
        if self.shut_down.is_some() {
            return;
        }
        let (left, changes) = (wishes.into_iter(), Changes::default());
        self.applying = Some(Applying { left, changes, answer });
    }

    /// Applies the next changes of a plan; after the last one, whoever asked is told
    pub(super) fn apply_slice(&mut self, now: StdInstant) {
        let Some(mut applying) = self.applying.take() else { return };
        for (name, config) in applying.left.by_ref().take(MAX_SLICE) {
            self.apply_one(now, &name, config, &mut applying.changes);
        }
        if !applying.left.as_slice().is_empty() {
            self.applying = Some(applying);
            return;
        }
        let Applying { changes, answer, .. } = applying;
        let continued = if changes.redialled.is_empty() {
            self.rollout.handle_continue()
        } else {
            self.rollout.handle_plan()
        };
        // whoever asked may have given up
        let _ = answer.send(Applied { changes, continued });
    }

    fn apply_one(
        &mut self,
        now: StdInstant,
        name: &SiteName,
        config: Option<Arc<SiteConfig>>,
        changes: &mut Changes,
    ) {
        let site = self.by_name.get(name).copied();
        let Some(config) = config else {
            if let Some(site) = site {
                self.with(site, |entry, _| entry.machine.handle_remove());
                changes.removed.push(name.clone());
            }
            return;
        };
        let before = site.and_then(|site| self.sites.get(&site)).map(|entry| {
            let dialled = entry.shared.dialled();
            (Arc::clone(&entry.config), dialled)
        });
        let change = self.set(now, name, Arc::clone(&config));
        let before = before.as_ref().map(|(before, dialled)| (&**before, dialled.as_deref()));
        changes.note(name, change, before, &config);
    }
}

/// Changes in one turn: a reader takes at least as many events before tokio lets others run
const MAX_SLICE: usize = 64;
