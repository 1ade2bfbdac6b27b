//! What befalls servers: crashes, power cuts, the farm, RADIUS, names that move

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use tokio::time::Instant;

use crate::{
    plan::{Plan, host_name, outer},
    weather::{AFTERMATH, Change, Weather},
};

impl Weather {
    /// Something befalls a server
    pub(crate) fn fault(&mut self) {
        let world = Arc::clone(&self.world);
        self.push_within(60_000..900_000, Change::Fault);
        let Some(server) = self.victim() else { return };
        let time = Duration::from_secs(self.rng.random_range(5..1800));
        self.begin_trouble(server);
        let building = &world.buildings[server];
        match self.rng.random_range(0..5) {
            0 => building.power_off(),
            1 => building.hang_up_all(),
            // it accepts connections and says nothing; the tunnels that it has go on, or not
            2 => world.outside.set_silent(outer(server), true),
            3 => {
                building.power_off();
                world.outside.set_silent(outer(server), true);
            }
            _ => {}
        }
        // one that is restarted alone is there at once
        let time = if self.rng.random_bool(0.3) { Duration::ZERO } else { time };
        self.push(time, Change::Restarted(server));
    }

    /// A server to which something may happen
    fn victim(&mut self) -> Option<usize> {
        let plan = self.world.plan;
        let server = self.rng.random_range(0..plan.farm().start);
        let is_left_alone = plan.is_calm(server) || plan.is_silent(server);
        (!is_left_alone && !self.busy.contains(&server)).then_some(server)
    }

    fn begin_trouble(&mut self, server: usize) {
        self.busy.insert(server);
        self.world.watch.disturb(server, Instant::now() + Duration::from_hours(48));
    }

    pub(crate) fn calm_down(&mut self, server: usize) {
        self.busy.remove(&server);
        self.world.watch.disturb(server, Instant::now() + AFTERMATH);
    }

    /// Returns true if something has befallen a server lately
    pub(crate) fn is_touched(&self, server: usize) -> bool {
        let hour = Duration::from_hours(1);
        let until = self.world.watch.lock().servers[server].disturbed_until;
        self.busy.contains(&server) || until + hour > Instant::now()
    }

    pub(crate) async fn farm(&mut self, is_there: bool) {
        let world = Arc::clone(&self.world);
        for server in world.plan.farm() {
            if is_there {
                world.buildings[server].restart().await;
                self.calm_down(server);
            } else {
                self.begin_trouble(server);
                world.buildings[server].power_off();
            }
        }
    }

    /// Logins that are right are refused for ten minutes, and the sessions of some servers end
    pub(crate) fn radius(&mut self, is_there: bool) {
        let world = Arc::clone(&self.world);
        let servers = (0..world.plan.farm().start).filter(|it| it % 5 == 4);
        let servers: Vec<_> = servers.filter(|it| !world.plan.is_calm(*it)).collect();
        for server in servers {
            if is_there {
                world.buildings[server].accept_logins();
                world.watch.disturb(server, Instant::now() + AFTERMATH);
            } else {
                world.watch.disturb(server, Instant::now() + Duration::from_mins(10) + AFTERMATH);
                world.buildings[server].refuse_logins();
                world.buildings[server].hang_up_all();
            }
        }
        if !is_there {
            self.push(Duration::from_mins(10), Change::Radius(true));
        }
    }

    /// The name of a server leads to another one, and the server forgets its sessions
    pub(crate) async fn move_name(&mut self) {
        let world = Arc::clone(&self.world);
        let (Some(from), Some(to)) = (self.victim_with_name(), self.victim()) else { return };
        // one that has moved already has its sites elsewhere
        let is_moved =
            world.outside.names.lock().unwrap().get(&host_name(from)) != Some(&outer(from));
        if from == to || is_moved {
            return;
        }
        let sites = world.plan.sites_of(from);
        world.buildings[to].add_accounts(sites.clone());
        world.watch.move_sites(sites, to);
        world.outside.names.lock().unwrap().insert(host_name(from), outer(to));
        self.begin_trouble(from);
        world.buildings[from].restart().await;
        self.calm_down(from);
        world.watch.count("names moved");
    }

    fn victim_with_name(&mut self) -> Option<usize> {
        let all: Vec<_> =
            (0..self.world.plan.farm().start).filter(|it| Plan::has_name(*it)).collect();
        let server = all[self.rng.random_range(0..all.len())];
        let plan = self.world.plan;
        let is_left_alone = plan.is_calm(server) || plan.is_silent(server);
        (!is_left_alone && !self.busy.contains(&server)).then_some(server)
    }
}
