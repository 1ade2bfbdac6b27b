//! One session's turn: inputs, then the outputs once, in a fixed order

mod uplink;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use pptp_gre_socket::{ReceiveBatch, SendBatch};
use pptp_packet::{Egress, Wakers};

use self::uplink::Datagrams;
pub use self::uplink::{Slots, Uplink};
use crate::{AfterCarrier, CallEnds, Carrier, Guarded, News, Session};

/// A session's inputs: its datagrams of one batch
pub(crate) struct Inputs<'a, T> {
    pub(crate) now: Instant,
    pub(crate) session: &'a T,
    /// (Call ID, index in `receive`)
    pub(crate) datagrams: &'a [(u16, usize)],
    pub(crate) receive: &'a mut ReceiveBatch,
    pub(crate) send: &'a mut SendBatch,
    /// To be woken when the lock is released
    pub(crate) wakers: &'a mut Wakers,
}

impl<T: Session> Inputs<'_, T> {
    /// Takes the datagrams in; what comes of them is left to [`Outputs`]
    ///
    /// Returns the number of useless ones.
    pub(crate) fn take(&mut self) -> usize {
        let _entered = self.session.span().enter();
        let Some(ends) = self.session.ends() else { return self.datagrams.len() };
        let mut guard = self.session.lock();
        let guarded = &mut *guard;
        let now = self.now;
        let before = useful_datagrams(guarded);
        for (_, index) in self.datagrams {
            let Some(datagram) = self.receive.datagram(*index) else { continue };
            let Some(carrier) = guarded.carrier_mut() else { continue };
            if let Some(packet) = carrier.handle_datagram(now, datagram.gre) {
                guarded.deliver(now, packet, reply_slots(self.send, ends, now));
            }
            deliver_delayed(guarded, now, self.send, ends);
        }
        let useful = useful_datagrams(guarded).saturating_sub(before);
        let useful = usize::try_from(useful).unwrap_or(usize::MAX);
        guarded.drain_wakers(self.wakers);
        self.datagrams.len().saturating_sub(useful)
    }
}

fn useful_datagrams(guarded: &impl Guarded) -> u64 {
    guarded.carrier().map_or(0, Carrier::useful_datagrams)
}

/// The slots for replies: each datagram of a batch has its slot, so a reply does not ask for one
const fn reply_slots(send: &mut SendBatch, ends: CallEnds, now: Instant) -> Slots<'_> {
    Slots { send, ends, now, quota: 0 }
}

/// Hands over the packets that had to wait for those before them
fn deliver_delayed(guarded: &mut impl Guarded, now: Instant, send: &mut SendBatch, ends: CallEnds) {
    while let Some(mut packet) = guarded.carrier_mut().and_then(|carrier| carrier.poll_ip(now)) {
        guarded.deliver(now, &mut packet, reply_slots(send, ends, now));
    }
}

/// A session's outputs, in their fixed order
pub(crate) struct Outputs<'a, T> {
    pub(crate) now: Instant,
    pub(crate) session: &'a T,
    pub(crate) send: &'a mut SendBatch,
    /// Packets that may be composed; with none the state machine composes nothing either
    pub(crate) quantum: usize,
    /// To be woken when the lock is released
    pub(crate) wakers: &'a mut Wakers,
}

/// The outcome of a turn, which the driver acts on
pub(crate) struct Outcome<N> {
    pub(crate) deadline: Option<Instant>,
    /// There is more to send than there was room for
    pub(crate) more: bool,
    /// The peer's Call ID, while an ICMP message about it counts
    pub(crate) peer_call_id: Option<u16>,
    /// To be told when the lock is released
    pub(crate) news: N,
    /// The control task has something to do, after the news have been told: what it does next makes
    /// others, and those who watch are to see both
    pub(crate) wakes_control: bool,
    /// True if the session is over and gets no more turns
    pub(crate) finished: bool,
}

impl<N: Default> Default for Outcome<N> {
    fn default() -> Self {
        Self {
            deadline: None,
            more: false,
            peer_call_id: None,
            news: N::default(),
            wakes_control: false,
            finished: false,
        }
    }
}

impl<T: Session> Outputs<'_, T> {
    pub(crate) fn take(&mut self) -> Outcome<News<T>> {
        let _entered = self.session.span().enter();
        let Some(ends) = self.session.ends() else { return Outcome::default() };
        let mut guard = self.session.lock();
        let guarded = &mut *guard;
        if let Some(carrier) = guarded.carrier_mut() {
            carrier.handle_timeout(self.now);
        }
        deliver_delayed(guarded, self.now, self.send, ends);
        guarded.handle_timeout(self.now);
        self.outputs(guarded, ends)
    }

    /// Takes all outputs of the state machine, in the order that its contract asks for
    ///
    /// Events come first, since they say whether packets pass, and how. Control frames come before the
    /// packets: a peer takes no packet before it has our last Configure-Ack. Bare acknowledgments come
    /// after the packets, which may have taken them along.
    fn outputs<G: Guarded>(&mut self, guarded: &mut G, ends: CallEnds) -> Outcome<G::News> {
        let now = self.now;
        let mut news = G::News::default();
        while let Some(event) = guarded.carrier_mut().and_then(Carrier::poll_event) {
            guarded.handle_event(now, event, &mut news);
        }
        if let Some(carrier) = guarded.carrier_mut() {
            carrier.poll_frames(now, &mut self.datagrams(ends));
        }
        let slots = Slots { send: self.send, ends, now, quota: self.quantum };
        let packets = guarded.egress(now, slots, self.wakers);
        let mut datagrams = self.datagrams(ends);
        let Some(carrier) = guarded.carrier_mut() else {
            return Outcome { news, ..Outcome::default() };
        };
        carrier.poll_datagrams(now, &mut datagrams);
        let full = !datagrams.has_room();
        let has_control_out = guarded.poll_control(now);
        let carrier = guarded.carrier();
        let deadline = carrier.and_then(Carrier::poll_timeout);
        let is_finished = carrier.is_some_and(Carrier::is_finished);
        let peer_call_id = guarded.quoted_call_id();
        let after = is_finished.then(|| guarded.carrier_finished());
        let is_followed = after == Some(AfterCarrier::Another);
        let deadline = [deadline, packets.deadline, guarded.poll_timeout()].into_iter().flatten();
        Outcome {
            deadline: deadline.min().map(|deadline| self.not_at_once(deadline)),
            peer_call_id: peer_call_id.filter(|_| !is_followed),
            // what there was no room for has no deadline
            more: packets.more || full || guarded.wants_turn(now),
            news,
            wakes_control: has_control_out || is_followed,
            finished: is_finished && !is_followed,
        }
    }

    /// A deadline that has passed and is still there waits for the socket, and hides those behind it
    fn not_at_once(&self, deadline: Instant) -> Instant {
        if self.quantum == 0 { deadline.max(self.now + LOOK_AGAIN) } else { deadline }
    }

    const fn datagrams(&mut self, ends: CallEnds) -> Datagrams<'_> {
        Datagrams { send: self.send, ends, none: self.quantum == 0 }
    }
}

/// While the socket takes nothing, what has no packet to wait for is looked at so often
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Runs a turn so that its panic stays its own
pub(crate) fn guarded<R>(turn: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(turn)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}
