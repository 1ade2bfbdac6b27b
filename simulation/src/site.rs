//! The owner of one tunnel, who connects, runs jobs, connects again, and checks the promises

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use pptp::{Client, Connecting, Tunnel, TunnelConfig, TunnelError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Job, Scenario, ServerKind,
    job::Outcome,
    journal::Journal,
    live_tunnel::{LiveTunnel, Memory},
    promises::Promises,
    world::{BUILDING, World},
};

/// The state of a site's owner
#[derive(Debug)]
pub(crate) struct Site {
    number: usize,
    scenario: Scenario,
    promises: Promises,
    journal: Journal,
    client: Client,
    config: TunnelConfig,
    /// The configuration for the end, when all faults are over
    patient: TunnelConfig,
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
            promises: Promises::new(number, world, scenario, journal),
            journal: journal.clone(),
            client: world.client.clone(),
            config: world.config(scenario.connect_timeout),
            patient: world.config(Duration::from_mins(1)),
            calm: calm.clone(),
        }
    }

    pub(crate) fn promises(&self) -> &Promises {
        &self.promises
    }

    /// Lives until all is calm, and returns the tunnel that must be up then
    pub(crate) async fn run(self: Arc<Self>) -> Option<Tunnel> {
        let (mut held, mut earlier) = (None, Memory::default());
        while held.is_none() && !self.calm.is_cancelled() {
            let Some(up) = self.connect(&self.config, &earlier).await else {
                sleep(PAUSE).await;
                continue;
            };
            let is_up = tokio::select! {
                biased;
                is_up = self.work(&up) => is_up,
                () = self.poll_hosts(&up) => false,
            };
            earlier = up.remembered();
            if !is_up && up.since.elapsed() < PAUSE {
                sleep(PAUSE).await;
            }
            held = is_up.then_some(up);
        }
        if let Some(up) = held {
            held = self.wait_in_calm(up).await;
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
    async fn carry_in_the_calm(&self, earlier: &Memory) -> Option<Tunnel> {
        for again in (0..MAX_CALM_DIALS).rev() {
            let Some(up) = self.connect(&self.patient, earlier).await else {
                self.promises.violation("no connect although all is well again");
                return None;
            };
            let may_be_deaf = self.scenario.server == ServerKind::SlowStart;
            if self.must_carry(&up, if may_be_deaf { again } else { 0 }).await {
                return Some(up.tunnel);
            }
        }
        None
    }

    async fn connect(&self, config: &TunnelConfig, earlier: &Memory) -> Option<LiveTunnel> {
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
                self.promises.note(format!("up after {:?}", began.elapsed()));
                self.journal.pages().up += 1;
                Some(LiveTunnel::new(tunnel, earlier.memory))
            }
            Err(error) => {
                self.promises.note(format!("not connected: {error}"));
                self.promises.judge(&error);
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
            self.promises.violation(format!("a connect does not end within {limit:?}"));
        }
        ended
    }

    /// Runs jobs until the tunnel ends or all is calm; true if it is up still
    async fn work(&self, up: &LiveTunnel) -> bool {
        let jobs = &self.scenario.tunnels[self.number];
        for (index, job) in (0..).zip(jobs.iter().cycle()) {
            let seed = self.scenario.seed ^ index;
            let mut running = pin!(timeout(JOB_TIMEOUT, job.run(BUILDING, &up.tunnel, seed)));
            tokio::select! {
                biased;
                reason = up.tunnel.closed() => {
                    self.promises.down(up, &reason);
                    self.must_end(*job, running).await;
                    return false;
                }
                () = self.calm.cancelled() => return true,
                ended = &mut running => self.promises.check(*job, ended.ok()),
            }
            tokio::select! {
                biased;
                reason = up.tunnel.closed() => {
                    self.promises.down(up, &reason);
                    return false;
                }
                () = self.calm.cancelled() => return true,
                () = sleep(PAUSE) => {}
            }
        }
        true
    }

    /// Asks until the tunnel is given up, and checks that it is not silent for longer than allowed
    async fn poll_hosts(&self, up: &LiveTunnel) {
        let Some(polling) = self.scenario.pollings[self.number] else { return pending().await };
        let Ok(socket) = up.tunnel.udp_bind(0) else { return pending().await };
        let mut buffer = [0; 100];
        loop {
            sleep(polling.every).await;
            let is_up = matches!(*up.tunnel.state().borrow(), pptp::State::Up);
            up.note_proof();
            let received = up.tunnel.stats().tunnel.ip_received;
            up.silence().heard(received, is_up);
            if polling.is_answered(self.scenario.server) {
                self.promises.watch(up);
            }
            let question = socket.send_to(QUESTION, (polling.address(), 7));
            if matches!(timeout(polling.every, question).await, Ok(Ok(_))) && is_up {
                up.silence().asked();
            }
            while let Ok(count) = socket.try_recv(&mut buffer) {
                if buffer.get(..count) != Some(QUESTION) {
                    self.promises
                        .violation(format!("an answer of {count} octets that was not asked for"));
                }
            }
        }
    }

    /// Checks that a call on a tunnel that is down fails at once
    async fn must_end(&self, job: Job, running: impl Future<Output = impl Sized>) {
        if !matches!(job, Job::Rest(_)) && timeout(MAX_DELAY_AFTER_END, running).await.is_err() {
            self.promises.violation(format!("{job:?} hangs after the tunnel's end"));
        }
    }

    /// Waits in the calm: a tunnel that has lost its server must notice it, and any other one stays
    async fn wait_in_calm(&self, up: LiveTunnel) -> Option<LiveTunnel> {
        let reason = timeout(self.scenario.detection(), up.tunnel.closed()).await;
        match reason {
            Ok(reason) => {
                self.promises.down(&up, &reason);
                None
            }
            Err(_) => Some(up),
        }
    }

    /// Returns true if octets pass; they must if no more dials are left
    async fn must_carry(&self, up: &LiveTunnel, dials_left: u8) -> bool {
        let job = Job::Exchange(1000);
        let ended = timeout(CALM_JOB_TIMEOUT, job.run(BUILDING, &up.tunnel, 0)).await;
        let carries = matches!(ended, Ok(Outcome::Done));
        if !carries && dials_left == 0 {
            self.promises.violation(format!("a tunnel that is up carries nothing: {ended:?}"));
        }
        carries
    }
}

const QUESTION: &[u8] = b"anybody there?";

/// The pause between two jobs, and before another connect
const PAUSE: Duration = Duration::from_secs(7);

/// Time limit of a job, as a user may have it
const JOB_TIMEOUT: Duration = Duration::from_mins(5);

const CALM_JOB_TIMEOUT: Duration = Duration::from_secs(30);

/// Time in which waiting calls must fail after the tunnel's end
const MAX_DELAY_AFTER_END: Duration = Duration::from_secs(1);

/// Dials after which one must not be deaf: six deaf ones in a row are one in fifty thousand
const MAX_CALM_DIALS: u8 = 6;
