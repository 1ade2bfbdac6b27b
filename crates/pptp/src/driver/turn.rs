//! One tunnel's turn: inputs, then the outputs once, in a fixed order

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use pptp_gre_socket::{BATCH, Outgoing, ReceiveBatch, SendBatch};
use pptp_packet::{Egress, PacketBuf, Wakers};
use pptp_tunnel::{Event, Facts, NotNow, Question, Tunnel as Machine, TunnelError};

use crate::{
    Info, State,
    driver::{
        driver_shared::DriverShared,
        tunnel_shared::{Inner, Route, TunnelShared, stack_of},
    },
    known_path::KnownPath,
    raw_ip::RawPort,
    record::{Captures, Direction},
};

/// A tunnel's inputs: its datagrams of one batch
pub(crate) struct Inputs<'a> {
    pub(crate) now: Instant,
    pub(crate) tunnel: &'a TunnelShared,
    /// (Call ID, index in `receive`)
    pub(crate) datagrams: &'a [(u16, usize)],
    pub(crate) receive: &'a mut ReceiveBatch,
    pub(crate) send: &'a mut SendBatch,
    /// To be woken when the lock is released
    pub(crate) wakers: &'a mut Wakers,
}

impl Inputs<'_> {
    /// Takes the datagrams in; what comes of them is left to [`Outputs`]
    ///
    /// Returns the number of useless ones.
    pub(crate) fn take(&mut self) -> usize {
        let _entered = self.tunnel.span.enter();
        let Some(route) = self.tunnel.route() else { return self.datagrams.len() };
        let mut guard = self.tunnel.lock();
        let inner = &mut *guard;
        let now = self.now;
        let useful =
            |inner: &Inner| inner.machine.as_ref().map_or(0, |machine| machine.useful_datagrams());
        let before = useful(inner);
        for (_, index) in self.datagrams {
            let Some(datagram) = self.receive.datagram(*index) else { continue };
            let Some(machine) = &mut inner.machine else { continue };
            if let Some(packet) = machine.handle_gre(now, datagram.gre) {
                deliver(inner, &self.tunnel.driver(), now, packet, self.send, route);
            }
            deliver_delayed(inner, &self.tunnel.driver(), now, self.send, route);
        }
        let useful = usize::try_from(useful(inner).saturating_sub(before)).unwrap_or(usize::MAX);
        let Inner { stack, raw, captures, .. } = inner;
        if let Some(raw) = raw {
            raw.drain_wakers(self.wakers);
        }
        if let Some(stack) = stack {
            stack.drain_wakers(self.wakers);
        }
        if let Some(captures) = captures {
            captures.drain_wakers(self.wakers);
        }
        self.datagrams.len().saturating_sub(useful)
    }
}

/// Hands an IP packet to whoever takes the tunnel's packets
fn deliver(
    inner: &mut Inner,
    driver: &DriverShared<TunnelShared>,
    now: Instant,
    packet: &mut [u8],
    send: &mut SendBatch,
    route: Route,
) {
    let Inner { machine: Some(machine), stack, raw, captures, info, ended, hold_until, .. } = inner
    else {
        return;
    };
    if let Some(captures) = captures {
        captures.take(now, Direction::Inbound, packet);
    }
    if let Some(raw) = raw {
        raw.deliver(packet);
    } else if let Some(stack) =
        stack_of(stack, driver, info.as_deref(), ended.as_deref(), *hold_until)
    {
        // a reply within the stack does not ask: each datagram of a batch has its slot
        let mut uplink = Uplink { machine, captures, send, route, now, quota: 0 };
        stack.ingress(now, packet, &mut uplink);
    }
}

/// The packets that had waited for those before them
fn deliver_delayed(
    inner: &mut Inner,
    driver: &DriverShared<TunnelShared>,
    now: Instant,
    send: &mut SendBatch,
    route: Route,
) {
    while let Some(mut packet) = inner.machine.as_mut().and_then(|machine| machine.poll_ip(now)) {
        deliver(inner, driver, now, &mut packet, send, route);
    }
}

/// A tunnel's outputs, in their fixed order
pub(crate) struct Outputs<'a> {
    pub(crate) now: Instant,
    pub(crate) tunnel: &'a TunnelShared,
    pub(crate) send: &'a mut SendBatch,
    /// Packets that may be composed; with none the state machine composes nothing either
    pub(crate) quantum: usize,
    /// To be woken when the lock is released
    pub(crate) wakers: &'a mut Wakers,
}

/// What came of a turn
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) deadline: Option<Instant>,
    /// There is more to send than there was room for
    pub(crate) more: bool,
    /// The peer's Call ID, while GRE may still turn out not to pass
    pub(crate) peer_call_id: Option<u16>,
    /// To be told when the lock is released, before the end
    pub(crate) state: Option<State>,
    /// Those who wait to know whether packets pass are to be told, too
    pub(crate) path_known: bool,
    pub(crate) ended: Option<TunnelError>,
    /// To be asked of the caller
    pub(crate) question: Option<Question>,
    /// The server took a new password
    pub(crate) password_changed: bool,
    /// The control task has something to do, after the state has been told: what it does next tells
    /// another one, and those who watch are to see both
    pub(crate) wakes_control: bool,
    /// Nothing more will happen
    pub(crate) finished: bool,
}

/// What the state machine's events call for
#[derive(Default)]
struct News {
    /// The latest; whoever watches sees no more than that
    state: Option<State>,
    path_known: bool,
    ended: Option<TunnelError>,
    question: Option<Question>,
    password_changed: bool,
}

/// What is left to do for the IP packets that wait
#[derive(Default)]
struct Packets {
    more: bool,
    deadline: Option<Instant>,
}

impl Outputs<'_> {
    pub(crate) fn take(&mut self) -> Outcome {
        let _entered = self.tunnel.span.enter();
        let Some(route) = self.tunnel.route() else { return Outcome::default() };
        let mut guard = self.tunnel.lock();
        let inner = &mut *guard;
        #[cfg(feature = "fault-injection")]
        assert!(!std::mem::take(&mut inner.panic_next), "injected");
        if let Some(machine) = &mut inner.machine {
            machine.handle_timeout(self.now);
        }
        deliver_delayed(inner, &self.tunnel.driver(), self.now, self.send, route);
        inner.hang_up_if_due(self.now);
        self.outputs(inner, route)
    }

    fn outputs(&mut self, inner: &mut Inner, route: Route) -> Outcome {
        let News { state, path_known, ended, question, password_changed } =
            self.events(inner, route);
        if let Some(machine) = inner.machine.as_deref_mut() {
            machine.poll_frames(self.now, &mut self.datagrams(route));
        }
        let packets = self.egress(inner, route);
        let Some(machine) = inner.machine.as_deref_mut() else {
            return Outcome { state, ..Outcome::default() };
        };
        let now = self.now;
        let mut datagrams = self.datagrams(route);
        machine.poll_gre(now, &mut datagrams);
        let full = !datagrams.has_room();
        let mut wakes_control = machine.poll_control(self.now, &mut inner.control_out);
        let deadline = machine.poll_timeout().map(|(at, _)| at);
        let peer_call_id = machine.peer_call_id().filter(|_| inner.dialling.is_some());
        let mut finished = machine.is_finished();
        if finished && inner.redials {
            // the control task takes it from here
            inner.timeline = Some(Box::new(machine.timeline().clone()));
            inner.machine = None;
            finished = false;
            wakes_control = true;
        }
        let deadline = [deadline, packets.deadline, inner.hang_up_by].into_iter().flatten().min();
        Outcome {
            deadline: deadline.map(|deadline| self.not_at_once(deadline)),
            peer_call_id: peer_call_id.filter(|_| inner.machine.is_some()),
            // what there was no room for has no deadline
            more: packets.more || full || inner.may_hang_up(self.now),
            state,
            path_known,
            ended,
            question,
            password_changed,
            wakes_control,
            finished,
        }
    }

    /// A deadline that has passed and is still there waits for the socket, and hides those behind it
    fn not_at_once(&self, deadline: Instant) -> Instant {
        if self.quantum == 0 { deadline.max(self.now + LOOK_AGAIN) } else { deadline }
    }

    fn datagrams(&mut self, route: Route) -> Datagrams<'_> {
        Datagrams { send: self.send, route, none: self.quantum == 0 }
    }

    /// Lets the sockets, or whoever took their place, send what they have
    fn egress(&mut self, inner: &mut Inner, route: Route) -> Packets {
        let Inner { machine: Some(machine), stack, raw, captures, .. } = inner else {
            return Packets::default();
        };
        let now = self.now;
        let quota = self.quantum;
        let mut uplink = Uplink { machine, captures, send: self.send, route, now, quota };
        let (left, deadline) = match (raw, stack) {
            (Some(raw), _) => {
                let left = raw_egress(raw, &mut uplink);
                raw.drain_wakers(self.wakers);
                (left, None)
            }
            (None, Some(stack)) => {
                let left = stack.egress(now, &mut uplink);
                let deadline = stack.poll_timeout(now);
                stack.drain_wakers(self.wakers);
                stack.take_ready();
                (left, deadline)
            }
            (None, None) => return Packets::default(),
        };
        if let Some(captures) = captures {
            captures.drain_wakers(self.wakers);
        }
        match machine.may_send(now) {
            Ok(()) => Packets { more: left, deadline },
            Err(NotNow::PacedUntil(until)) if left => {
                Packets { more: false, deadline: Some(until) }
            }
            Err(NotNow::PacedUntil(_)) => Packets { more: false, deadline },
            // the event that ends this brings a turn of its own
            Err(NotNow::NotUp) => Packets::default(),
        }
    }

    fn events(&mut self, inner: &mut Inner, route: Route) -> News {
        let mut news = News::default();
        while let Some(event) = inner.machine.as_mut().and_then(|machine| machine.poll_event()) {
            match event {
                Event::Phase(phase) => {
                    tracing::debug!(%phase, "reached");
                    news.state = Some(State::Connecting { phase });
                }
                Event::Up(facts) => {
                    self.up(inner, route, &facts);
                    news.state = Some(State::Up);
                }
                Event::Reachable(reachability) => {
                    tracing::debug!(?reachability, "the path");
                    inner.path_is(reachability);
                    news.path_known = true;
                }
                Event::Renegotiating => {
                    tracing::info!("renegotiating");
                    news.state = Some(State::Renegotiating);
                }
                Event::Down(error) => match inner.redial(route.server, &error) {
                    Some(why) => {
                        tracing::info!(?why, "redialling");
                        news.state = Some(State::Redialling { why });
                    }
                    None => news.ended = Some(inner.explained(error)),
                },
                Event::Identification(text) => tracing::info!(?text, "the server says who it is"),
                Event::TimeRemaining { left, message } => {
                    tracing::info!(?left, ?message, "the server will hang up");
                }
                Event::Ask(question) => {
                    tracing::info!(%question, "asking");
                    news.question = Some(question);
                }
                Event::PasswordChanged => {
                    tracing::info!("the server has taken the new password");
                    news.password_changed = true;
                }
                // an event of a later version of the state machine
                _ => {}
            }
        }
        news
    }

    fn up(&mut self, inner: &mut Inner, route: Route, facts: &Facts) {
        let peer = inner.machine.as_ref().and_then(|machine| machine.peer());
        let (quirks, proof_memory) = match (inner.dialling.take(), &inner.info) {
            (Some(dialling), _) => {
                inner.proves_path = dialling.config.path_proof;
                (dialling.lesson(peer), dialling.config.proof_memory.saturating_sub(1))
            }
            (None, Some(info)) => (info.quirks.clone(), info.path.proof_memory()),
            (None, None) => (None, 0),
        };
        let info = Arc::new(Info {
            path: KnownPath::new(proof_memory),
            ..Info::new(route.server, facts, quirks)
        });
        tracing::info!(address = %info.inner_address, mtu = info.mtu, "up");
        let mtu = usize::from(info.mtu);
        if let Some(stack) = &mut inner.stack {
            stack.reconfigure(self.now, info.inner_address, mtu, info.dns.clone());
        }
        if let Some(raw) = &mut inner.raw {
            raw.reconfigure(mtu, info.ipv6.is_some());
        }
        inner.info = Some(info);
        inner.path_begins(self.now);
    }
}

impl Inner {
    fn hang_up_if_due(&mut self, now: Instant) {
        if self.may_hang_up(now)
            && let Some(machine) = &mut self.machine
        {
            machine.close(now);
            self.hang_up_by = None;
        }
    }

    /// Whether nothing is to be waited for any more with a hang-up that was asked for
    fn may_hang_up(&self, now: Instant) -> bool {
        let (Some(by), Some(machine)) = (self.hang_up_by, &self.machine) else { return false };
        let is_flushed = self.raw.as_ref().is_none_or(|raw| raw.next_to_send().is_none())
            && self.stack.as_ref().is_none_or(|stack| stack.is_flushed());
        by <= now || is_flushed || machine.may_send(now) == Err(NotNow::NotUp)
    }
}

/// True if something is left for which there was no room
fn raw_egress(raw: &mut RawPort, uplink: &mut Uplink<'_>) -> bool {
    while let Some(packet) = raw.next_to_send() {
        if !uplink.has_room() {
            return true;
        }
        uplink.compose(packet.len(), |room| room.copy_from_slice(packet));
        raw.sent();
    }
    false
}

/// The one place where the state machine and the stack meet: what the stack composes is sealed
struct Uplink<'a> {
    machine: &'a mut Machine,
    captures: &'a mut Option<Box<Captures>>,
    send: &'a mut SendBatch,
    route: Route,
    now: Instant,
    /// Packets that may still be composed in this turn
    quota: usize,
}

impl Egress for Uplink<'_> {
    /// Half of the slots are for replies and for the state machines themselves
    fn has_room(&self) -> bool {
        self.quota > 0 && self.send.room() > BATCH && self.machine.may_send(self.now).is_ok()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Self { machine, captures, send, route, now, quota } = self;
        *quota = quota.saturating_sub(1);
        let Some(mut packet) = send.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        if machine.may_send(*now) == Err(NotNow::NotUp) {
            send.put_back(packet);
        } else {
            // a reply within the stack does not ask: the peer's window is advisory, so it may pass
            if let Some(captures) = captures {
                captures.take(*now, Direction::Outbound, packet.as_slice());
            }
            machine.seal(*now, &mut packet);
            send.push(route.outgoing(packet));
        }
        filled
    }
}

/// Whole datagrams of the state machine itself: control frames and acknowledgments
struct Datagrams<'a> {
    send: &'a mut SendBatch,
    route: Route,
    /// Not now
    none: bool,
}

impl Egress for Datagrams<'_> {
    fn has_room(&self) -> bool {
        !self.none && self.send.has_room()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Some(mut packet) = self.send.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        // a PAP request has the password in it
        packet.wipe_after_use();
        self.send.push(self.route.outgoing(packet));
        filled
    }
}

impl Route {
    fn outgoing(&self, packet: PacketBuf) -> Outgoing {
        Outgoing {
            packet,
            destination: *self.server.ip(),
            source: self.local.map(|local| *local.ip()),
            tag: u32::from(self.call_id),
        }
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
