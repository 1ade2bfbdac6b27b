//! TCP connections
//!
//! | module | content |
//! |---|---|
//! | `io` | reads and writes, and the readiness for them |
//! | `unread` | octets that came before the end and are not yet read |
//! | `lifecycle` | the transitions of a connection and its end |
//! | `numbers` | the acceptance of segments by their numbers |
//! | `timers` | linger, keepalive, and the deadlines of a connection |

mod io;
mod lifecycle;
mod numbers;
mod timers;
mod unread;

use pptp_packet::Waiters;

pub(crate) use self::lifecycle::{Cause, Transition};
use self::{
    lifecycle::End,
    timers::{LONGEST, MAX_LINGER, keepalive, lingering, patient},
    unread::Unread,
};
use super::{
    ack_injector::{AckInjector, Sent},
    delayed_dup_acks::DelayedDupAcks,
    fresh_syn::FreshSyn,
    sequence_numbers::Numbers,
};
use crate::{
    CongestionControl, SocketError, TcpOptions,
    engine::{Engine, Segment, State, TcpEngine},
    ip::Flow,
    shared::{
        table::Id,
        time::{NEVER, Time, micros},
    },
};

/// The holder of a connection
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The user, by a `TcpStream`
    User,
    /// A listener, until it is accepted
    Backlog(Id),
    /// No holder: it was dropped, and flushes until then; [`NEVER`] if that is not yet known
    None { until: Time },
}

/// A TCP connection: the engine's socket, and the state that the engine does not keep
pub(super) struct Connection {
    pub(super) flow: Flow,
    pub(super) holder: Holder,
    pub(super) readers: Waiters,
    pub(super) writers: Waiters,
    /// True if it is in the queue of sockets with something to send
    pub(super) queued: bool,
    pub(crate) end: Option<End>,
    pub(super) numbers: Numbers,
    /// The engine's socket; `None` once no segment is to be sent or received any more
    socket: Option<TcpEngine>,
    /// Octets that came before the end and are not yet read
    unread: Option<Box<Unread>>,
    /// The state at the last update
    was: State,
    established: bool,
    /// The time at which a segment last came
    heard: Time,
    /// The time since which the peer owes an acknowledgment; [`NEVER`] if it does not
    owed: Time,
    user_timeout: Time,
    /// The linger time in microseconds; [`LONGEST`] if none was set
    linger: u32,
    /// Its SYN, while the link has brought no packet
    fresh_syn: Option<Box<FreshSyn>>,
    /// The gap in its incoming stream
    dup_acks: Option<Box<DelayedDupAcks>>,
    /// The congestion control, if it is not the engine's
    ack_injector: Option<Box<AckInjector>>,
}

impl Connection {
    /// A connection before its handshake; `initial` is the sequence number that its SYN will have
    pub(super) fn new(
        flow: Flow,
        holder: Holder,
        options: &TcpOptions,
        initial: i32,
        now: Time,
    ) -> Self {
        let buffer = |len: usize| len.clamp(MIN_BUFFER, MAX_BUFFER);
        let (receive, send) = (buffer(options.receive_buffer), buffer(options.send_buffer));
        let mut socket = TcpEngine::new(receive, send, options.congestion_control);
        socket.set_nodelay(options.nodelay);
        socket.set_keepalive(options.keepalive.map(keepalive));
        let injects = options.congestion_control == CongestionControl::Westwood;
        Self {
            flow,
            holder,
            readers: Waiters::default(),
            writers: Waiters::default(),
            queued: false,
            end: None,
            numbers: Numbers::new(initial),
            socket: Some(socket),
            unread: None,
            was: State::Closed,
            established: false,
            heard: now,
            owed: NEVER,
            user_timeout: micros(patient(options.user_timeout)),
            linger: Some(lingering(micros(options.linger)))
                .filter(|linger| *linger < MAX_LINGER)
                .unwrap_or(LONGEST),
            fresh_syn: None,
            dup_acks: None,
            ack_injector: injects.then(|| Box::new(AckInjector::new())),
        }
    }

    /// Starts the handshake; `engine` is one whose next initial sequence number is the wanted one
    pub(super) fn connect(&mut self, engine: &mut Engine) -> Result<(), SocketError> {
        let Flow { local, peer } = self.flow;
        let socket = self.socket_mut().ok_or(SocketError::NotConnected)?;
        let started = socket.connect(engine, local, peer);
        self.was = State::SynSent;
        started
    }

    /// Waits for a SYN to the connection's own address and port
    pub(super) fn listen(&mut self) {
        let local = self.flow.local;
        if let Some(socket) = self.socket_mut() {
            socket.listen(local);
        }
        self.was = State::Listen;
    }

    pub(super) const fn is_established(&self) -> bool {
        self.established
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.socket().is_some_and(|socket| socket.state() == State::SynSent)
    }

    pub(super) const fn socket(&self) -> Option<&TcpEngine> {
        self.socket.as_ref()
    }

    pub(super) const fn socket_mut(&mut self) -> Option<&mut TcpEngine> {
        self.socket.as_mut()
    }

    /// Tells the congestion control that a segment came
    pub(super) fn on_segment(&mut self, segment: &Segment, mtu: usize, now: Time) {
        if let Some(ack_injector) = &mut self.ack_injector {
            ack_injector.on_segment(segment, mtu, now);
        }
    }

    /// Tells the congestion control that the engine composed a segment
    pub(super) fn on_sent(&mut self, sent: Sent, now: Time) {
        self.count_sent(sent);
        if sent.end() != sent.sequence {
            self.owed = self.owed.min(now);
        }
        if let Some(ack_injector) = &mut self.ack_injector {
            ack_injector.on_sent(sent, now);
        }
    }
}

/// The smallest buffer: a smaller one moves almost nothing, and an empty one nothing at all
const MIN_BUFFER: usize = 1 << 10;

/// The largest buffer: 16 MiB over 50 ms are 2.7 Gbit/s, more than any PPTP line has
const MAX_BUFFER: usize = 16 << 20;
