//! The promises of a fleet, checked at each step

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use super::fleet::{Keeper, Site};
use crate::{
    Connect,
    decide::{
        dial::{DialLimits, SiteId},
        ledger::{MAX_IN_DAY, MAX_IN_WINDOW, WINDOW},
        phase::{HangUp, Phase},
    },
};

/// What the checks remember
#[derive(Debug)]
pub(super) struct Checks {
    seed: u64,
    limits: DialLimits,
    /// The times of the latest dials
    dials: VecDeque<Instant>,
    /// The refusals of each login since it was accepted: server's name, user, password
    refused: BTreeMap<(String, String, u8), VecDeque<Instant>>,
    pub(super) ups: u64,
    pub(super) pauses: u64,
}

/// What a site has promised, and what it may do
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// A person wants it down
    pub(super) is_down: bool,
    /// Its owner has removed it
    pub(super) is_removed: bool,
    /// A person has asked for a restart
    pub(super) restarts: bool,
    /// No dial before this time, unless somebody asks; and if clients may shorten it
    pub(super) pause: Option<(Instant, bool)>,
    /// The latest time at which a client shortened a pause
    hurried: Option<Instant>,
}

impl Promises {
    /// Notes that an owner or a person did something by which pauses end
    pub(super) const fn asked(&mut self) {
        self.pause = None;
    }

    /// Notes that a client shortened the pause; its dial may have to wait for a hang-up and for others
    pub(super) fn hurry(&mut self, now: Instant, seed: u64) {
        let recent = self.hurried.is_some_and(|at| now.saturating_duration_since(at) < HURRY);
        let pause = self.pause.take().filter(|(until, _)| *until > now);
        let may_hurry = pause.is_none_or(|(_, may_hurry)| may_hurry && !recent);
        assert!(may_hurry, "seed {seed}: a client shortens a pause that it may not");
        self.hurried = Some(now);
    }
}

impl Checks {
    pub(super) const fn new(seed: u64, limits: DialLimits) -> Self {
        let dials = VecDeque::new();
        Self { seed, limits, dials, refused: BTreeMap::new(), ups: 0, pauses: 0 }
    }

    /// A new process knows nothing of the refusals before
    pub(super) fn forget(&mut self) {
        self.refused.clear();
        self.dials.clear();
    }

    pub(super) fn dial(&mut self, now: Instant, id: SiteId, site: &mut Site, others: &[&Site]) {
        let seed = self.seed;
        assert!(site.keeper.is_none(), "seed {seed}: a dial of {id:?} beside its own");
        let is_twin = |other: &&Site| {
            other.config.server == site.config.server
                && other.config.user == site.config.user
                && !other.config.shares_login
                && !site.config.shares_login
        };
        let occupies = |keeper: &Keeper| !keeper.is_up || keeper.is_over;
        let mut busy = others.iter().filter(|other| other.keeper.as_ref().is_some_and(occupies));
        assert!(!busy.any(is_twin), "seed {seed}: {id:?} is dialled beside its twin");
        let promises = &mut site.promises;
        assert!(!promises.is_down, "seed {seed}: {id:?} is to be down");
        assert!(!promises.is_removed, "seed {seed}: {id:?} was removed");
        assert!(site.config.is_enabled, "seed {seed}: {id:?} is disabled");
        if let Some((until, _)) = promises.pause.take().filter(|(until, _)| *until > now) {
            let left = until - now;
            panic!("seed {seed}: {id:?} is dialled {left:?} too early");
        }
        self.rate(now);
    }

    fn rate(&mut self, now: Instant) {
        self.dials.push_back(now);
        let span = self.limits.burst as usize + 50;
        if self.dials.len() > span {
            self.dials.pop_front();
        }
        for beyond in [1, 10, 50] {
            let count = self.limits.burst as usize + beyond;
            let Some(at) = self.dials.len().checked_sub(count) else { continue };
            let took = now.saturating_duration_since(self.dials[at]);
            let least = self.limits.interval * u32::try_from(beyond).expect("a few");
            assert!(took >= least, "seed {}: {count} dials within {took:?}", self.seed);
        }
    }

    pub(super) fn refused(&mut self, now: Instant, login: &(String, String, u8)) {
        let seed = self.seed;
        let times = self.refused.entry(login.clone()).or_default();
        times.push_back(now);
        if times.len() > MAX_IN_DAY + 1 {
            times.pop_front();
        }
        for (most, span) in [(MAX_IN_WINDOW, WINDOW), (MAX_IN_DAY, Duration::from_hours(24))] {
            let before = times.len().checked_sub(most + 1).map(|at| times[at]);
            let is_dense = before.is_some_and(|at| now.saturating_duration_since(at) < span);
            assert!(!is_dense, "seed {seed}: {login:?} was refused too often in {span:?}");
        }
    }

    pub(super) fn accepted(&mut self, login: &(String, String, u8)) {
        self.refused.remove(login);
        self.ups += 1;
    }

    /// A tunnel or a dial is hung up on this side
    pub(super) fn hang_up(&self, now: Instant, id: SiteId, site: &mut Site) {
        let Phase::HangingUp { why, .. } = site.machine.phase() else {
            panic!("seed {}: {id:?} is hung up in {:?}", self.seed, site.machine.phase());
        };
        let keeper = site.keeper.as_ref().expect("something to hang up");
        let promises = &mut site.promises;
        let is_right = match why {
            HangUp::Down => promises.is_down || !site.config.is_enabled,
            HangUp::Removed => promises.is_removed,
            HangUp::Restart => std::mem::take(&mut promises.restarts),
            HangUp::Config => keeper.config.difference(&site.config).reach == crate::Reach::Tunnel,
            HangUp::Idle => match site.config.connect {
                Connect::OnDemand { idle } => now.saturating_duration_since(site.last_use) >= idle,
                Connect::Always | Connect::Manual => false,
            },
            HangUp::Failed | HangUp::ShutDown => false,
        };
        assert!(is_right, "seed {}: {id:?} is hung up without a reason: {why:?}", self.seed);
    }

    /// A site that is to be up has a deadline, a wish or a dial
    pub(super) fn site(&self, now: Instant, id: SiteId, site: &Site, wishes: &BTreeSet<SiteId>) {
        let seed = self.seed;
        let phase = site.machine.phase();
        let is_hung_up = |keeper: &Keeper| keeper.is_over;
        if site.promises.is_down || site.promises.is_removed {
            let rests = site.keeper.as_ref().is_none_or(is_hung_up);
            assert!(rests, "seed {seed}: {id:?} is to be down, and {phase:?}");
            return;
        }
        if site.config.connect != Connect::Always || !site.config.is_enabled {
            return;
        }
        // one that is due now strikes next
        let has_deadline = site.machine.poll_timeout().is_some_and(|at| at >= now);
        let has_dial = site.keeper.is_some();
        let has_wish = wishes.contains(&id);
        assert!(
            has_deadline || has_dial || has_wish,
            "seed {seed}: {id:?} is to be up, and nothing is to happen: {phase:?}"
        );
        if let Phase::Up { redials: true, .. } = phase {
            assert!(has_wish || has_deadline, "seed {seed}: {id:?} is never redialled");
        }
    }
}

/// Clients shorten the pauses of a site this often at most
const HURRY: Duration = Duration::from_secs(10);
