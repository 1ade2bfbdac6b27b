//! The guarded part of a tunnel in a driver's turn: packets, events, deadlines

use std::{sync::Arc, time::Instant};

use pptp_driver::{AfterCarrier, Guarded, Packets, Slots};
use pptp_packet::Wakers;
use pptp_tunnel::{Event, Facts, NotNow, Question, Tunnel as Machine};

use super::{Inner, PacketUser};
use crate::{Info, State, TunnelError, known_path::KnownPath, record::Direction};

/// The consequences of the state machine's events, for when the lock is released
#[derive(Default)]
pub(crate) struct News {
    /// The latest state: a `watch` holds no more than that
    pub(super) state: Option<State>,
    /// The tasks that wait to know whether packets pass are to be told, too
    pub(super) path_known: bool,
    pub(super) ended: Option<TunnelError>,
    /// To be asked of the caller
    pub(super) question: Option<Question>,
    /// The server took a new password
    pub(super) password_changed: bool,
}

impl Guarded for Inner {
    type Carrier = Machine;
    type News = News;

    fn carrier(&self) -> Option<&Machine> {
        self.protocol.machine()
    }

    fn carrier_mut(&mut self) -> Option<&mut Machine> {
        self.protocol.machine_mut()
    }

    fn deliver(&mut self, now: Instant, packet: &mut [u8], slots: Slots<'_>) {
        let Self { protocol, packet_users, negotiated, ending, .. } = self;
        let Some(machine) = protocol.machine_mut() else { return };
        packet_users.captures_mut().take(now, Direction::Inbound, packet);
        match packet_users.receiver(negotiated, ending.error()) {
            (PacketUser::Raw(raw), _) => raw.deliver(packet),
            (PacketUser::Stack(stack), captures) => {
                let tap = |packet: &[u8]| captures.take(now, Direction::Outbound, packet);
                stack.ingress(now, packet, &mut slots.sealed_by(machine, tap));
            }
            (PacketUser::Nobody, _) => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        #[cfg(feature = "fault-injection")]
        assert!(!self.take_injected_panic(), "injected");
        self.hang_up_if_due(now);
    }

    fn handle_event(&mut self, now: Instant, event: Event, news: &mut News) {
        match event {
            Event::Phase(phase) => {
                tracing::debug!(%phase, "reached");
                news.state = Some(State::Connecting { phase });
            }
            Event::Up(facts) => {
                self.up(now, &facts);
                news.state = Some(State::Up);
            }
            Event::Reachable(reachability) => {
                tracing::debug!(?reachability, "the path");
                self.negotiated.proven(reachability);
                self.packet_users.release_datagrams();
                news.path_known = true;
            }
            Event::Renegotiating => {
                tracing::info!("renegotiating");
                news.state = Some(State::Renegotiating);
            }
            Event::Down(error) => self.down(error, news),
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

    fn egress(&mut self, now: Instant, slots: Slots<'_>, wakers: &mut Wakers) -> Packets {
        let Self { protocol, packet_users, .. } = self;
        let Some(machine) = protocol.machine_mut() else { return Packets::default() };
        let (user, captures) = packet_users.sender();
        let mut uplink =
            slots.sealed_by(machine, |packet| captures.take(now, Direction::Outbound, packet));
        let (left, deadline) = match user {
            PacketUser::Raw(raw) => {
                let left = raw.egress(&mut uplink);
                raw.drain_wakers(wakers);
                (left, None)
            }
            PacketUser::Stack(stack) => {
                let left = stack.egress(now, &mut uplink);
                let deadline = stack.poll_timeout(now);
                stack.drain_wakers(wakers);
                stack.take_ready();
                (left, deadline)
            }
            PacketUser::Nobody => return Packets::default(),
        };
        captures.drain_wakers(wakers);
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

    fn poll_control(&mut self, now: Instant) -> bool {
        self.protocol.poll_control(now)
    }

    fn drain_wakers(&mut self, into: &mut Wakers) {
        self.packet_users.drain_wakers(into);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.hang_up.by()
    }

    fn wants_turn(&self, now: Instant) -> bool {
        self.may_hang_up(now)
    }

    /// GRE may turn out not to pass while the tunnel is being connected
    fn quoted_call_id(&self) -> Option<u16> {
        let peer_call_id = self.protocol.machine().and_then(Machine::peer_call_id);
        peer_call_id.filter(|_| self.dial.is_dialling())
    }

    fn carrier_finished(&mut self) -> AfterCarrier {
        if self.leave_to_redial() { AfterCarrier::Another } else { AfterCarrier::Finished }
    }
}

impl Inner {
    fn down(&mut self, error: pptp_tunnel::TunnelError, news: &mut News) {
        match self.redial(&error) {
            Some(why) => {
                tracing::info!(?why, "redialling");
                news.state = Some(State::Redialling { why });
            }
            None => news.ended = Some(self.dial.explained(error)),
        }
    }

    fn up(&mut self, now: Instant, facts: &Facts) {
        let Self { protocol, packet_users, negotiated, dial, .. } = self;
        let peer = protocol.machine().and_then(|machine| machine.peer());
        let (server, quirks, proof_memory) = match (dial.succeed(peer), negotiated.info()) {
            (Some(lesson), _) => {
                negotiated.set_proves_path(lesson.proves_path);
                (lesson.server, lesson.quirks, lesson.proof_memory)
            }
            (None, Some(info)) => (info.server, info.quirks.clone(), info.path.proof_memory()),
            // no machine is started before a server is reached
            (None, None) => return,
        };
        let info = Arc::new(Info {
            path: KnownPath::new(proof_memory),
            ..Info::new(server, facts, quirks)
        });
        tracing::info!(address = %info.inner_address, mtu = info.mtu, "up");
        negotiated.up(info, now);
        packet_users.reconfigure(now, negotiated);
    }
}
