use std::fmt::Write;

use pptp::{
    TunnelError,
    error::{Failure, LinkFailure, TunnelFailure},
    info::ConnectTimeline,
};
use proptest::prelude::*;

use super::*;

const IDLE: Duration = Duration::from_mins(10);
const PATIENCE: Duration = Duration::from_secs(10);
const ON_DEMAND: Connect = Connect::OnDemand { idle: IDLE };

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn person() -> Caller {
    Caller("a person".to_owned())
}

/// A failure of class host, whose first pause is two seconds
fn no_secret() -> SiteFailure {
    SiteFailure::Secret { source: "a file".to_owned(), error: "not there".to_owned() }
}

fn tunnel_failure(failure: impl Into<Failure>, now: Instant) -> SiteFailure {
    TunnelError::new(failure, ConnectTimeline::new(now)).into()
}

/// A failure of class network, whose first pause is a second
fn lost(now: Instant) -> SiteFailure {
    let limit = Duration::from_secs(30);
    tunnel_failure(Failure::Tunnel(TunnelFailure::ConnectTimeout { limit }), now)
}

/// A failure that no dial can change
fn invalid(now: Instant) -> SiteFailure {
    tunnel_failure(Failure::InvalidServer { server: "a b".to_owned() }, now)
}

/// The states of the table, by a name and the inputs that lead there
fn states(now: Instant) -> Vec<(&'static str, SiteMachine)> {
    let fresh = |connect| SiteMachine::new(connect, true, true);
    let mut states = vec![("idle", fresh(ON_DEMAND))];
    let mut add = |name, connect: Connect, inputs: &[fn(&mut SiteMachine, Instant)]| {
        let mut machine = fresh(connect);
        for input in inputs {
            input(&mut machine, now);
        }
        machine.actions.clear();
        states.push((name, machine));
    };
    let fetch: fn(&mut SiteMachine, Instant) = |it, now| _ = it.handle_grant(now);
    let secret: fn(&mut SiteMachine, Instant) = |it, now| it.handle_secret(now, Ok(()), 0.0);
    let up: fn(&mut SiteMachine, Instant) = SiteMachine::handle_tunnel_up;
    let lose: fn(&mut SiteMachine, Instant) = |it, now| it.handle_ended(now, lost(now), false, 0.0);
    let left: fn(&mut SiteMachine, Instant) = SiteMachine::handle_left;
    let down: fn(&mut SiteMachine, Instant) = |it, _| it.handle_down(person());
    let change: fn(&mut SiteMachine, Instant) =
        |it, now| it.handle_config(now, (it.connect, true, true), Reach::Tunnel);
    let always = Connect::Always;
    add("manual", Connect::Manual, &[]);
    add("down", always, &[down]);
    add(
        "disabled",
        always,
        &[|it, now| {
            it.handle_config(now, (Connect::Always, false, true), Reach::Nothing);
        }],
    );
    add("queued", always, &[]);
    add("fetching", always, &[fetch]);
    add("dialling", always, &[fetch, secret, fetch]);
    add("up", always, &[fetch, secret, fetch, up]);
    add(
        "up on demand",
        ON_DEMAND,
        &[|it, now| _ = it.handle_client(now, PATIENCE), fetch, secret, fetch, up],
    );
    add("up, to be redialled", always, &[fetch, secret, fetch, up, change]);
    add("hanging up, down", always, &[fetch, secret, fetch, up, down]);
    add("hanging up, failed", always, &[fetch, secret, fetch, lose]);
    add("hanging up, removed", always, &[fetch, secret, fetch, up, |it, _| it.handle_remove()]);
    add("hanging up, shut down", always, &[fetch, secret, fetch, |it, _| it.handle_shut_down()]);
    add("waiting for the network", always, &[fetch, secret, fetch, lose, left]);
    add(
        "waiting for a secret",
        always,
        &[fetch, |it, now| {
            it.handle_secret(now, Err(no_secret()), 0.0);
        }],
    );
    add(
        "stopped",
        always,
        &[fetch, secret, fetch, |it, now| it.handle_ended(now, invalid(now), false, 0.0), left],
    );
    add("gone", always, &[|it, _| it.handle_remove()]);
    states
}

type Input = (&'static str, fn(&mut SiteMachine, Instant));

/// The inputs of the table
const INPUTS: [Input; 23] = [
    ("the same configuration", |it, now| {
        it.handle_config(now, (it.connect, it.is_enabled, true), Reach::Nothing);
    }),
    ("another password", |it, now| {
        it.handle_config(now, (it.connect, it.is_enabled, true), Reach::NextDial);
    }),
    ("another server", |it, now| {
        it.handle_config(now, (it.connect, it.is_enabled, true), Reach::Tunnel);
    }),
    ("disabled", |it, now| it.handle_config(now, (it.connect, false, true), Reach::Nothing)),
    ("enabled", |it, now| it.handle_config(now, (it.connect, true, true), Reach::Nothing)),
    ("removed", |it, _| it.handle_remove()),
    ("up", SiteMachine::handle_up),
    ("down", |it, _| it.handle_down(person())),
    ("restart", SiteMachine::handle_restart),
    ("a use", |it, now| it.handle_use(now + Duration::from_secs(1))),
    ("a client", |it, now| _ = it.handle_client(now, PATIENCE)),
    ("a grant", |it, now| _ = it.handle_grant(now)),
    ("a secret", |it, now| it.handle_secret(now, Ok(()), 0.0)),
    ("no secret", |it, now| it.handle_secret(now, Err(no_secret()), 0.0)),
    ("tunnel up", SiteMachine::handle_tunnel_up),
    ("renegotiating", |it, _| it.handle_renegotiating()),
    ("connection lost", |it, now| it.handle_ended(now, lost(now), false, 0.0)),
    ("invalid", |it, now| it.handle_ended(now, invalid(now), false, 0.0)),
    ("nothing left", SiteMachine::handle_left),
    ("secret changed", SiteMachine::handle_secret_changed),
    ("clock jumped", SiteMachine::handle_clock_jump),
    ("shut down", |it, _| it.handle_shut_down()),
    ("its deadline", |it, _| {
        if let Some(at) = it.poll_timeout() {
            it.handle_timeout(at);
        }
    }),
];

/// A phase in a few words
fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Resting => "resting".to_owned(),
        Phase::Queued { urgency } => format!("queued {urgency:?}"),
        Phase::Fetching { .. } => "fetching".to_owned(),
        Phase::Dialling => "dialling".to_owned(),
        Phase::Up { is_renegotiating, redials, .. } => {
            let renegotiating = if *is_renegotiating { " renegotiating" } else { "" };
            let redials = if *redials { " redials" } else { "" };
            format!("up{renegotiating}{redials}")
        }
        Phase::HangingUp { why, then } => format!("hanging up {why:?}, then {}", then_of(then)),
        Phase::Waiting { urgency, failure, .. } => {
            format!("waiting {urgency:?} {}", failure.name())
        }
        Phase::Stopped { failure } => format!("stopped {}", failure.name()),
        Phase::Gone => "gone".to_owned(),
    }
}

fn then_of(then: &Then) -> String {
    match then {
        Then::Rest => "rest".to_owned(),
        Then::Dial(urgency) => format!("dial {urgency:?}"),
        Then::Wait { urgency, failure, .. } => format!("wait {urgency:?} {}", failure.name()),
        Then::Stop(failure) => format!("stop {}", failure.name()),
        Then::Gone => "gone".to_owned(),
    }
}

/// The table as text: for each state the inputs that change something, with what they lead to
fn table() -> String {
    let now = start();
    let mut text = String::new();
    for (name, _) in states(now) {
        let fresh = || states(now).into_iter().find(|(other, _)| *other == name).unwrap().1;
        let before = fresh();
        writeln!(text, "{name} ({})", phase(before.phase())).unwrap();
        let mut unchanged = Vec::new();
        for (input, give) in INPUTS {
            let mut machine = fresh();
            give(&mut machine, now);
            let actions: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
            if machine.phase() == before.phase() && actions.is_empty() {
                unchanged.push(input);
                continue;
            }
            let phase = phase(machine.phase());
            writeln!(text, "    {input:24} {phase:44} {actions:?}").unwrap();
        }
        writeln!(text, "    nothing at: {}", unchanged.join(", ")).unwrap();
    }
    text
}

#[test]
fn each_cell_of_the_table_is_as_written() {
    let table = table();
    assert!(table == include_str!("table.txt"), "the table is now:\n{table}");
}

/// Anybody on the way may have said it
#[test]
fn what_was_learned_from_the_wire_never_stops_a_site() {
    let now = start();
    let disabled = LinkFailure::AuthFailed { code: 647, retry: false, message: String::new() };
    for failure in [LinkFailure::ServerNotAuthentic, disabled] {
        let (_, mut machine) =
            states(now).into_iter().find(|(name, _)| *name == "dialling").unwrap();
        let failure = tunnel_failure(Failure::Tunnel(failure.into()), now);
        machine.handle_ended(now, failure, false, 0.0);
        machine.handle_left(now);
        let Phase::Waiting { until, failure, .. } = machine.phase() else {
            panic!("{:?}", machine.phase())
        };
        let pauses = Duration::from_mins(10)..=Duration::from_hours(1);
        assert!(pauses.contains(&(*until - now)), "{failure:?}: {:?}", *until - now);
    }
}

/// The login of its new configuration has been refused too often
#[test]
fn a_tunnel_that_is_up_stays_while_the_login_of_its_redial_is_held() {
    let now = start();
    let up = || states(now).into_iter().find(|(name, _)| *name == "up, to be redialled").unwrap().1;
    let until = now + Duration::from_hours(1);
    let mut machine = up();
    machine.handle_held(now, until);
    assert_eq!((phase(machine.phase()).as_str(), machine.poll_action()), ("up redials", None));
    assert_eq!(machine.poll_timeout(), Some(until));
    machine.handle_timeout(until);
    assert_eq!(machine.poll_action(), Some(Action::Wish(Urgency::Start)), "and then once more");
    assert_eq!((machine.poll_action(), machine.poll_timeout()), (None, None));
    let mut machine = up();
    machine.handle_held(now, until);
    machine.handle_config(now, (Connect::Always, true, true), Reach::Tunnel);
    assert_eq!(machine.poll_action(), Some(Action::Wish(Urgency::Start)), "with another login");
}

/// The world around a machine: what the scheduler and the keeper would do
#[derive(Debug, Default)]
struct World {
    has_wish: bool,
    is_fetching: bool,
    keeper: Option<Keeper>,
    is_forgotten: bool,
    is_removed: bool,
    dials: usize,
}

/// One dial or one tunnel
#[derive(Debug, Default)]
struct Keeper {
    is_up: bool,
    has_ended: bool,
    is_hung_up: bool,
}

impl World {
    fn act(&mut self, machine: &mut SiteMachine) {
        while let Some(action) = machine.poll_action() {
            assert!(!self.is_forgotten, "{action:?} of a site that is forgotten");
            match action {
                Action::Wish(_) => self.has_wish = true,
                Action::Withdraw => self.has_wish = false,
                Action::FetchSecret => self.is_fetching = true,
                Action::Dial => {
                    assert!(self.keeper.is_none(), "a second dial beside one that is under way");
                    self.keeper = Some(Keeper::default());
                    self.dials += 1;
                }
                Action::HangUp => {
                    let keeper = self.keeper.as_mut().expect("nothing to hang up");
                    assert!(!keeper.is_hung_up, "hung up twice");
                    keeper.is_hung_up = true;
                }
                Action::Look => assert!(self.keeper.as_ref().is_some_and(|it| it.is_up)),
                Action::Forget => self.is_forgotten = true,
            }
        }
    }

    /// One thing that happens, chosen by two numbers
    fn step(&mut self, machine: &mut SiteMachine, now: Instant, (kind, detail): (u8, u8)) {
        let chance = f64::from(detail) / 255.0;
        match kind {
            0 => {
                let reach =
                    [Reach::Nothing, Reach::NextDial, Reach::Tunnel][usize::from(detail % 3)];
                let connect =
                    [Connect::Always, ON_DEMAND, Connect::Manual][usize::from(detail / 3 % 3)];
                machine.handle_config(now, (connect, detail % 7 > 0, detail % 2 > 0), reach);
                self.is_removed = false;
            }
            1 if detail < 30 => {
                machine.handle_remove();
                self.is_removed = true;
            }
            2 => machine.handle_up(now),
            3 => machine.handle_down(person()),
            4 => machine.handle_restart(now),
            5 => machine.handle_use(now),
            6 => _ = machine.handle_client(now, PATIENCE),
            7..10 if self.has_wish => {
                // the scheduler takes the wish with its grant
                self.has_wish = false;
                machine.handle_grant(now);
            }
            10 | 11 if self.is_fetching => {
                self.is_fetching = false;
                let outcome = if detail < 200 { Ok(()) } else { Err(no_secret()) };
                machine.handle_secret(now, outcome, chance);
            }
            12 => machine.handle_secret_changed(now),
            13 => machine.handle_clock_jump(now),
            14..18 => self.keeper_step(machine, now, detail),
            18 if detail < 3 => machine.handle_shut_down(),
            _ => {}
        }
    }

    fn keeper_step(&mut self, machine: &mut SiteMachine, now: Instant, detail: u8) {
        let Some(keeper) = &mut self.keeper else { return };
        let is_over = keeper.has_ended || keeper.is_hung_up;
        if is_over {
            self.keeper = None;
            machine.handle_left(now);
        } else if detail < 90 && !keeper.is_up {
            keeper.is_up = true;
            machine.handle_tunnel_up(now);
        } else if detail < 120 && keeper.is_up {
            machine.handle_renegotiating();
        } else if detail < 150 {
            machine.handle_tunnel_up(now);
            keeper.is_up = true;
        } else {
            keeper.has_ended = true;
            let failure = if detail > 250 { invalid(now) } else { lost(now) };
            machine.handle_ended(now, failure, detail.is_multiple_of(2), 0.5);
        }
    }

    fn check(&self, machine: &SiteMachine, now: Instant) {
        let phase = machine.phase();
        let has_tunnel =
            matches!(phase, Phase::Dialling | Phase::Up { .. } | Phase::HangingUp { .. });
        assert_eq!(has_tunnel, self.keeper.is_some(), "{phase:?} and {self:?}");
        let wishes = matches!(phase, Phase::Queued { .. } | Phase::Up { redials: true, .. });
        assert_eq!(wishes, self.has_wish, "{phase:?} and {self:?}");
        let is_forgotten = *phase == Phase::Gone;
        assert_eq!(is_forgotten, self.is_forgotten);
        let rests = matches!(phase, Phase::Resting | Phase::Gone);
        let stays = machine.wants_up(now) && machine.connect != ON_DEMAND;
        assert!(!rests || !stays || is_forgotten, "it is to be up, and nothing is to happen");
        if machine.down_by().is_some() || !machine.is_enabled() {
            let is_down = matches!(phase, Phase::Resting | Phase::HangingUp { .. } | Phase::Gone);
            assert!(is_down, "down by a person, and {phase:?}");
            let dials = matches!(phase, Phase::HangingUp { then: Then::Dial(_), .. });
            assert!(!dials, "down by a person, and about to dial");
        }
        let deadline = machine.poll_timeout();
        assert!(deadline.is_none_or(|at| at > now), "{phase:?}: a deadline that passed spins");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn at_random_no_site_dials_twice_or_is_forgotten(
        steps in proptest::collection::vec((0_u8..19, any::<u8>(), 0_u64..400), 1..200),
        connect in prop_oneof![Just(Connect::Always), Just(ON_DEMAND), Just(Connect::Manual)],
        needs_secret: bool,
    ) {
        let mut now = start();
        let (mut machine, mut world) = (SiteMachine::new(connect, true, needs_secret), World::default());
        world.act(&mut machine);
        for (kind, detail, seconds) in steps {
            world.step(&mut machine, now, (kind, detail));
            world.act(&mut machine);
            now += Duration::from_secs(seconds);
            while machine.poll_timeout().is_some_and(|at| at <= now) {
                machine.handle_timeout(now);
                world.act(&mut machine);
            }
            world.check(&machine, now);
            if world.is_forgotten {
                break;
            }
        }
        // whatever happened, a site that is shut down is gone as soon as nothing is left on the wire
        machine.handle_shut_down();
        world.act(&mut machine);
        if world.keeper.take().is_some() {
            machine.handle_left(now);
            world.act(&mut machine);
        }
        prop_assert!(world.is_forgotten);
    }
}
