//! One tunnel's turn: inputs, then the outputs once, in a fixed order

mod uplink;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use pptp_gre_socket::{ReceiveBatch, SendBatch};
use pptp_packet::{Egress, Wakers};
use pptp_tunnel::{Event, Facts, NotNow, Question, Tunnel as Machine, TunnelError};

use self::uplink::{Datagrams, Uplink};
use crate::{
    Info, State,
    driver::tunnel_shared::{Inner, PacketUser, Route, TunnelShared},
    known_path::KnownPath,
    record::Direction,
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
        let before = inner.protocol.useful_datagrams();
        for (_, index) in self.datagrams {
            let Some(datagram) = self.receive.datagram(*index) else { continue };
            let Some(machine) = inner.protocol.machine_mut() else { continue };
            if let Some(packet) = machine.handle_gre(now, datagram.gre) {
                deliver(inner, now, packet, self.send, route);
            }
            deliver_delayed(inner, now, self.send, route);
        }
        let useful = inner.protocol.useful_datagrams().saturating_sub(before);
        let useful = usize::try_from(useful).unwrap_or(usize::MAX);
        inner.sockets.drain_wakers(self.wakers);
        self.datagrams.len().saturating_sub(useful)
    }
}

/// Hands an IP packet to the user of the tunnel's packets
fn deliver(inner: &mut Inner, now: Instant, packet: &mut [u8], send: &mut SendBatch, route: Route) {
    let Inner { protocol, sockets, negotiated, ending, .. } = inner;
    let Some(machine) = protocol.machine_mut() else { return };
    sockets.captures_mut().take(now, Direction::Inbound, packet);
    match sockets.receiver(negotiated, ending.error()) {
        (PacketUser::Raw(raw), _) => raw.deliver(packet),
        (PacketUser::Stack(stack), captures) => {
            // a reply within the stack does not ask: each datagram of a batch has its slot
            let mut uplink = Uplink { machine, captures, send, route, now, quota: 0 };
            stack.ingress(now, packet, &mut uplink);
        }
        (PacketUser::Nobody, _) => {}
    }
}

/// Hands over the packets that had to wait for those before them
fn deliver_delayed(inner: &mut Inner, now: Instant, send: &mut SendBatch, route: Route) {
    let next = |inner: &mut Inner| inner.protocol.machine_mut()?.poll_ip(now);
    while let Some(mut packet) = next(inner) {
        deliver(inner, now, &mut packet, send, route);
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

/// The outcome of a turn, which the driver acts on
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

/// The consequences of the state machine's events
#[derive(Default)]
struct News {
    /// The latest state: a `watch` holds no more than that
    state: Option<State>,
    path_known: bool,
    ended: Option<TunnelError>,
    question: Option<Question>,
    password_changed: bool,
}

/// The work that is left for the IP packets that wait
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
        assert!(!inner.take_injected_panic(), "injected");
        if let Some(machine) = inner.protocol.machine_mut() {
            machine.handle_timeout(self.now);
        }
        deliver_delayed(inner, self.now, self.send, route);
        inner.hang_up_if_due(self.now);
        self.outputs(inner, route)
    }

    /// Takes all outputs of the state machine, in the order that its contract asks for
    ///
    /// Events come first, since they say whether packets pass, and how. Control frames come before the
    /// packets: a peer takes no packet before it has our last Configure-Ack. Bare acknowledgments come
    /// after the packets, which may have taken them along.
    fn outputs(&mut self, inner: &mut Inner, route: Route) -> Outcome {
        let News { state, path_known, ended, question, password_changed } =
            self.events(inner, route);
        if let Some(machine) = inner.protocol.machine_mut() {
            machine.poll_frames(self.now, &mut self.datagrams(route));
        }
        let packets = self.egress(inner, route);
        let Some(machine) = inner.protocol.machine_mut() else {
            return Outcome { state, ..Outcome::default() };
        };
        let now = self.now;
        let mut datagrams = self.datagrams(route);
        machine.poll_gre(now, &mut datagrams);
        let full = !datagrams.has_room();
        let has_control_out = inner.protocol.poll_control(now);
        let machine = inner.protocol.machine();
        let deadline = machine.and_then(Machine::poll_timeout).map(|(at, _)| at);
        let peer_call_id = machine.and_then(Machine::peer_call_id);
        let peer_call_id = peer_call_id.filter(|_| inner.dial.is_dialling());
        let is_finished = machine.is_some_and(Machine::is_finished);
        let is_redialled = is_finished && inner.leave_to_redial();
        let deadline = [deadline, packets.deadline, inner.hang_up.by()].into_iter().flatten().min();
        Outcome {
            deadline: deadline.map(|deadline| self.not_at_once(deadline)),
            peer_call_id: peer_call_id.filter(|_| !is_redialled),
            // what there was no room for has no deadline
            more: packets.more || full || inner.may_hang_up(self.now),
            state,
            path_known,
            ended,
            question,
            password_changed,
            wakes_control: has_control_out || is_redialled,
            finished: is_finished && !is_redialled,
        }
    }

    /// A deadline that has passed and is still there waits for the socket, and hides those behind it
    fn not_at_once(&self, deadline: Instant) -> Instant {
        if self.quantum == 0 { deadline.max(self.now + LOOK_AGAIN) } else { deadline }
    }

    fn datagrams(&mut self, route: Route) -> Datagrams<'_> {
        Datagrams { send: self.send, route, none: self.quantum == 0 }
    }

    /// Lets the users of the tunnel's packets send
    fn egress(&mut self, inner: &mut Inner, route: Route) -> Packets {
        let Inner { protocol, sockets, .. } = inner;
        let Some(machine) = protocol.machine_mut() else { return Packets::default() };
        let (now, quota) = (self.now, self.quantum);
        let (user, captures) = sockets.sender();
        let mut uplink = Uplink { machine, captures, send: self.send, route, now, quota };
        let (left, deadline) = match user {
            PacketUser::Raw(raw) => {
                let left = raw.egress(&mut uplink);
                raw.drain_wakers(self.wakers);
                (left, None)
            }
            PacketUser::Stack(stack) => {
                let left = stack.egress(now, &mut uplink);
                let deadline = stack.poll_timeout(now);
                stack.drain_wakers(self.wakers);
                stack.take_ready();
                (left, deadline)
            }
            PacketUser::Nobody => return Packets::default(),
        };
        captures.drain_wakers(self.wakers);
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
        let next = |inner: &mut Inner| inner.protocol.machine_mut()?.poll_event();
        while let Some(event) = next(inner) {
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
                    inner.negotiated.proven(reachability);
                    inner.sockets.release_datagrams();
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
                    None => news.ended = Some(inner.dial.explained(error)),
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
        let Inner { protocol, sockets, negotiated, dial, .. } = inner;
        let peer = protocol.machine().and_then(|machine| machine.peer());
        let (quirks, proof_memory) = match (dial.succeed(peer), negotiated.info()) {
            (Some(lesson), _) => {
                negotiated.set_proves_path(lesson.proves_path);
                (lesson.quirks, lesson.proof_memory)
            }
            (None, Some(info)) => (info.quirks.clone(), info.path.proof_memory()),
            (None, None) => (None, 0),
        };
        let info = Arc::new(Info {
            path: KnownPath::new(proof_memory),
            ..Info::new(route.server, facts, quirks)
        });
        tracing::info!(address = %info.inner_address, mtu = info.mtu, "up");
        negotiated.up(info, self.now);
        sockets.reconfigure(self.now, negotiated);
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
