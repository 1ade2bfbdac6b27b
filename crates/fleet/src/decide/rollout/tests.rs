use std::fmt::Write;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Gives sites a state, one after the other
fn tell(rollout: &mut Rollout, now: Instant, sites: std::ops::Range<u32>, redial: Redial) {
    for site in sites {
        rollout.handle_site(now, SiteId(site), redial, site);
    }
}

/// Takes all outputs
fn outputs(rollout: &mut Rollout, now: Instant) -> (Option<Figures>, Vec<Step>) {
    let pause = rollout.poll_pause();
    (pause, std::iter::from_fn(|| rollout.poll_step(now)).collect())
}

/// A rollout of 40 sites of which ten are released: those with the lowest numbers
fn sample(now: Instant) -> Rollout {
    let mut rollout = Rollout::default();
    tell(&mut rollout, now, 0..40, Redial::Wanted);
    let (pause, steps) = outputs(&mut rollout, now);
    assert_eq!((pause, steps), (None, (0..10).map(|it| Step::Release(SiteId(it))).collect()));
    rollout
}

/// The same when the sample is up again
fn rolling(now: Instant) -> Rollout {
    let mut rollout = sample(now);
    tell(&mut rollout, now, 0..10, Redial::HungUp);
    assert_eq!(outputs(&mut rollout, now), (None, vec![]), "it waits for the sample");
    tell(&mut rollout, now, 0..8, Redial::Done);
    assert_eq!(rollout.stage, Stage::Rolling, "two of ten may fail");
    tell(&mut rollout, now, 8..10, Redial::Done);
    assert_eq!(outputs(&mut rollout, now).1.len(), 10);
    rollout
}

/// The same when nine of the sample were not up in time, and the tenth is under way
fn paused(now: Instant) -> Rollout {
    let ago = |time| now.checked_sub(time).unwrap();
    let mut rollout = sample(ago(MINUTE));
    tell(&mut rollout, ago(MINUTE), 0..9, Redial::HungUp);
    tell(&mut rollout, ago(MINUTE / 2), 9..10, Redial::HungUp);
    rollout.handle_timeout(now);
    let pause = Figures { redialled: 10, failed: 3, left: 30 };
    assert_eq!(outputs(&mut rollout, now), (Some(pause), vec![]));
    rollout
}

/// The states of the table: a name, the rollout, and the site that is looked at
fn states(now: Instant) -> Vec<(&'static str, Rollout, u32)> {
    let under_way = |mut rollout: Rollout, site: u32| {
        tell(&mut rollout, now, site..site + 1, Redial::HungUp);
        rollout
    };
    vec![
        ("no rollout", Rollout::default(), 0),
        ("sample, another site", sample(now), 99),
        ("sample, held", sample(now), 39),
        ("sample, released", sample(now), 0),
        ("sample, under way", under_way(sample(now), 0), 0),
        ("rolling, another site", rolling(now), 99),
        ("rolling, held", rolling(now), 39),
        ("rolling, released", rolling(now), 10),
        ("rolling, under way", under_way(rolling(now), 10), 10),
        ("paused, another site", paused(now), 99),
        ("paused, held", paused(now), 39),
        ("paused, under way", paused(now), 9),
    ]
}

type Input = (&'static str, fn(&mut Rollout, Instant, SiteId));

/// The inputs of the table
const INPUTS: [Input; 8] = [
    ("wanted", |it, now, site| it.handle_site(now, site, Redial::Wanted, 50)),
    ("hung up", |it, now, site| it.handle_site(now, site, Redial::HungUp, 50)),
    ("dialling", |it, now, site| it.handle_site(now, site, Redial::Dialling, 50)),
    ("done", |it, now, site| it.handle_site(now, site, Redial::Done, 50)),
    ("off", |it, now, site| it.handle_site(now, site, Redial::Off, 50)),
    ("a minute later", |it, now, _| it.handle_timeout(now + MINUTE)),
    ("a plan", |it, _, _| _ = it.handle_plan()),
    ("go on", |it, _, _| _ = it.handle_continue()),
];

/// What is known of a rollout, and where a site is, in a few words
fn text(rollout: &Rollout, site: u32) -> String {
    let place = match rollout.places.get(&SiteId(site)) {
        None => "not in it",
        Some(Place::Held(_)) => "held",
        Some(Place::Released { .. }) => "released",
        Some(Place::UnderWay { .. }) => "under way",
    };
    let Rollout { stage, redialled, failed, .. } = rollout;
    let stage = format!("{stage:?}").to_lowercase();
    format!("{stage}, {place}; {redialled} redialled, {failed} failed, {} left", rollout.left())
}

/// The table as text: for each state the inputs that change something, with what they lead to
fn table() -> String {
    let now = start();
    let mut text_of_all = String::new();
    for (at, (name, rollout, site)) in states(now).into_iter().enumerate() {
        let before = text(&rollout, site);
        writeln!(text_of_all, "{name} ({before})").unwrap();
        let mut unchanged = Vec::new();
        for (input, give) in INPUTS {
            let mut rollout = states(now).swap_remove(at).1;
            give(&mut rollout, now, SiteId(site));
            let later = if input == "a minute later" { now + MINUTE } else { now };
            let at_once = text(&rollout, site);
            let (pause, steps) = outputs(&mut rollout, later);
            if at_once == before && pause.is_none() && steps.is_empty() {
                unchanged.push(input);
                continue;
            }
            let count = |holds: bool| {
                steps.iter().filter(|step| matches!(step, Step::Hold(_)) == holds).count()
            };
            let (held, released) = (count(true), count(false));
            let paused = if pause.is_some() { ", tells a pause" } else { "" };
            writeln!(
                text_of_all,
                "    {input:16} {at_once:60} {held} held, {released} released{paused}"
            )
            .unwrap();
        }
        writeln!(text_of_all, "    nothing at: {}", unchanged.join(", ")).unwrap();
    }
    text_of_all
}

#[test]
fn each_cell_of_the_table_is_as_written() {
    let table = table();
    assert!(table == include_str!("table.txt"), "the table is now:\n{table}");
}

#[test]
fn a_tunnel_is_in_one_state_for_each_phase() {
    let now = start();
    let up = |redials| Phase::Up { since: now, is_renegotiating: false, redials, last_use: now };
    let hanging_up = |why| Phase::HangingUp { why, then: super::super::phase::Then::Rest };
    let redials = [
        (up(true), Redial::Wanted),
        (up(false), Redial::Done),
        (hanging_up(HangUp::Config), Redial::HungUp),
        (hanging_up(HangUp::Failed), Redial::Dialling),
        (hanging_up(HangUp::Restart), Redial::Dialling),
        (hanging_up(HangUp::Idle), Redial::Off),
        (hanging_up(HangUp::Down), Redial::Off),
        (hanging_up(HangUp::Removed), Redial::Off),
        (hanging_up(HangUp::ShutDown), Redial::Off),
        (Phase::Dialling, Redial::Dialling),
        (Phase::Resting, Redial::Off),
        (Phase::Gone, Redial::Off),
    ];
    for (phase, redial) in redials {
        assert_eq!(Redial::of(&phase), redial, "{phase:?}");
    }
}

#[test]
fn two_of_ten_may_fail_and_three_may_not() {
    for (fail, pauses) in [(0, false), (2, false), (3, true), (10, true)] {
        let now = start();
        let mut rollout = sample(now);
        tell(&mut rollout, now, 0..10, Redial::HungUp);
        tell(&mut rollout, now, fail..10, Redial::Done);
        rollout.handle_timeout(now + MINUTE);
        assert_eq!(rollout.is_paused(), pauses, "{fail} fail");
    }
}

/// A server that is down holds up its own sites
#[test]
fn a_site_that_waits_for_the_scheduler_for_a_minute_lets_others_go_first() {
    let now = start();
    let mut rollout = sample(now);
    assert_eq!(rollout.poll_timeout(), Some(now + MINUTE));
    let (pause, steps) = outputs(&mut rollout, now + MINUTE);
    assert_eq!(pause, None);
    let steps_of = |of: std::ops::Range<u32>, step: fn(SiteId) -> Step| {
        of.map(SiteId).map(step).collect::<Vec<_>>()
    };
    assert_eq!(steps, [steps_of(0..10, Step::Hold), steps_of(10..20, Step::Release)].concat());
    let steps = outputs(&mut rollout, now + MINUTE * 2).1;
    assert_eq!(steps[10..], steps_of(20..30, Step::Release));
    outputs(&mut rollout, now + MINUTE * 3);
    let steps = outputs(&mut rollout, now + MINUTE * 4).1;
    assert_eq!(steps[10..], steps_of(0..10, Step::Release), "and it is their turn again");
}

#[test]
fn at_full_speed_no_more_are_under_way_than_a_fifth() {
    let now = start();
    let mut rollout = Rollout::default();
    tell(&mut rollout, now, 0..1000, Redial::Wanted);
    let (mut rounds, mut done) = (0, 0);
    while done < 1000 {
        let steps = outputs(&mut rollout, now).1;
        let most = rollout.redialled / SHARE;
        assert!(steps.len() <= most.max(SAMPLE), "{} after {}", steps.len(), rollout.redialled);
        for step in steps {
            let Step::Release(SiteId(site)) = step else { panic!("{step:?}") };
            tell(&mut rollout, now, site..site + 1, Redial::HungUp);
            tell(&mut rollout, now, site..site + 1, Redial::Dialling);
            tell(&mut rollout, now, site..site + 1, Redial::Done);
            done += 1;
        }
        rounds += 1;
    }
    assert!(rounds <= 30, "{rounds} rounds");
    assert!(rollout.table_sizes().iter().all(|(_, size)| *size == 0));
}

/// The sites around a rollout, and the scheduler
struct World {
    rng: StdRng,
    now: Instant,
    rollout: Rollout,
    sites: Vec<State>,
    /// The sites that the scheduler may grant a redial
    wishes: BTreeSet<SiteId>,
    /// So many of ten redials fail
    fails_of_ten: u32,
    /// Hung up since the rollout began last
    hung_up: usize,
    pauses: usize,
}

/// A site
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Wanted,
    Done,
    /// It is up at this time
    Dialling(Instant),
    Off,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let size = rng.random_range(1..150);
        let fails_of_ten = [0, 1, 3, 10][rng.random_range(0..4)];
        Self {
            rng,
            now: start(),
            rollout: Rollout::default(),
            sites: vec![State::Done; size],
            wishes: BTreeSet::new(),
            fails_of_ten,
            hung_up: 0,
            pauses: 0,
        }
    }

    fn set(&mut self, site: usize, state: State) {
        self.sites[site] = state;
        let redial = match state {
            State::Wanted => Redial::Wanted,
            State::Done => Redial::Done,
            State::Dialling(_) => Redial::Dialling,
            State::Off => Redial::Off,
        };
        let site = SiteId(u32::try_from(site).unwrap());
        if state != State::Wanted {
            // its machine takes the wish back
            self.wishes.remove(&site);
        }
        self.rollout.handle_site(self.now, site, redial, self.rng.random());
    }

    /// One thing that happens
    fn step(&mut self) {
        let site = self.rng.random_range(0..self.sites.len());
        match (self.rng.random_range(0..200), self.sites[site]) {
            (0, _) => self.plan(),
            (1, _) => self.go_on(),
            (2..4, _) => self.set(site, State::Off),
            // it ends by itself, or is wanted again
            (4..8, State::Wanted | State::Done) | (_, State::Off) => self.dial(site),
            // somebody sets it
            (8..20, State::Done) => self.set(site, State::Wanted),
            (20..22, State::Wanted) => self.set(site, State::Done),
            _ => {}
        }
    }

    /// Another configuration of most sites
    fn plan(&mut self) {
        for site in 0..self.sites.len() {
            if self.sites[site] == State::Done && self.rng.random_bool(0.8) {
                self.set(site, State::Wanted);
            }
        }
        self.rollout.handle_plan();
        self.hung_up = 0;
    }

    fn go_on(&mut self) {
        if self.rollout.handle_continue().is_some() {
            self.hung_up = 0;
        }
    }

    fn dial(&mut self, site: usize) {
        let fails = self.rng.random_range(0..10) < self.fails_of_ten;
        let seconds = if fails { 60..600 } else { 0..20 };
        let takes = Duration::from_secs(self.rng.random_range(seconds));
        self.set(site, State::Dialling(self.now + takes));
    }

    /// Lets the rollout and the scheduler act
    fn turn(&mut self) {
        let now = self.now;
        for site in 0..self.sites.len() {
            if matches!(self.sites[site], State::Dialling(at) if at <= now) {
                self.set(site, State::Done);
            }
        }
        self.rollout.handle_timeout(now);
        let was_paused = self.rollout.is_paused();
        if let Some(Figures { redialled, failed, left }) = self.rollout.poll_pause() {
            assert!(was_paused, "a pause that is none");
            assert!(failed * SHARE > redialled && left > 0, "{failed} of {redialled}, {left} left");
            self.pauses += 1;
        }
        while let Some(step) = self.rollout.poll_step(now) {
            match step {
                Step::Release(site) => assert!(self.wishes.insert(site), "{site:?} twice"),
                Step::Hold(site) => _ = self.wishes.remove(&site),
            }
        }
        while self.rng.random_bool(0.7)
            && let Some(site) = self.wishes.pop_first()
        {
            self.grant(site);
        }
        self.check();
    }

    fn grant(&mut self, site: SiteId) {
        let index = site.0 as usize;
        assert_eq!(self.sites[index], State::Wanted, "{site:?}");
        assert!(!self.rollout.is_paused(), "{site:?} is hung up in a pause");
        self.rollout.handle_site(self.now, site, Redial::HungUp, 0);
        self.hung_up += 1;
        let sizes: HashMap<_, _> = self.rollout.table_sizes().into_iter().collect();
        let most = (self.rollout.redialled / SHARE).max(SAMPLE);
        assert!(sizes["under way"] <= most, "{sizes:?} of {}", self.rollout.redialled);
        self.dial(index);
    }

    /// No site that waits is forgotten, and none that does not is known
    fn check(&self) {
        for (site, state) in (0..).map(SiteId).zip(&self.sites) {
            let waits = self.rollout.is_held(site) || self.rollout.is_released(site);
            assert_eq!(waits, *state == State::Wanted, "{site:?}: {state:?}");
        }
        let sizes: HashMap<_, _> = self.rollout.table_sizes().into_iter().collect();
        let sum = sizes["held"] + sizes["released"] + sizes["under way"];
        assert_eq!(sum, sizes["places"]);
        let timeout = self.rollout.poll_timeout();
        assert!(timeout.is_none_or(|at| at > self.now), "it spins");
        let waits_for_nothing =
            self.rollout.left() > 0 && timeout.is_none() && sizes["released"] == 0;
        assert!(!waits_for_nothing || self.rollout.is_paused(), "{:?}", self.rollout);
    }

    fn is_done(&self) -> bool {
        self.rollout.table_sizes().iter().all(|(_, size)| *size == 0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn at_random_nothing_is_hung_up_in_a_pause_and_no_site_is_forgotten(seed: u64) {
        let mut world = World::new(seed);
        world.plan();
        for _ in 0..400 {
            for _ in 0..world.rng.random_range(0..10) {
                world.step();
            }
            world.now += Duration::from_millis(world.rng.random_range(0..5000));
            world.turn();
        }
        // all is well again, and somebody has it go on whenever it pauses
        world.fails_of_ten = 0;
        for _ in 0..2000 {
            world.go_on();
            world.now += Duration::from_secs(1);
            world.turn();
            if world.is_done() {
                break;
            }
        }
        prop_assert!(world.is_done(), "{:?}", world.rollout);
        prop_assert!(world.sites.iter().all(|it| *it != State::Wanted));
    }

    #[test]
    fn at_random_a_bad_configuration_ends_no_more_than_ten_tunnels(seed: u64) {
        let mut world = World::new(seed);
        world.fails_of_ten = 10;
        world.plan();
        for _ in 0..200 {
            world.now += Duration::from_secs(1);
            world.turn();
            prop_assert!(world.hung_up <= SAMPLE, "{}", world.hung_up);
        }
        let wanted = world.sites.iter().filter(|it| **it == State::Wanted).count();
        prop_assert_eq!(world.pauses, usize::from(wanted > 0), "{} left", wanted);
    }
}
