//! The times at which a connection does something by itself

use std::time::Duration;

use super::{Connection, Keeper};
use crate::{
    SocketError,
    engine::{Segment, State, TcpEngine},
    shared::time::{NEVER, Time, micros},
    tcp::{ack_injector::Forged, delayed_dup_acks::Gap, fresh_syn::Opening},
};

impl Connection {
    pub(crate) fn hear(&mut self, now: Time) {
        self.heard = now;
        if self.waits_for_window() {
            self.owed = NEVER; // until the next probe leaves
        }
    }

    /// `None` for the longest
    pub(crate) fn linger(&self) -> Option<Time> {
        (self.linger != LONGEST).then(|| self.linger.into())
    }

    pub(crate) fn set_linger(&mut self, linger: Option<Time>) {
        self.linger = linger.map_or(LONGEST, lingering);
    }

    pub(crate) fn set_keepalive(&mut self, every: Option<Duration>) {
        if let Some(socket) = self.socket_mut() {
            socket.set_keepalive(every.map(keepalive));
        }
    }

    /// Gives up if the peer is silent for too long, or nobody is there to wait for it
    pub(crate) fn check_time(&mut self, now: Time) {
        if let Keeper::Nobody { until } = &mut self.keeper {
            let linger = self.linger.min(MOST_LINGER);
            *until = (*until).min(now.saturating_add(linger.into()));
            if now >= *until && self.end.is_none() {
                self.abort(SocketError::Aborted);
            }
        }
        if let Some(steering) = &mut self.steering {
            steering.congestion.check_time(now);
        }
        if !self.owes() {
            self.owed = NEVER;
        } else if !self.waits_for_window() {
            self.owed = self.owed.min(now);
        }
        if now >= self.patience() && self.end.is_none() {
            self.abort(SocketError::TimedOut);
        }
    }

    /// Keeps the SYN that leaves while nothing is known to pass
    pub(crate) fn keep_syn(&mut self, syn: Vec<u8>, now: Time) {
        if self.is_connecting() {
            self.opening.get_or_insert_with(|| Box::new(Opening::new(syn, now)));
        }
    }

    /// The link has brought a packet, or the connection an answer
    pub(crate) fn forget_syn(&mut self) {
        self.opening = None;
    }

    /// What the engine is to be told before it is asked for a packet
    pub(crate) fn steer(&mut self) -> Option<(Forged, &mut TcpEngine)> {
        let (steering, socket) = (self.steering.as_mut()?, self.socket.as_mut()?);
        let forged = steering.compose(self.flow, socket.state(), socket.send_queue() > 0)?;
        Some((forged, socket))
    }

    /// Takes what is replied to a segment; what is to be sent at once comes back
    pub(crate) fn hold(&mut self, segment: &Segment, reply: Vec<u8>, now: Time) -> Option<Vec<u8>> {
        Gap::hold(&mut self.gap, segment, reply, now)
    }

    /// The next packet that was held back for long enough, or a SYN or FIN that leaves again
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Vec<u8>> {
        let opening = self.opening.as_mut().filter(|_| self.end.is_none());
        let again = opening.and_then(|opening| opening.take_due(now));
        again.or_else(|| self.gap.as_mut()?.take_due(now)).or_else(|| self.take_fin())
    }

    fn take_fin(&mut self) -> Option<Vec<u8>> {
        let (steering, socket) = (self.steering.as_mut()?, self.socket.as_ref()?);
        let fin = steering.compose_fin(self.flow, socket.state(), socket.send_queue() > 0);
        fin.map(|Forged(fin)| fin.to_vec())
    }

    /// When [`Connection::check_time`] or [`Connection::take_due`] has something to say
    pub(crate) fn deadline(&self) -> Time {
        let linger = match self.keeper {
            Keeper::Nobody { until } => until,
            Keeper::User | Keeper::Backlog(_) => NEVER,
        };
        let gap = self.gap.as_ref().and_then(|gap| gap.deadline()).unwrap_or(NEVER);
        let repair = self.steering.as_ref().map_or(NEVER, |it| it.congestion.deadline());
        let opening = self.opening.as_ref().map_or(NEVER, |opening| opening.deadline());
        let held = gap.min(opening);
        if self.end.is_some() { NEVER } else { linger.min(self.patience()).min(held).min(repair) }
    }

    fn patience(&self) -> Time {
        let keepalive = self.socket().and_then(TcpEngine::keepalive);
        match (self.owed, keepalive, self.was) {
            (NEVER, None, _) => NEVER,
            (NEVER, Some(_), _) if self.waits_for_window() => NEVER,
            (NEVER, Some(every), _) => {
                self.heard.saturating_add(every).saturating_add(self.user_timeout)
            }
            (_, _, State::SynReceived) => self.heard.saturating_add(HANDSHAKE),
            (owed, _, _) => self.heard.max(owed).saturating_add(self.user_timeout),
        }
    }

    /// Whether the peer has something to acknowledge; of a SYN the caller's own time is the limit
    pub(crate) fn owes(&self) -> bool {
        self.socket().is_some_and(|socket| match socket.state() {
            State::Closed | State::Listen | State::SynSent | State::TimeWait => false,
            State::SynReceived | State::FinWait1 | State::Closing | State::LastAck => true,
            State::Established | State::FinWait2 | State::CloseWait => socket.send_queue() > 0,
        })
    }
}

/// A second to a day
///
/// Less is a flood of probes, or gives the peer no chance to answer; much more overflows the engine's
/// arithmetic, and the wheels that owners keep deadlines in.
pub(super) fn patient(duration: Duration) -> Duration {
    duration.clamp(Duration::from_secs(1), Duration::from_hours(24))
}

pub(super) fn keepalive(every: Duration) -> Time {
    micros(patient(every))
}

pub(super) fn lingering(linger: Time) -> u32 {
    u32::try_from(linger).unwrap_or(MOST_LINGER).min(MOST_LINGER)
}

/// A connection nobody has any more is not kept for longer than this
pub(super) const MOST_LINGER: u32 = 60_000_000;

/// As long as [`MOST_LINGER`], because nobody chose a time
pub(super) const LONGEST: u32 = u32::MAX;

/// How long the peer of a connection that comes in may take for its part of the handshake
const HANDSHAKE: Time = 30_000_000;
