//! The driver: one task and one socket for all tunnels of a client
//!
//! It alone assigns sequence numbers and coherency counts, so their order is the order on the wire.
//!
//! | module | content |
//! |---|---|
//! | `driver_shared`, `counters`, `handle` | the state that a driver shares with tunnels and clients, and its handle |
//! | `start` | the start of a driver |
//! | `turn`, `turn_flags` | one tunnel's turn, and the flags of the turns that wait |
//! | `tunnel_shared` | the state of one tunnel |
//! | `deadlines` | the deadlines of all tunnels |
//! | `flood_budget` | the bound on the time of useless datagrams |
//! | `peer_calls`, `strangers` | the calls that ICMP messages and foreign datagrams are about |
//! | `registry` | the tunnels of one client |
//! | `beats` | the signs of life, for watchdogs |

mod beats;
mod counters;
mod deadlines;
pub(crate) mod driver_shared;
mod flood_budget;
pub(crate) mod handle;
mod peer_calls;
pub(crate) mod registry;
mod start;
mod strangers;
pub(crate) mod tunnel_shared;
mod turn;
mod turn_flags;

use std::{
    collections::VecDeque,
    future::pending,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use pptp_gre_socket::{BATCH, GreSocket, ReceiveBatch, SendBatch};
use pptp_packet::Wakers;
use tokio::time::sleep_until;

use self::{
    beats::Heart,
    deadlines::Deadlines,
    driver_shared::DriverShared,
    flood_budget::FloodBudget,
    peer_calls::PeerCalls,
    strangers::call_ids,
    tunnel_shared::{TunnelShared, stopped},
    turn::{Inputs, Outcome, Outputs, guarded},
};
use crate::clock::now;

pub(crate) struct Driver<S> {
    shared: Arc<DriverShared<TunnelShared>>,
    socket: S,
    receive: ReceiveBatch,
    send: SendBatch,
    deadlines: Deadlines,
    peer_calls: PeerCalls,
    /// The call of each datagram of the batch, by index; used again for each batch
    order: Vec<(u16, usize)>,
    wakers: Wakers,
    /// Used again for each round
    timers_due: VecDeque<Arc<TunnelShared>>,
    /// Datagrams of the batch with a Call ID of ours that is not theirs; hardly ever any
    strangers: Vec<(Arc<TunnelShared>, usize)>,
    /// The socket took less than it was given: no outputs until it is writable
    blocked: bool,
    flood_budget: FloodBudget,
    round: Round,
    drops_read: Instant,
    heart: Heart,
}

/// The datagrams of a round of the driver
#[derive(Debug, Default)]
struct Round {
    datagrams: usize,
    /// The useless ones: for no call, from another sender, or nothing came out of them
    useless: usize,
}

impl<S: GreSocket> Driver<S> {
    pub(crate) fn new(shared: Arc<DriverShared<TunnelShared>>, socket: S, heart: Heart) -> Self {
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

    /// Until the last client and the last tunnel are gone
    pub(crate) async fn run(mut self) {
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

    /// Takes one batch from the socket, and marks the tunnels that it is for
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

    /// Takes the outputs of each tunnel that waits for a turn with packets
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
            let Some(tunnel) = self.shared.pop_can_send() else { break };
            tunnel.turns().begin_turn();
            self.take_outputs(&tunnel, now, quantum);
        }
        self.flush();
        if self.blocked {
            self.tell(now);
        } else {
            self.shared.take_timers_due(&mut self.timers_due);
            self.keep_timers_due();
        }
        self.count_drops(now);
    }

    /// Keeps those that were marked since their turn: the socket may take nothing in the next round
    fn keep_timers_due(&mut self) {
        for tunnel in self.timers_due.drain(..) {
            if tunnel.turns().are_timers_due() {
                self.shared.push_timers_due(tunnel);
            }
        }
    }

    /// Takes the outputs that need no socket, of each tunnel with timers due: deadlines, the control
    /// connection's octets, and the end
    fn tell(&mut self, now: Instant) {
        while let Some(tunnel) = self.shared.pop_timers_due() {
            if tunnel.turns().begin_timers_turn() {
                self.take_outputs(&tunnel, now, NO_PACKETS);
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
            if let Some(tunnel) = self.shared.tunnel(call_id) {
                self.take_inputs(&tunnel, now, group);
            }
        }
        self.order.clear();
    }

    /// Orders the batch by call, each call's datagrams in the order of their arrival, so that a
    /// tunnel is locked once per batch
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
                let tunnel = meant.find_map(|call_id| calls.get_by_id(call_id));
                let tunnel = tunnel.filter(|tunnel| tunnel.strangers.take());
                self.strangers.extend(tunnel.map(|tunnel| (Arc::clone(tunnel), index)));
            }
        }
        drop(calls);
        self.tell_strangers();
        self.round.useless = unknown;
        self.shared.counters().unknown_call.fetch_add(unknown as u64, Ordering::Relaxed);
        self.order.sort_unstable();
    }

    fn tell_strangers(&mut self) {
        for (tunnel, index) in self.strangers.drain(..) {
            if let Some(datagram) = self.receive.datagram(index) {
                tunnel.stranger(datagram.source, datagram.gre);
            }
        }
    }

    /// Gives a tunnel the datagrams `self.order[group]`
    fn take_inputs(&mut self, tunnel: &Arc<TunnelShared>, now: Instant, group: Range<usize>) {
        let mut inputs = Inputs {
            now,
            tunnel,
            datagrams: self.order.get(group).unwrap_or_default(),
            receive: &mut self.receive,
            send: &mut self.send,
            wakers: &mut self.wakers,
        };
        match guarded(|| inputs.take()) {
            Ok(useless) => {
                self.round.useless += useless;
                tunnel.mark_timers_due();
            }
            Err(message) => self.panicked(tunnel, message),
        }
        self.shared.wake(&mut self.wakers);
    }

    /// At most `quantum` packets, and what the state machine itself has to say
    fn take_outputs(&mut self, tunnel: &Arc<TunnelShared>, now: Instant, quantum: usize) {
        self.shared.counters().turns.fetch_add(1, Ordering::Relaxed);
        let (send, wakers) = (&mut self.send, &mut self.wakers);
        let mut outputs = Outputs { now, tunnel, send, quantum, wakers };
        match guarded(|| outputs.take()) {
            Ok(outcome) => self.follow(tunnel, outcome),
            Err(message) => self.panicked(tunnel, message),
        }
        self.shared.wake(&mut self.wakers);
    }

    fn follow(&mut self, tunnel: &Arc<TunnelShared>, outcome: Outcome) {
        self.deadlines.set(tunnel, outcome.deadline);
        self.note_peer_call(tunnel, outcome.peer_call_id);
        if outcome.more {
            tunnel.mark_can_send();
        }
        if outcome.password_changed {
            tunnel.password_changed();
        }
        if let Some(question) = outcome.question {
            tunnel.ask(question);
        }
        if let Some(state) = outcome.state {
            tunnel.tell(state);
        }
        if outcome.wakes_control {
            tunnel.control.notify_one();
        }
        if outcome.path_known {
            tunnel.tell_path();
        }
        if let Some(reason) = outcome.ended {
            tunnel.end(reason);
        }
        if outcome.finished {
            tunnel.finish();
            self.deadlines.forget(tunnel);
            self.note_peer_call(tunnel, None);
        }
    }

    fn panicked(&mut self, tunnel: &TunnelShared, message: String) {
        self.shared.counters().panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(parent: &tunnel.span, %message, "a turn panicked; its tunnel is ended");
        tunnel.end_after_panic(message);
        self.deadlines.forget(tunnel);
        self.note_peer_call(tunnel, None);
        self.send.replace_lost_slots();
    }

    fn flush(&mut self) {
        if self.send.is_empty() {
            self.blocked = false;
            return;
        }
        let shared = &self.shared;
        let sent = self.socket.send(&mut self.send, |tag, error| {
            let tunnel = u16::try_from(tag).ok().and_then(|call_id| shared.tunnel(call_id));
            if let Some(tunnel) = tunnel {
                tunnel.send_failed(&error);
            }
        });
        match sent {
            Ok(all_gone) => self.blocked = !all_gone,
            Err(error) => tracing::warn!(%error, "the GRE socket cannot be written"),
        }
    }

    fn note_peer_call(&mut self, tunnel: &TunnelShared, peer_call_id: Option<u16>) {
        if let Some(route) = tunnel.route() {
            let quoted = peer_call_id.map(|peer_call_id| (*route.server.ip(), peer_call_id));
            self.peer_calls.note(route.call_id, quoted);
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
            if let Some(tunnel) = named.and_then(|call_id| shared.tunnel(call_id)) {
                tunnel.protocol_unreachable();
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
        if let Some(tunnel) = self.shared.tunnel(call_id) {
            tunnel.mark_timers_due();
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

/// A driver that ends while there are tunnels was stopped by force: its runtime is going, or it panicked
impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        let failure = stopped("the driver");
        for tunnel in self.shared.drain() {
            tunnel.abandon(failure.clone());
        }
    }
}

/// Packets that a tunnel may send in one turn however many others wait for theirs
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
