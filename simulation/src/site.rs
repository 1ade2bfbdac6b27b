//! The owner of one tunnel, who connects, runs errands, connects again, and checks the promises

use std::{pin::pin, sync::Arc, time::Duration};

use pptp::{
    Client, Connecting, Tunnel, TunnelConfig, TunnelError, config::EchoPolicy, record::Record,
};
use pptp_testkit::memory::Network;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Errand, Fault, Scenario, ServerKind,
    errand::Outcome,
    held::{Earlier, Held},
    journal::Journal,
    truth::Truth,
    world::{BUILDING, CLIENT, World},
};

/// The state of a site's owner
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) number: usize,
    pub(crate) scenario: Scenario,
    pub(crate) truth: Truth,
    client: Client,
    network: Network,
    config: TunnelConfig,
    /// The configuration for the end, when all faults are over
    patient: TunnelConfig,
    pub(crate) journal: Journal,
    calm: CancellationToken,
}

impl Site {
    pub(crate) fn new(
        number: usize,
        world: &World,
        scenario: &Scenario,
        journal: &Journal,
        calm: &CancellationToken,
    ) -> Self {
        Self {
            number,
            scenario: scenario.clone(),
            truth: world.truth.clone(),
            client: world.client.clone(),
            network: world.near.clone(),
            config: world.config(scenario.connect_timeout),
            patient: world.config(Duration::from_mins(1)),
            journal: journal.clone(),
            calm: calm.clone(),
        }
    }

    /// Lives until all is calm, and returns the tunnel that must be up then
    pub(crate) async fn live(self: Arc<Self>) -> Option<Tunnel> {
        let (mut held, mut earlier) = (None, Earlier::default());
        while held.is_none() && !self.calm.is_cancelled() {
            let Some(up) = self.connect(&self.config, &earlier).await else {
                sleep(PAUSE).await;
                continue;
            };
            let is_up = tokio::select! {
                biased;
                is_up = self.work(&up) => is_up,
                () = self.talk(&up) => false,
            };
            earlier = up.remembered();
            if !is_up && up.since.elapsed() < PAUSE {
                sleep(PAUSE).await;
            }
            held = is_up.then_some(up);
        }
        if let Some(up) = held {
            held = self.outlive(up).await;
        }
        match held {
            Some(up) if self.must_carry(&up, 0).await => Some(up.tunnel),
            Some(up) => self.carry_in_the_calm(&up.remembered()).await,
            None => self.carry_in_the_calm(&earlier).await,
        }
    }

    /// Connects until a tunnel carries
    ///
    /// A busy accel-ppp is deaf to one dial in six at worst; the first one must do with all others.
    async fn carry_in_the_calm(&self, earlier: &Earlier) -> Option<Tunnel> {
        for again in (0..MAX_CALM_DIALS).rev() {
            let Some(up) = self.connect(&self.patient, earlier).await else {
                self.violation("no connect although all is well again");
                return None;
            };
            let may_be_deaf = self.scenario.server == ServerKind::SlowStart;
            if self.must_carry(&up, if may_be_deaf { again } else { 0 }).await {
                return Some(up.tunnel);
            }
        }
        None
    }

    async fn connect(&self, config: &TunnelConfig, earlier: &Earlier) -> Option<Held> {
        let config = config.clone();
        let config = match &earlier.info {
            Some(info) => config.resuming(info),
            None => config,
        };
        let (began, mut connecting) = (Instant::now(), self.client.connect(config));
        let limit = if self.calm.is_cancelled() {
            Duration::from_mins(1)
        } else {
            self.scenario.connect_timeout
        };
        match self.await_connect(&mut connecting, limit).await? {
            Ok(tunnel) => {
                self.note(format!("up after {:?}", began.elapsed()));
                self.journal.pages().up += 1;
                Some(Held::new(tunnel, earlier.memory))
            }
            Err(error) => {
                self.note(format!("not connected: {error}"));
                self.judge(&error);
                None
            }
        }
    }

    /// Waits for the connect; returns `None` if it does not end
    async fn await_connect(
        &self,
        connecting: &mut Connecting,
        limit: Duration,
    ) -> Option<Result<Tunnel, TunnelError>> {
        if let Ok(ended) = timeout(limit + MAX_DELAY_AFTER_END, &mut *connecting).await {
            return Some(ended);
        }
        // a clock that jumps lets all deadlines strike at once
        let ended = timeout(MAX_DELAY_AFTER_END, connecting).await.ok();
        if ended.is_none() {
            self.violation(format!("a connect does not end within {limit:?}"));
        }
        ended
    }

    /// Runs errands until the tunnel ends or all is calm; true if it is up still
    async fn work(&self, up: &Held) -> bool {
        let errands = &self.scenario.tunnels[self.number];
        for (index, errand) in (0..).zip(errands.iter().cycle()) {
            let seed = self.scenario.seed ^ index;
            let mut running = pin!(timeout(ERRAND_TIMEOUT, errand.run(BUILDING, &up.tunnel, seed)));
            tokio::select! {
                biased;
                reason = up.tunnel.closed() => {
                    self.down(up, &reason);
                    self.must_end(*errand, running).await;
                    return false;
                }
                () = self.calm.cancelled() => return true,
                ended = &mut running => self.check(*errand, ended.ok()),
            }
            tokio::select! {
                biased;
                reason = up.tunnel.closed() => {
                    self.down(up, &reason);
                    return false;
                }
                () = self.calm.cancelled() => return true,
                () = sleep(PAUSE) => {}
            }
        }
        true
    }

    fn check(&self, errand: Errand, ended: Option<Outcome>) {
        match ended {
            Some(Outcome::Done) => self.journal.pages().done += 1,
            Some(Outcome::Wrong(what)) => self.violation(format!("wrong octets: {what}")),
            Some(Outcome::Failed(error)) => {
                self.note(format!("{errand:?}: {error}"));
                let must = errand.is_reliable() || self.scenario.keeps_order();
                if self.scenario.is_calm() && must && self.has_living_hosts() {
                    self.violation(format!("{errand:?} failed in the calm: {error}"));
                }
            }
            None => {
                self.note(format!("{errand:?} took too long"));
                if self.scenario.is_calm() && self.has_living_hosts() {
                    self.violation(format!("{errand:?} hung in the calm"));
                }
            }
        }
    }

    /// Checks that a call on a tunnel that is down fails at once
    async fn must_end(&self, errand: Errand, running: impl Future<Output = impl Sized>) {
        if !matches!(errand, Errand::Rest(_))
            && timeout(MAX_DELAY_AFTER_END, running).await.is_err()
        {
            self.violation(format!("{errand:?} hangs after the tunnel's end"));
        }
    }

    /// Waits in the calm: a tunnel that has lost its server must notice it, and any other one stays
    async fn outlive(&self, up: Held) -> Option<Held> {
        let reason = timeout(self.scenario.detection(), up.tunnel.closed()).await;
        match reason {
            Ok(reason) => {
                self.down(&up, &reason);
                None
            }
            Err(_) => Some(up),
        }
    }

    /// Returns true if octets pass; they must if no more dials are left
    async fn must_carry(&self, up: &Held, dials_left: u8) -> bool {
        let errand = Errand::Exchange(1000);
        let ended = timeout(CALM_ERRAND_TIMEOUT, errand.run(BUILDING, &up.tunnel, 0)).await;
        let carries = matches!(ended, Ok(Outcome::Done));
        if !carries && dials_left == 0 {
            self.violation(format!("a tunnel that is up carries nothing: {ended:?}"));
        }
        carries
    }

    fn has_living_hosts(&self) -> bool {
        self.scenario.server != ServerKind::HostsAreDead
    }

    /// Checks the end of a tunnel that has ended by itself
    fn down(&self, up: &Held, reason: &TunnelError) {
        let now = Instant::now();
        self.note(format!("down: {reason}"));
        self.judge(reason);
        // a Configure-Request that arrives after CCP has opened begins it anew, and one of the two ends
        // a link whose encryption is taken down
        let ends = ["EncryptionLost", "TerminatedByPeer"].contains(&reason.name());
        let overtaken = ends && !self.scenario.keeps_order();
        if self.scenario.is_calm() && !overtaken && !self.may_be_dumb(up) {
            self.violation(format!("down in the calm: {reason}"));
        }
        let losses = self.journal.pages().losses.clone();
        for loss in losses.into_iter().filter(|loss| *loss >= up.since) {
            if now > loss + self.scenario.detection() + self.jumps() {
                let loss = self.journal.moment(loss);
                self.violation(format!("a server lost at {loss:?} was noticed too late: {reason}"));
            }
        }
        self.was_dead(up, reason);
        match reason.name() {
            "EchoTimeout" => self.was_silent(now, up.tunnel.flight_record().records()),
            "ControlEchoTimeout" => self.was_cut_off(now),
            _ => {}
        }
    }

    /// Checks that no tunnel through which packets can pass ends as silent or dead
    fn was_dead(&self, up: &Held, reason: &TunnelError) {
        let (facts, changed) = self.truth.now();
        let is_inside = ["NothingPasses", "WrongKey"].contains(&reason.name());
        if !is_inside && reason.name() != "EchoTimeout" {
            return;
        }
        let passes = facts.passes() && changed.elapsed() >= MIN_TIME_ALIVE;
        let is_up = self.truth.is_up(up.since, up.tunnel.info().inner_address);
        if passes && is_up && !self.may_be_dumb(up) {
            if reason.name() == "EchoTimeout" && self.scenario.may_lose_all_echoes() {
                self.journal.pages().tally.lost_echoes += 1;
            } else {
                self.violation(format!("a living tunnel was ended: {reason}"));
            }
        } else if is_inside {
            let tally = &mut self.journal.pages().tally;
            tally.found += 1;
            tally.longest = tally.longest.max(up.silence().lasts(changed));
        }
    }

    /// Returns true if this tunnel may have been deaf from its start
    fn may_be_dumb(&self, up: &Held) -> bool {
        self.scenario.server == ServerKind::SlowStart && !up.is_proven()
    }

    /// Checks that no frame came from the server during the wait for echoes
    fn was_silent(&self, now: Instant, record: &[Record]) {
        let EchoPolicy { interval, unanswered, .. } = self.scenario.echo;
        let Some(call_id) = record.iter().find_map(|record| call_id_asked_for(&record.octets))
        else {
            return;
        };
        // a NAT sends damaged datagrams on as if they were whole; and a client whose socket takes
        // nothing stops reading when it has no room for replies any more
        let damaged = self.scenario.path.nat && self.scenario.corrupts();
        // without echoes, neither frames that do not open nor acknowledgments count as life
        let is_by_proof = !self.scenario.server.answers_echoes() && !self.truth.now().0.passes();
        if damaged
            || is_by_proof
            || self.scenario.mishaps.iter().any(|mishap| mishap.fault == Fault::Stall)
        {
            return;
        }
        let heard = self.network.last_arrival(CLIENT, call_id);
        let asked = now.checked_sub(interval * u32::from(unanswered));
        if let Some((heard, asked)) = heard.zip(asked)
            && heard > asked
            // a datagram that a NAT sends on in the same moment may come a moment too late
            && (heard < now || heard == now && !self.scenario.path.nat)
        {
            let heard = self.journal.moment(heard);
            self.violation(format!("taken for dead, although it was heard at {heard:?}"));
        }
    }

    /// Checks that a fault held the control connection up, if its echo was not answered
    fn was_cut_off(&self, now: Instant) {
        let ended = self.journal.moment(now);
        let since = ended.saturating_sub(CONTROL_ECHO);
        let held_up = self.scenario.mishaps.iter().any(|mishap| {
            mishap.fault.touches_tcp() && mishap.at <= ended && mishap.at + mishap.lasts >= since
        });
        if !held_up {
            self.violation("taken for dead by the control connection, which nothing held up");
        }
    }

    /// Checks that the reason is possible in this world
    fn judge(&self, error: &TunnelError) {
        let corrupted = self.scenario.corrupts();
        let impossible = match error.name() {
            "Internal" | "RuntimeShutDown" | "LostSync" | "NotPptp" | "ControlMisbehaved"
            | "GreFromElsewhere" => true,
            "LinkMisbehaved"
            | "GreUnsupported"
            | "Undecryptable"
            | "AuthFailed"
            | "ServerNotAuthentic"
            | "AuthProtocolRefused"
            | "Loopback"
            | "NoAgreement"
            | "RejectedCode"
            | "RejectedProtocol" => !corrupted,
            // a server that gives up while encryption and addresses are agreed upon looks like one that
            // has none
            "EncryptionUnavailable" | "NoAddress" => self.scenario.is_calm(),
            _ => false,
        };
        if impossible {
            self.violation(format!("no reason of this world: {error}"));
        }
    }

    /// The sum of all jumps of the clock
    fn jumps(&self) -> Duration {
        let jumps = self.scenario.mishaps.iter().filter(|it| it.fault == Fault::ClockJump);
        jumps.map(|jump| jump.lasts).sum()
    }

    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.journal.note(format!("tunnel {}: {}", self.number, text.as_ref()));
    }

    pub(crate) fn violation(&self, text: impl AsRef<str>) {
        self.journal.violation(format!("tunnel {}: {}", self.number, text.as_ref()));
    }
}

/// The Call ID in an Outgoing-Call-Request (RFC 2637 §2.7)
fn call_id_asked_for(octets: &[u8]) -> Option<u16> {
    match octets {
        [0, 168, 0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0, 7, 0, 0, high, low, ..] => {
            Some(u16::from_be_bytes([*high, *low]))
        }
        _ => None,
    }
}

/// The pause between two errands, and before another connect
const PAUSE: Duration = Duration::from_secs(7);

/// Time limit of an errand, as a user may have it
const ERRAND_TIMEOUT: Duration = Duration::from_mins(5);

const CALM_ERRAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Time in which waiting calls must fail after the tunnel's end
const MAX_DELAY_AFTER_END: Duration = Duration::from_secs(1);

/// The time for which packets must have passed through a tunnel that lives
const MIN_TIME_ALIVE: Duration = Duration::from_secs(15);

/// Dials after which one must not be deaf: six deaf ones in a row are one in fifty thousand
const MAX_CALM_DIALS: u8 = 6;

/// A minute of silence, another one for the answer, and TCP's longest wait until it repeats it
const CONTROL_ECHO: Duration = Duration::from_mins(4);
