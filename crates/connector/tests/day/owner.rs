//! What the owner and persons do: commands, and other configurations

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use pptp_connector::settings::Settings;
use rand::RngExt;
use tokio::time::Instant;

use crate::{
    plan::{is_disabled, is_manual, name, number},
    weather::{Change, Weather},
};

impl Weather {
    pub(crate) async fn command(&mut self) {
        let world = Arc::clone(&self.world);
        let mut site = self.rng.random_range(0..world.plan.sites);
        if self.rng.random_bool(0.2) {
            // the next one that is manual or disabled, which are few
            let is_special = |site: &usize| is_manual(*site) || is_disabled(*site);
            site = (site..world.plan.sites).find(is_special).unwrap_or(site);
        }
        match self.rng.random_range(0..6) {
            0 | 1 => world.down(site).await,
            2 => world.restart(site).await,
            3 => world.up(site).await,
            _ => {
                let down = world.watch.down();
                if !down.is_empty() {
                    let site = down[self.rng.random_range(0..down.len())];
                    world.up(site).await;
                }
            }
        }
        self.push_within(20_000..300_000, Change::Command);
    }

    pub(crate) async fn reload(&mut self) {
        let world = Arc::clone(&self.world);
        let sites: Vec<_> = (0..3).map(|_| self.rng.random_range(0..world.plan.sites)).collect();
        let chance = self.rng.random_range(0..100_u16);
        match self.rng.random_range(0..5) {
            // another option of the tunnel
            0 => {
                for site in &sites {
                    world.watch.with_site(*site, |seen| {
                        seen.may.be_redialled = true;
                        seen.asked = Some(Instant::now());
                    });
                }
                world
                    .reload(|settings| {
                        for site in &sites {
                            if let Some(site) = settings.sites.get_mut(&name(*site)) {
                                let dial = site.dial.clone();
                                site.dial = dial.tunnel(|tunnel| tunnel.mru(1300 + chance));
                            }
                        }
                    })
                    .await;
            }
            1 => self.remove(sites.into_iter().collect()).await,
            // two ports are swapped
            2 => {
                let forwards = u64::try_from(world.plan.sites / 25).expect("a few");
                let mut site = || self.rng.random_range(0..forwards) * 25 + 1;
                let (one, other) = (site(), site());
                world.reload(|settings| swap_forwards(settings, one, other)).await;
            }
            // some are not to be dialled for a while
            3 => {
                let sites: BTreeSet<_> =
                    sites.into_iter().filter(|site| !is_disabled(*site)).collect();
                world.set_enabled(&sites, false).await;
                self.push_within(100..900_000, Change::Enable(sites));
            }
            // what no tunnel is touched for
            _ => {
                world
                    .reload(|settings| {
                        for site in &sites {
                            if let Some(site) = settings.sites.get_mut(&name(*site)) {
                                site.wait = Duration::from_secs(8 + u64::from(chance) % 3);
                            }
                        }
                    })
                    .await;
            }
        }
        self.push_within(120_000..1_200_000, Change::Reload);
    }

    pub(crate) async fn remove(&mut self, sites: BTreeSet<usize>) {
        let world = Arc::clone(&self.world);
        // a forward that is gone would only be missed by clients
        let is_plain = |site: &usize| site % 25 != 1 && site % 50 != 2;
        let sites: BTreeSet<_> = sites
            .into_iter()
            .filter(is_plain)
            .filter(|site| !self.removed.contains(site))
            .collect();
        for site in &sites {
            world.watch.with_site(*site, |seen| seen.may.be_removed = true);
        }
        world
            .reload(|settings| {
                settings.sites.retain(|name, _| !sites.contains(&number(name)));
            })
            .await;
        self.removed.extend(&sites);
        self.push_within(100..600_000, Change::Add(sites));
    }

    pub(crate) async fn add(&mut self, sites: &BTreeSet<usize>) {
        let world = Arc::clone(&self.world);
        for site in sites {
            self.removed.remove(site);
            world.watch.add(*site);
        }
        world
            .reload(|settings| {
                for site in sites {
                    settings.sites.insert(name(*site), world.plan.site(*site, &world.outside));
                }
            })
            .await;
    }
}

/// Swaps the forwards of two sites: the ports stay, and lead elsewhere
fn swap_forwards(settings: &mut Settings, one: u64, other: u64) {
    let name = |site: u64| name(usize::try_from(site).expect("a few"));
    let take = |settings: &mut Settings, site: u64| {
        settings.sites.get_mut(&name(site)).map(|site| std::mem::take(&mut site.forwards))
    };
    let (ones, others) = (take(settings, one), take(settings, other));
    for (site, forwards) in [(one, others), (other, ones)] {
        if let (Some(site), Some(forwards)) = (settings.sites.get_mut(&name(site)), forwards) {
            site.forwards = forwards;
        }
    }
}
