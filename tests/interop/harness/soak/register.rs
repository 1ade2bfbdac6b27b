use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::Failed;
use pptp::{
    Reachability, TunnelError,
    config::EchoPolicy,
    error::{LinkFailure, NothingPasses},
};
use tokio::time::{Instant, sleep};

use super::soak_tunnel::{SoakTunnel, TUNNELS};
use crate::end::detection;
use crate::lab::Building;
use crate::trial::Outcome;

/// The time for which a building is left alone between two faults: longer than each interval between two
/// Echo-Requests, so that one of them is answered
pub(super) const CALM: Duration = Duration::from_secs(10);

/// What really happened, and what the tunnels made of it
#[derive(Debug)]
pub(super) struct Register(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    outages: Vec<Outage>,
    /// Buildings to which somebody lets something happen, so that nobody else does
    claimed: Vec<Building>,
    /// How often each kind of fault was injected
    faults: BTreeMap<&'static str, u32>,
    /// How many tunnels are up, building by building
    up: BTreeMap<Building, usize>,
    tunnel_time: Duration,
    dials_failed: u32,
    transfers: u32,
    pings: (u32, u32),
    asked_dead_host: u32,
    /// Tunnels by how their path was proven, when they ended or the run did
    reachability: BTreeMap<String, u32>,
    found: Vec<Found>,
    excused: Vec<String>,
    /// Ended by what its server did to the keys when it was slow to answer
    mistaken: u32,
    wrong: Vec<String>,
}

/// A time in which a building could not be reached
#[derive(Debug)]
struct Outage {
    building: Building,
    began: Instant,
    ended: Option<Instant>,
    on_purpose: bool,
}

/// A tunnel to a building that was cut off for good, and how long it took to see that
#[derive(Debug, Clone, Copy)]
struct Found {
    after: Duration,
    documented: Duration,
}

impl Register {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// A fault of this kind is injected
    pub(super) fn fault(&self, kind: &'static str) {
        *self.entries().faults.entry(kind).or_default() += 1;
    }

    /// `buildings` cannot be reached from now on; called just before that is so
    pub(super) fn cut_off(&self, buildings: &[Building], on_purpose: bool) {
        let began = Instant::now();
        let outage = |&building| Outage { building, began, ended: None, on_purpose };
        self.entries().outages.extend(buildings.iter().map(outage));
    }

    /// `buildings` can be reached again; called just after that is so
    pub(super) fn reachable(&self, buildings: &[Building]) {
        let mut entries = self.entries();
        let open = entries.outages.iter_mut().filter(|outage| outage.ended.is_none());
        let theirs = open.filter(|outage| buildings.contains(&outage.building));
        theirs.for_each(|outage| outage.ended = Some(Instant::now()));
    }

    /// Take `building` for faults of one's own, unless somebody else has it or it is out of reach, or was until
    /// a moment ago
    pub(super) fn claim(&self, building: Building) -> bool {
        let mut entries = self.entries();
        let theirs = entries.outages.iter().filter(|outage| outage.building == building);
        let is_calm = |ended: Instant| ended.elapsed() >= CALM;
        let is_free = theirs.map(|outage| outage.ended).all(|ended| ended.is_some_and(is_calm))
            && !entries.claimed.contains(&building);
        if is_free {
            entries.claimed.push(building);
        }
        is_free
    }

    /// Give `building` back.
    pub(super) fn give_back(&self, building: Building) {
        self.entries().claimed.retain(|it| *it != building);
    }

    /// Those that can be reached as far as anybody knows
    pub(super) fn in_reach(&self) -> Vec<Building> {
        let entries = self.entries();
        let open = |building: &Building| {
            entries.outages.iter().any(|it| it.building == *building && it.ended.is_none())
        };
        Building::ALL.into_iter().filter(|building| !open(building)).collect()
    }

    pub(super) fn came_up(&self, tunnel: &SoakTunnel) {
        *self.entries().up.entry(tunnel.building).or_default() += 1;
    }

    /// The tunnel was up for so long, and is not any more
    pub(super) fn went(&self, tunnel: &SoakTunnel, after: Duration) {
        let mut entries = self.entries();
        *entries.up.entry(tunnel.building).or_default() -= 1;
        entries.tunnel_time += after;
    }

    /// A tunnel says that it has ended by itself; returns whether that is true
    pub(super) fn declared_dead(
        &self,
        tunnel: &SoakTunnel,
        reason: &TunnelError,
        reachability: Reachability,
    ) -> bool {
        let now = Instant::now();
        let documented = documented(tunnel.policy);
        let mut entries = self.entries();
        let (unreachable, on_purpose) = entries.unreachable(tunnel.building, documented, now);
        let told = format!("{}: {reason}, after {unreachable:.1?} of silence", tunnel.name());
        println!("  {told}");
        if is_mistaken(reason, reachability) {
            entries.mistaken += 1;
        } else if unreachable < detection(tunnel.policy).start {
            entries.wrong.push(told);
            return false;
        } else if on_purpose {
            entries.found.push(Found { after: unreachable, documented });
        } else {
            entries.excused.push(told);
        }
        true
    }

    /// When `building` was out of reach, counted back from now
    pub(super) fn outages(&self, building: Building) -> String {
        let entries = self.entries();
        let theirs = entries.outages.iter().filter(|outage| outage.building == building);
        theirs.map(Outage::told).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn broken(&self, told: String) {
        println!("  {told}");
        self.entries().wrong.push(told);
    }

    pub(super) fn dial_failed(&self, told: &str) {
        println!("  {told}");
        self.entries().dials_failed += 1;
    }

    pub(super) fn transferred(&self) {
        self.entries().transfers += 1;
    }

    pub(super) fn asked_dead_host(&self) {
        self.entries().asked_dead_host += 1;
    }

    /// How the path of a tunnel was proven in its life
    pub(super) fn proven(&self, reachability: Reachability) {
        *self.entries().reachability.entry(format!("{reachability:?}")).or_default() += 1;
    }

    pub(super) fn pinged(&self, was_answered: bool) {
        let (sent, answered) = &mut self.entries().pings;
        *sent += 1;
        *answered += u32::from(was_answered);
    }

    /// How many tunnels to `building` are up
    pub(super) fn up(&self, building: Building) -> usize {
        self.entries().up.get(&building).copied().unwrap_or_default()
    }

    /// Wait until all tunnels are up; an error after `limit`.
    pub(super) async fn all_are_up(&self, limit: Duration) -> Outcome {
        self.are_up(&Building::ALL, limit).await
    }

    /// Wait until all tunnels to `buildings` are up; an error after `limit`.
    pub(super) async fn are_up(&self, buildings: &[Building], limit: Duration) -> Outcome {
        let deadline = Instant::now() + limit;
        let missing = || buildings.iter().find(|building| self.up(**building) < TUNNELS);
        while let Some(building) = missing() {
            if Instant::now() > deadline {
                let (number, up) = (building.number(), self.up(*building));
                return Err(Failed::from(format!("building {number} has {up} tunnels only")));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// All of it in one line
    pub(super) fn summary(&self, took: Duration) -> String {
        let entries = self.entries();
        let latest = entries.found.iter().max_by_key(|found| found.after);
        let latest = latest.map_or_else(String::new, |found| {
            format!(", the latest after {:.1?} of {:?} documented", found.after, found.documented)
        });
        let kinds: Vec<_> = entries.faults.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        format!(
            "{:.1} min: {:.0} tunnel-minutes, {} faults ({}), {} false deaths, {} true deaths found{latest}; \
             {} outages too long by this machine's fault, {} ended with the keys of a server that mistook them, \
             {} transfers whole, {} of {} pings answered, {} questions to dead hosts, {} dials failed; tunnels: {:?}",
            took.as_secs_f64() / 60.0,
            entries.tunnel_time.as_secs_f64() / 60.0,
            entries.faults.values().sum::<u32>(),
            kinds.join(", "),
            entries.wrong.len(),
            entries.found.len(),
            entries.excused.len(),
            entries.mistaken,
            entries.transfers,
            entries.pings.1,
            entries.pings.0,
            entries.asked_dead_host,
            entries.dials_failed,
            entries.reachability,
        )
    }

    /// An error if a detector was wrong or late, if none had anything to find, or if a transfer broke
    pub(super) fn verdict(&self) -> Outcome {
        let entries = self.entries();
        let late = entries.found.iter().filter(|found| found.after > found.documented * 2).count();
        if entries.wrong.is_empty() && late == 0 && !entries.found.is_empty() {
            return Ok(());
        }
        let found = entries.found.len();
        Err(format!("{late} of {found} deaths found late; wrong: {:#?}", entries.wrong).into())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outage {
    fn told(&self) -> String {
        let ago = |then: Instant| format!("{:.1} s ago", then.elapsed().as_secs_f64());
        let ended = self.ended.map_or_else(|| "now".to_owned(), ago);
        let purpose = if self.on_purpose { ", on purpose" } else { "" };
        format!("from {} until {ended}{purpose}", ago(self.began))
    }
}

impl Entries {
    /// How long `building` was out of reach without a break, lately, and whether for good
    fn unreachable(&self, building: Building, lately: Duration, now: Instant) -> (Duration, bool) {
        let theirs = self.outages.iter().filter(|outage| outage.building == building);
        let longest = theirs
            .filter(|outage| outage.ended.is_none_or(|ended| now - ended < lately))
            .map(|outage| (outage.ended.unwrap_or(now) - outage.began, outage.on_purpose))
            .max();
        longest.unwrap_or_default()
    }
}

/// Whether a server that was slow to answer has mistaken the keys: it says so, and nothing ever passed
fn is_mistaken(reason: &TunnelError, reachability: Reachability) -> bool {
    let is_told = matches!(
        reason.failure.link(),
        Some(LinkFailure::NothingPasses(NothingPasses::NotOpened { .. }))
    );
    let is_proven = matches!(reachability, Reachability::Proven(_));
    reason.name() == "WrongKey" || is_told && !is_proven
}

/// How long after the last frame a silent peer is declared dead
fn documented(policy: EchoPolicy) -> Duration {
    policy.silence + policy.interval * u32::from(policy.unanswered)
}
