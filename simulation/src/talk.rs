//! A user who sends all the time, and the time in which nothing has come back

use std::{future::pending, net::Ipv4Addr, time::Duration};

use pptp_testkit::{BLACK_HOLE, DEVICE, ROUTER};
use rand::{RngExt, rngs::StdRng};
use tokio::time::{Instant, sleep, timeout};

use crate::{ServerKind, held::Held, scenario::one_of, site::Site};

/// A user who asks by UDP, again and again, with or without answers
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Talk {
    /// The time from one question to the next
    pub every: Duration,
    /// The host that is asked
    pub whom: Whom,
}

/// Hosts that a user may ask
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The building's device, which answers
    Device,
    /// The building's router, which answers that the port is not in use
    Router,
    /// A host that is gone
    DeadHost,
}

impl Talk {
    /// Draws the questions of one of a scenario's users; some ask none
    pub(crate) fn random(rng: &mut StdRng) -> Option<Self> {
        let every = Duration::from_millis(rng.random_range(500..=2000));
        let whom =
            one_of(rng, &[Whom::Device, Whom::Device, Whom::Device, Whom::Router, Whom::DeadHost]);
        rng.random_bool(0.8).then_some(Self { every, whom })
    }

    const fn address(self) -> Ipv4Addr {
        match self.whom {
            Whom::Device => DEVICE,
            Whom::Router => ROUTER,
            Whom::DeadHost => BLACK_HOLE,
        }
    }

    /// Returns true if a server of this kind answers, without faults
    pub(crate) fn is_answered(self, server: ServerKind) -> bool {
        match self.whom {
            Whom::Device => server != ServerKind::HostsAreDead,
            Whom::Router => true,
            Whom::DeadHost => false,
        }
    }
}

/// The time in which users have sent and nothing has come
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silence {
    received: u64,
    since: Option<Instant>,
    is_told: bool,
    /// True if it was counted as one of a lossy path
    is_lossy: bool,
}

impl Silence {
    /// Notes the number of packets that have come in so far
    const fn heard(&mut self, received: u64, is_up: bool) {
        if received != self.received || !is_up {
            *self = Self { received, since: None, is_told: false, is_lossy: false };
        }
    }

    /// The time for which it has lasted since `earliest`, or since it began
    pub(crate) fn lasts(&self, earliest: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.max(earliest).elapsed())
    }
}

impl Site {
    /// Asks until the tunnel is given up, and checks that it is not silent for longer than allowed
    pub(crate) async fn talk(&self, up: &Held) {
        let Some(talk) = self.scenario.talks[self.number] else { return pending().await };
        let Ok(socket) = up.tunnel.udp_bind(0) else { return pending().await };
        let mut buffer = [0; 100];
        loop {
            sleep(talk.every).await;
            let is_up = matches!(*up.tunnel.state().borrow(), pptp::State::Up);
            up.note_proof();
            let received = up.tunnel.stats().tunnel.ip_received;
            up.silence().heard(received, is_up);
            if talk.is_answered(self.scenario.server) {
                self.watch(up);
            }
            let question = socket.send_to(QUESTION, (talk.address(), 7));
            if matches!(timeout(talk.every, question).await, Ok(Ok(_))) && is_up {
                up.silence().since.get_or_insert_with(Instant::now);
            }
            while let Ok(count) = socket.try_recv(&mut buffer) {
                if buffer.get(..count) != Some(QUESTION) {
                    self.violation(format!("an answer of {count} octets that was not asked for"));
                }
            }
        }
    }

    /// Checks that no tunnel is up and silent for more than 20 s while its user sends and the line
    /// is whole
    fn watch(&self, up: &Held) {
        let (facts, changed) = self.truth.now();
        let mut silence = up.silence();
        let lasts = silence.lasts(changed);
        let is_lossy = self.scenario.is_lossy() && !facts.passes();
        let most = if is_lossy { MAX_SILENCE_IN_LOSS } else { MAX_SILENCE };
        if is_lossy && lasts > MAX_SILENCE && !silence.is_lossy {
            silence.is_lossy = true;
            self.journal.pages().tally.silent_in_loss += 1;
        }
        let is_damaged = is_lossy && self.scenario.corrupts();
        if !facts.line_is_whole || lasts <= most || silence.is_told || is_damaged {
            return;
        }
        silence.is_told = true;
        if !self.truth.has_call(up.since, up.tunnel.info().inner_address) {
            return;
        }
        let can_be_proven = up.is_provable() && self.scenario.server.answers_echoes();
        if facts.passes() || facts.complains || can_be_proven {
            self.violation(format!("up and silent for {lasts:?} with {facts:?}"));
        } else if up.is_provable() {
            self.journal.pages().tally.silent_without_echoes += 1;
        } else {
            self.journal.pages().tally.silent_unproven += 1;
        }
    }
}

const QUESTION: &[u8] = b"anybody there?";

/// The longest silence of a tunnel whose server can be found deaf
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// The longest silence where echoes are lost or damaged: a later proof may have to decide
///
/// Where datagrams are damaged as well it is only counted: of 1,000 scenarios one had 61 s, with a
/// tenth lost and a hundredth damaged each way.
const MAX_SILENCE_IN_LOSS: Duration = Duration::from_mins(1);
