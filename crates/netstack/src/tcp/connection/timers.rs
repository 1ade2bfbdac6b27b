//! The timers of a connection

use std::time::Duration;

use super::{Connection, Holder};
use crate::{
    SocketError,
    engine::{Segment, State, TcpEngine},
    shared::time::{NEVER, Time, micros},
    tcp::{ack_injector::SyntheticSegment, delayed_dup_acks::DelayedDupAcks, fresh_syn::FreshSyn},
};

impl Connection {
    pub(crate) fn hear(&mut self, now: Time) {
        self.heard = now;
        if self.waits_for_window() {
            self.owed = NEVER; // until the next probe leaves
        }
    }

    /// The linger time; `None` for the longest
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

    /// Ends the connection if the peer is silent for too long, or if its time to flush is over
    pub(crate) fn check_time(&mut self, now: Time) {
        if let Holder::None { until } = &mut self.holder {
            let linger = self.linger.min(MAX_LINGER);
            *until = (*until).min(now.saturating_add(linger.into()));
            if now >= *until && self.end.is_none() {
                self.abort(SocketError::Aborted);
            }
        }
        if let Some(ack_injector) = &mut self.ack_injector {
            ack_injector.congestion.check_time(now);
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

    /// Keeps a copy of a SYN that leaves over a link that is not yet known to pass packets
    pub(crate) fn keep_syn(&mut self, syn: Vec<u8>, now: Time) {
        if self.is_connecting() {
            self.fresh_syn.get_or_insert_with(|| Box::new(FreshSyn::new(syn, now)));
        }
    }

    /// Drops that copy, because the link has brought a packet or the connection an answer
    pub(crate) fn forget_syn(&mut self) {
        self.fresh_syn = None;
    }

    /// The next acknowledgment for the engine before it is asked for a packet
    pub(crate) fn inject(&mut self) -> Option<(SyntheticSegment, &mut TcpEngine)> {
        let (ack_injector, socket) = (self.ack_injector.as_mut()?, self.socket.as_mut()?);
        let synthetic = ack_injector.compose(self.flow, socket.state(), socket.send_queue() > 0)?;
        Some((synthetic, socket))
    }

    /// Takes the reply to a segment; returns it if it is to be sent at once
    pub(crate) fn hold(&mut self, segment: &Segment, reply: Vec<u8>, now: Time) -> Option<Vec<u8>> {
        DelayedDupAcks::hold(&mut self.dup_acks, segment, reply, now)
    }

    /// The next packet that was held back for long enough, or a SYN or FIN that leaves again
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Vec<u8>> {
        let fresh_syn = self.fresh_syn.as_mut().filter(|_| self.end.is_none());
        let again = fresh_syn.and_then(|fresh_syn| fresh_syn.take_due(now));
        again.or_else(|| self.dup_acks.as_mut()?.take_due(now)).or_else(|| self.take_fin())
    }

    fn take_fin(&mut self) -> Option<Vec<u8>> {
        let (ack_injector, socket) = (self.ack_injector.as_mut()?, self.socket.as_ref()?);
        ack_injector.compose_fin(self.flow, socket.state(), socket.send_queue() > 0)
    }

    /// The time at which [`Connection::check_time`] or [`Connection::take_due`] has something to do
    pub(crate) fn deadline(&self) -> Time {
        let linger = match self.holder {
            Holder::None { until } => until,
            Holder::User | Holder::Backlog(_) => NEVER,
        };
        let dup_acks =
            self.dup_acks.as_ref().and_then(|dup_acks| dup_acks.deadline()).unwrap_or(NEVER);
        let repair = self.ack_injector.as_ref().map_or(NEVER, |it| it.congestion.deadline());
        let fresh_syn = self.fresh_syn.as_ref().map_or(NEVER, |fresh_syn| fresh_syn.deadline());
        let held = dup_acks.min(fresh_syn);
        if self.end.is_some() { NEVER } else { linger.min(self.patience()).min(held).min(repair) }
    }

    fn patience(&self) -> Time {
        match (self.owed, self.was) {
            (NEVER, _) => self.keepalive_patience(),
            (_, State::SynReceived) => self.heard.saturating_add(HANDSHAKE),
            (owed, _) => self.heard.max(owed).saturating_add(self.user_timeout),
        }
    }

    /// The time at which a peer that owes nothing has been silent for too long; never without keepalive
    fn keepalive_patience(&self) -> Time {
        match self.socket().and_then(TcpEngine::keepalive) {
            Some(every) if !self.waits_for_window() => {
                self.heard.saturating_add(every).saturating_add(self.user_timeout)
            }
            _ => NEVER,
        }
    }

    /// Returns true if the peer owes an acknowledgment; for a SYN the caller's own timeout is the limit
    pub(super) fn owes(&self) -> bool {
        self.socket().is_some_and(|socket| match socket.state() {
            State::Closed | State::Listen | State::SynSent | State::TimeWait => false,
            State::SynReceived | State::FinWait1 | State::Closing | State::LastAck => true,
            State::Established | State::FinWait2 | State::CloseWait => socket.send_queue() > 0,
        })
    }
}

/// The duration, held to a second at least and a day at most
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
    u32::try_from(linger).unwrap_or(MAX_LINGER).min(MAX_LINGER)
}

/// The longest time that a connection without a user is kept
pub(super) const MAX_LINGER: u32 = 60_000_000;

/// The value for "no time was set", which lasts as long as [`MAX_LINGER`]
pub(super) const LONGEST: u32 = u32::MAX;

/// The time that the peer of an incoming connection has for its part of the handshake
const HANDSHAKE: Time = 30_000_000;
