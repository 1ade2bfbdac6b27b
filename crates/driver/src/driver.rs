//! The loop of a driver

use std::{
    collections::VecDeque,
    fmt,
    future::pending,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use pptp_gre_socket::{BATCH, GreSocket, ReceiveBatch, SendBatch};
use pptp_packet::Wakers;
use tokio::time::sleep_until;

use crate::{
    DriverShared, News, Session,
    beats::Heart,
    call_ids::call_ids,
    deadlines::Deadlines,
    flood_budget::FloodBudget,
    now,
    peer_calls::PeerCalls,
    turn::{Inputs, Outcome, Outputs, guarded},
};

/// A driver: the task and the socket of any number of sessions
///
/// It alone assigns sequence numbers and coherency counts, so their order is the order on the wire.
pub struct Driver<S, T: Session> {
    shared: Arc<DriverShared<T>>,
    socket: S,
    receive: ReceiveBatch,
    send: SendBatch,
    deadlines: Deadlines,
    peer_calls: PeerCalls,
    /// The call of each datagram of the batch, by index; used again for each batch
    order: Vec<(u16, usize)>,
    wakers: Wakers,
    /// Used again for each round
    timers_due: VecDeque<Arc<T>>,
    /// Datagrams of the batch with a Call ID of ours that is not theirs; hardly ever any
    strangers: Vec<(Arc<T>, usize)>,
    /// The socket took less than it was given: no outputs until it is writable
    blocked: bool,
    flood_budget: FloodBudget,
    round: Round,
    drops_read: Instant,
    heart: Heart,
}

/// Prints nothing of its sessions, which print it
impl<S, T: Session> fmt::Debug for Driver<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// The datagrams of a round of the driver
#[derive(Debug, Default)]
struct Round {
    datagrams: usize,
    /// The useless ones: for no call, from another sender, or nothing came out of them
    useless: usize,
}

impl<S: GreSocket, T: Session> Driver<S, T> {
    pub(crate) fn new(shared: Arc<DriverShared<T>>, socket: S, heart: Heart) -> Self {
        Self {
            shared,
            socket,
            receive: ReceiveBatch::new(),
            // a reply for each datagram of a batch, and as much again, so that what is composed
            // meanwhile fills another system call
            send: SendBatch::new(2 * BATCH),
            deadlines: Deadlines::default(),
            peer_calls: PeerCalls::default(),
            order: Vec::with_capacity(BATCH),
            wakers: Wakers::new(),
            timers_due: VecDeque::new(),
            strangers: Vec::new(),
            blocked: false,
            flood_budget: FloodBudget::new(now()),
            round: Round::default(),
            drops_read: now(),
            heart,
        }
    }

    /// Drives the sessions, until the last handle is gone
    ///
    /// # Cancel safety
    /// A driver that is dropped ends its sessions: see [`Session::driver_gone`].
    pub async fn run(mut self) {
        while !self.shared.is_closing() {
            self.wait().await;
            let asked = self.shared.begin_round();
            let began = now();
            self.inputs(began);
            let inputs = self.took(began);
            // users' tasks on this thread read what came and write what they have to say to it: the
            // outputs are acknowledgment, window and answer in one
            tokio::task::yield_now().await;
            let began = now();
            self.outputs(began);
            self.account(inputs, began);
            self.shared.count_wakes(usize::from(self.heart.beat(asked)));
        }
    }

    async fn wait(&mut self) {
        if !self.blocked && self.shared.can_send_count() > 0 {
            return;
        }
        tokio::select! {
            biased;
            call_id = self.deadlines.next() => self.expire(call_id),
            () = self.shared.woken(), if !self.blocked => {}
            () = self.shared.woken_for_timers(), if self.blocked => {}
            _ = self.socket.readable(), if self.has_room_for_replies() => {}
            () = over(self.flood_budget.paused_until()) => {}
            _ = self.socket.writable(), if self.blocked => self.flush(),
        }
    }

    /// Takes one batch from the socket, and marks the sessions that it is for
    fn inputs(&mut self, now: Instant) {
        self.flush();
        if self.flood_budget.ends_pause(now) {
            self.resume(now);
        }
        if self.has_room_for_replies() {
            self.receive(now);
        }
        self.take_failures();
    }

    /// The time since `began`, in a round that has to be paid for; zero in others, which need not read
    /// the clock
    fn took(&self, began: Instant) -> Duration {
        if self.round.useless == 0 {
            return Duration::ZERO;
        }
        now().saturating_duration_since(began)
    }

    /// Pays for the useless datagrams of a round whose outputs began at `began`
    fn account(&mut self, inputs: Duration, began: Instant) {
        let outputs = self.took(began);
        let Round { datagrams, useless } = std::mem::take(&mut self.round);
        let ended = began.checked_add(outputs).unwrap_or(began);
        let took = inputs.saturating_add(outputs);
        if useless > 0 && self.flood_budget.spend(ended, took, useless, datagrams) {
            self.socket.pause();
            self.shared.counters().pauses.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Receives again after a pause
    fn resume(&mut self, now: Instant) {
        if let Err(error) = self.socket.resume() {
            tracing::warn!(%error, "the GRE socket cannot be watched; this is tried again");
            self.flood_budget.pause(now, RESUME_AGAIN);
        }
    }

    /// Takes the outputs of each session that waits for a turn in which it may send packets
    fn outputs(&mut self, now: Instant) {
        let waiting = self.shared.can_send_count();
        let quantum = BATCH.checked_div(waiting).unwrap_or_default().max(MIN_QUANTUM);
        for _ in 0..waiting {
            // as soon as there is a system call's worth: what is sealed before the socket turns out to
            // be full keeps everybody else waiting
            if self.send.len() >= BATCH {
                self.flush();
            }
            if self.blocked {
                break;
            }
            let Some(session) = self.shared.pop_can_send() else { break };
            session.turns().begin_turn();
            self.take_outputs(&session, now, quantum);
        }
        self.flush();
        if self.blocked {
            self.take_turns_without_packets(now);
        } else {
            self.shared.take_timers_due(&mut self.timers_due);
            self.keep_timers_due();
        }
        self.count_drops(now);
    }

    /// Keeps those that were marked since their turn: the socket may take nothing in the next round
    fn keep_timers_due(&mut self) {
        for session in self.timers_due.drain(..) {
            if session.turns().are_timers_due() {
                self.shared.push_timers_due(session);
            }
        }
    }

    /// Takes the outputs that need no socket, of each session with timers due: deadlines, the control
    /// connection's octets, and the end
    fn take_turns_without_packets(&mut self, now: Instant) {
        while let Some(session) = self.shared.pop_timers_due() {
            if session.turns().begin_timers_turn() {
                self.take_outputs(&session, now, NO_PACKETS);
            }
        }
    }

    /// Returns true if each datagram of a batch may be replied to: also while the socket takes no more, for
    /// what comes in then must not wait for what goes out
    fn has_room_for_replies(&self) -> bool {
        self.send.room() >= BATCH
    }

    fn receive(&mut self, now: Instant) {
        match self.socket.receive(&mut self.receive) {
            Ok(0) => return,
            Ok(count) => self.round.datagrams += count,
            Err(error) => {
                tracing::warn!(%error, "the GRE socket cannot be read");
                return;
            }
        }
        self.sort_by_call();
        let mut from = 0;
        while let Some((call_id, _)) = self.order.get(from).copied() {
            let same = self.order[from..].iter().take_while(|(call, _)| *call == call_id).count();
            let group = from..from + same;
            from = group.end;
            if let Some(session) = self.shared.session(call_id) {
                self.take_inputs(&session, now, group);
            }
        }
        self.order.clear();
    }

    /// Orders the batch by call, each call's datagrams in the order of their arrival, so that a
    /// session is locked once per batch
    fn sort_by_call(&mut self) {
        self.order.clear();
        let calls = self.shared.calls();
        let mut unknown = 0;
        for index in 0..BATCH {
            let Some(datagram) = self.receive.datagram(index) else { continue };
            let (named, behind_checksum) = call_ids(datagram.gre);
            let call_id = match named {
                0 => self.shared.zero_call(datagram.source).unwrap_or_default(),
                named => named,
            };
            if calls.get(call_id, datagram.source).is_some() {
                self.order.push((call_id, index));
            } else {
                unknown += 1;
                let mut meant = [Some(call_id), behind_checksum].into_iter().flatten();
                let session = meant.find_map(|call_id| calls.get_by_id(call_id));
                let session = session.filter(|session| session.examines_strangers());
                self.strangers.extend(session.map(|session| (Arc::clone(session), index)));
            }
        }
        drop(calls);
        self.show_strangers();
        self.round.useless = unknown;
        self.shared.counters().unknown_call.fetch_add(unknown as u64, Ordering::Relaxed);
        self.order.sort_unstable();
    }

    fn show_strangers(&mut self) {
        for (session, index) in self.strangers.drain(..) {
            if let Some(datagram) = self.receive.datagram(index) {
                session.stranger(datagram.source, datagram.gre);
            }
        }
    }

    /// Gives a session the datagrams `self.order[group]`
    fn take_inputs(&mut self, session: &Arc<T>, now: Instant, group: Range<usize>) {
        let mut inputs = Inputs {
            now,
            session: &**session,
            datagrams: self.order.get(group).unwrap_or_default(),
            receive: &mut self.receive,
            send: &mut self.send,
            wakers: &mut self.wakers,
        };
        match guarded(|| inputs.take()) {
            Ok(useless) => {
                self.round.useless += useless;
                session.mark_timers_due();
            }
            Err(message) => self.panicked(session, message),
        }
        self.shared.wake(&mut self.wakers);
    }

    /// At most `quantum` packets, and what the state machine itself has to say
    fn take_outputs(&mut self, session: &Arc<T>, now: Instant, quantum: usize) {
        self.shared.counters().turns.fetch_add(1, Ordering::Relaxed);
        let (send, wakers) = (&mut self.send, &mut self.wakers);
        let mut outputs = Outputs { now, session: &**session, send, quantum, wakers };
        match guarded(|| outputs.take()) {
            Ok(outcome) => self.follow(session, outcome),
            Err(message) => self.panicked(session, message),
        }
        self.shared.wake(&mut self.wakers);
    }

    fn follow(&mut self, session: &Arc<T>, outcome: Outcome<News<T>>) {
        if let (Some(ends), Some(deadline)) = (session.ends(), outcome.deadline) {
            self.deadlines.set(ends.call_id, deadline);
        }
        self.note_peer_call(session, outcome.peer_call_id);
        if outcome.more {
            session.mark_can_send();
        }
        session.follow(outcome.news, outcome.wakes_control);
        if outcome.finished {
            session.finish();
            self.forget(session);
        }
    }

    /// Removes the deadline and the quoted Call ID of a session that has ended
    fn forget(&mut self, session: &T) {
        if let Some(ends) = session.ends() {
            self.deadlines.forget(ends.call_id);
        }
        self.note_peer_call(session, None);
    }

    fn panicked(&mut self, session: &T, message: String) {
        self.shared.counters().panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(parent: session.span(), %message, "a turn panicked; its session is ended");
        session.panicked(message);
        self.forget(session);
        self.send.replace_lost_slots();
    }

    fn flush(&mut self) {
        if self.send.is_empty() {
            self.blocked = false;
            return;
        }
        let shared = &self.shared;
        let sent = self.socket.send(&mut self.send, |tag, error| {
            let session = u16::try_from(tag).ok().and_then(|call_id| shared.session(call_id));
            if let Some(session) = session {
                session.not_sent(&error);
            }
        });
        match sent {
            Ok(all_gone) => self.blocked = !all_gone,
            Err(error) => tracing::warn!(%error, "the GRE socket cannot be written"),
        }
    }

    fn note_peer_call(&mut self, session: &T, peer_call_id: Option<u16>) {
        if let Some(ends) = session.ends() {
            let quoted = peer_call_id.map(|peer_call_id| (ends.peer, peer_call_id));
            self.peer_calls.note(ends.call_id, quoted);
        }
    }

    /// Hands ICMP's protocol-unreachable to the calls that it names, by address and Call ID
    ///
    /// The 8 octets that RFC 792 has quoted are enough for the Call ID; a message without it is about no
    /// call. Anybody can send such messages, and an honest one is rare: each counts as useless.
    fn take_failures(&mut self) {
        let (shared, peer_calls) = (&self.shared, &self.peer_calls);
        let taken = self.socket.take_failures(|failure| {
            let quoted = failure.peer_call_id.filter(|_| failure.icmp == PROTOCOL_UNREACHABLE);
            let named = quoted.and_then(|call_id| peer_calls.find(failure.destination, call_id));
            if let Some(session) = named.and_then(|call_id| shared.session(call_id)) {
                session.protocol_unreachable();
            }
        });
        match taken {
            Ok(count) => {
                self.round.datagrams += count;
                self.round.useless += count;
            }
            Err(error) => tracing::warn!(%error, "the GRE socket's error queue cannot be read"),
        }
    }

    fn count_drops(&mut self, now: Instant) {
        if now.saturating_duration_since(self.drops_read) < DROPS_INTERVAL {
            return;
        }
        self.drops_read = now;
        if let Some(drops) = self.socket.kernel_drops() {
            self.shared.counters().kernel_drops.store(drops, Ordering::Relaxed);
        }
    }

    fn expire(&self, call_id: u16) {
        if let Some(session) = self.shared.session(call_id) {
            session.mark_timers_due();
        }
    }
}

/// Waits until a pause is over; for ever, if there is no pause
async fn over(paused_until: Option<Instant>) {
    match paused_until {
        Some(until) => sleep_until(until.into()).await,
        None => pending().await,
    }
}

/// Ends the sessions that are left: the driver was stopped by force (its runtime ended, or it panicked)
impl<S, T: Session> Drop for Driver<S, T> {
    fn drop(&mut self) {
        for session in self.shared.drain() {
            session.driver_gone();
        }
    }
}

/// Packets that a session may send in one turn however many others wait for theirs
///
/// So that one with a large window does not hold up those with small ones. A turn costs about half
/// of what a packet costs.
const MIN_QUANTUM: usize = 4;

/// The quantum of a turn while the socket takes nothing
const NO_PACKETS: usize = 0;

/// ICMP type 3, code 2 (RFC 792)
const PROTOCOL_UNREACHABLE: (u8, u8) = (3, 2);

/// Between attempts to have the runtime watch the socket, which fail when the kernel has no memory
const RESUME_AGAIN: Duration = Duration::from_millis(100);

/// The kernel's drops are read from a file, which takes some 50 µs
const DROPS_INTERVAL: Duration = Duration::from_secs(1);
