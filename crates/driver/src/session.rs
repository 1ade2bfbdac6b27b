//! A session as its driver knows it: its shared part, and the part behind its lock

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, MutexGuard},
    time::Instant,
};

use pptp_packet::Wakers;

use crate::{CallEnds, Carrier, DriverShared, Slots, TurnFlags};

/// One session of a driver: a client's tunnel, or a server's client
///
/// The driver, the task of the control connection and the users share it. What changes is behind a lock, which the
/// driver takes once for a turn and never holds across an await. The methods that are called with the lock released
/// say so: they may lock again, and wake tasks.
pub trait Session: Send + Sync + Sized + 'static {
    /// The part that the lock guards
    type Guarded: Guarded;

    /// Locks the guarded part, also if a turn has panicked in it
    fn lock(&self) -> MutexGuard<'_, Self::Guarded>;

    /// Returns the addresses between which its datagrams go; `None` before it has a Call ID
    fn ends(&self) -> Option<CallEnds>;

    /// Returns its flags in the queues of the driver
    fn turns(&self) -> &TurnFlags;

    /// Returns the span of its log messages
    fn span(&self) -> &tracing::Span;

    /// Returns what it shares with its driver
    fn driver(&self) -> &DriverShared<Self>;

    /// Acts on what a turn's outputs brought; called with the lock released
    ///
    /// If `wakes_control`, the task of the control connection has something to do.
    fn follow(self: &Arc<Self>, news: News<Self>, wakes_control: bool);

    /// Ends the session, of which nothing more will come; called with the lock released
    fn finish(&self);

    /// Ends the session, one turn of which panicked; called with the lock released
    fn panicked(&self, message: String);

    /// Ends the session, because its driver is gone; called with the lock released
    fn driver_gone(&self);

    /// Notes that one of its datagrams was not sent; called with the lock released
    fn not_sent(&self, error: &io::Error);

    /// Notes an ICMP message "protocol unreachable" about its datagrams; called with the lock released
    ///
    /// Only for a session with [`Guarded::quoted_call_id`]. Anybody can send such a message.
    fn protocol_unreachable(self: &Arc<Self>) {}

    /// Returns true if a datagram with its Call ID that is not its own is worth a look
    ///
    /// Each look costs the lock, and anybody may send such datagrams: the session bounds their number.
    fn examines_strangers(&self) -> bool {
        false
    }

    /// Looks at a datagram with its Call ID that is not its own; called with the lock released
    fn stranger(&self, _from: Ipv4Addr, _datagram: &mut [u8]) {}

    /// Asks the driver for a turn with packets; any number of calls before that turn count as one
    fn mark_can_send(self: &Arc<Self>) {
        self.turns().mark_can_send(|| self.driver().push_can_send(Arc::clone(self)));
    }

    /// Asks the driver for a turn that does not wait for the socket
    ///
    /// A deadline has passed, or the peer has sent something that may end the session.
    fn mark_timers_due(self: &Arc<Self>) {
        self.turns().mark_timers_due(|| self.driver().push_timers_due(Arc::clone(self)));
        self.mark_can_send();
    }
}

/// The news of a turn of this kind of session
pub type News<T> = <<T as Session>::Guarded as Guarded>::News;

/// The event of the carrier of this kind of guarded part
pub type CarrierEvent<G> = <<G as Guarded>::Carrier as Carrier>::Event;

/// The guarded part of a session: its carrier, and the users of the IP packets
pub trait Guarded {
    /// The state machine
    type Carrier: Carrier;

    /// The consequences of a turn's events, for when the lock is released
    type News: Default;

    /// Returns the machine; `None` before it is started and after its end
    fn carrier(&self) -> Option<&Self::Carrier>;

    /// Returns the machine
    fn carrier_mut(&mut self) -> Option<&mut Self::Carrier>;

    /// Hands an IP packet to its user; a reply may be composed at once, into `slots`
    fn deliver(&mut self, now: Instant, packet: &mut [u8], slots: Slots<'_>);

    /// Does the session's own work at the begin of a turn's outputs
    fn handle_timeout(&mut self, _now: Instant) {}

    /// Takes an event, and adds to the news what it leads to
    fn handle_event(&mut self, now: Instant, event: CarrierEvent<Self>, news: &mut Self::News);

    /// Lets the users of the IP packets send, as far as there are slots
    fn egress(&mut self, now: Instant, slots: Slots<'_>, wakers: &mut Wakers) -> Packets;

    /// Moves the machine's octets to those that wait for the control connection; returns true if there were any
    fn poll_control(&mut self, now: Instant) -> bool;

    /// Moves the wakers of tasks that have something to do since the latest inputs
    fn drain_wakers(&mut self, _into: &mut Wakers) {}

    /// Returns the time of the next [`Self::handle_timeout`]
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Returns true if another turn is wanted right after this one
    fn wants_turn(&self, _now: Instant) -> bool {
        false
    }

    /// Returns the peer's Call ID while an ICMP message about it counts
    fn quoted_call_id(&self) -> Option<u16> {
        None
    }

    /// Decides what follows the end of the machine, which is finished
    fn carrier_finished(&mut self) -> AfterCarrier {
        AfterCarrier::Finished
    }
}

/// The step that follows the end of a carrier
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCarrier {
    /// Nothing: the session is finished
    Finished,
    /// Another carrier, which the task of the control connection starts
    Another,
}

/// The work that is left for the IP packets that wait
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packets {
    /// More packets wait than there were slots for
    pub more: bool,
    /// The time at which the next packet may be due
    pub deadline: Option<Instant>,
}
