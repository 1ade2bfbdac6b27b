//! Signs of life (RFC 2637 §3.1.4)

use std::time::{Duration, Instant};

use super::{Machine, Shared, shared};
use crate::{EchoRequest, Event, Failure, Timer};

/// Sends an Echo-Request to a silent peer, and waits for the reply
#[derive(Debug)]
pub(super) struct Echo {
    /// The identifier of the last request, 0 before the first
    identifier: u32,
    wait: Wait,
}

#[derive(Debug)]
enum Wait {
    /// Waits for any message
    Silence { until: Instant },
    /// Waits for the reply to the last request
    Reply { until: Instant },
}

impl Echo {
    pub(super) fn new(shared: &Shared, now: Instant) -> Self {
        Self { identifier: 0, wait: Wait::silence(shared, now) }
    }

    /// Notes that a message came
    pub(super) fn note_message(&mut self, shared: &Shared, now: Instant) {
        if matches!(self.wait, Wait::Silence { .. }) {
            self.wait = Wait::silence(shared, now);
        }
    }

    /// Notes an Echo-Reply; one that is not waited for is ignored
    pub(super) fn handle_reply(&mut self, shared: &mut Shared, now: Instant, identifier: u32) {
        match self.wait {
            Wait::Reply { until } if identifier == self.identifier => {
                self.wait = Wait::silence(shared, now);
                let asked = until.checked_sub(shared.timeouts.echo_reply).unwrap_or(now);
                let round_trip = now.saturating_duration_since(asked);
                shared.push_line_event(Event::EchoAnswered { round_trip });
            }
            _ => shared.count_out_of_phase(),
        }
    }

    /// Sends an Echo-Request now, unless a reply is awaited
    pub(super) fn send_echo_request(&mut self, shared: &mut Shared, now: Instant) {
        if matches!(self.wait, Wait::Silence { .. }) {
            self.identifier = self.identifier.wrapping_add(1);
            shared.send(EchoRequest { identifier: self.identifier });
            self.wait = Wait::reply(shared, now);
        }
    }

    /// Sends an Echo-Request, or ends the connection if the last one was not answered
    ///
    /// A deadline that is handled more than one second late means that this host was asleep. The
    /// reply may be there, unread, so a grace period is added.
    pub(super) fn handle_timeout(&mut self, shared: &mut Shared, now: Instant) -> Option<Machine> {
        match self.wait {
            Wait::Silence { .. } => {
                self.send_echo_request(shared, now);
                None
            }
            Wait::Reply { until } if now > shared::after(until, MAX_LATENESS) => {
                self.wait = Wait::Reply { until: shared::after(now, GRACE_PERIOD) };
                None
            }
            Wait::Reply { .. } => Some(shared.close(Err(Failure::EchoTimeout))),
        }
    }

    pub(super) fn poll_timeout(&self) -> (Instant, Timer) {
        match self.wait {
            Wait::Silence { until } => (until, Timer::EchoIdle),
            Wait::Reply { until } => (until, Timer::EchoReply),
        }
    }
}

impl Wait {
    fn silence(shared: &Shared, now: Instant) -> Self {
        Self::Silence { until: shared::after(now, shared.timeouts.echo_idle) }
    }

    fn reply(shared: &Shared, now: Instant) -> Self {
        Self::Reply { until: shared::after(now, shared.timeouts.echo_reply) }
    }
}

/// A timer that fires this much too late means that the host was asleep
const MAX_LATENESS: Duration = Duration::from_secs(1);

/// Grace period for replies that arrived while the host was asleep
const GRACE_PERIOD: Duration = Duration::from_secs(5);
