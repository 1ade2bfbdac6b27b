//! One TCP connection

use std::{
    io::{self, IoSlice},
    net::SocketAddrV4,
    task::Poll,
    time::Duration,
};

use pptp_packet::{Waiters, Wakers};
use smoltcp::{
    iface::{Interface, SocketHandle, SocketSet},
    socket::tcp::{self, State},
    time,
    wire::{IpAddress, IpEndpoint},
};
use tokio::io::Ready;

use super::{
    closing, copy,
    datagram::Segment,
    device::{NEVER, Time, micros},
    gap::Gap,
    numbers::Numbers,
    opening::Opening,
    steering::{Forged, Sent, Steering},
    table::Id,
};
use crate::{CongestionControl, SocketError, TcpOptions};

/// Both ends of a connection
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) local: SocketAddrV4,
    pub(crate) peer: SocketAddrV4,
}

/// Who has the connection
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// A `TcpStream`
    User,
    /// A listener, until it is accepted
    Backlog(Id),
    /// Nobody: it was dropped, and flushes until then; [`NEVER`] if that is not yet known
    Nobody { until: Time },
}

/// How a connection ended
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// `None` if both sides have finished properly
    pub(super) error: Option<SocketError>,
    /// Whether the peer's FIN had come: what it had to say is complete
    pub(super) peer_finished: bool,
}

/// Why a connection is looked at
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Segment { rst: bool },
    Turn,
}

/// What is to be done with a connection after it was looked at
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// The three-way handshake is complete
    Established,
    /// It needs no buffers any more; if it is kept, its user may still read
    Retired {
        kept: bool,
        time_wait: Option<closing::FinalNumbers>,
    },
    /// Nobody wants it, and the peer may still send its FIN
    HalfClosed(closing::FinalNumbers),
    /// Nothing is left to be done
    Gone,
}

/// One TCP connection: smoltcp's socket, and what smoltcp does not keep
///
/// The socket is alone in its set. So a segment is given to its own socket without asking the
/// others, a turn touches only sockets with something to do, and whose packet leaves next is
/// decided by [`Stack`](crate::Stack), not by the order of the set.
pub(super) struct Connection {
    pub(super) flow: Flow,
    pub(super) keeper: Keeper,
    pub(super) readers: Waiters,
    pub(super) writers: Waiters,
    /// Whether it stands in the queue of those with something to send
    pub(super) queued: bool,
    pub(super) end: Option<End>,
    pub(super) numbers: Numbers,
    /// `None` once no segment is to be sent or received any more
    set: Option<SocketSet<'static>>,
    /// What came before the end and is not yet read
    unread: Vec<u8>,
    /// Octets of `unread` that were read
    read: usize,
    /// The state when it was last looked at
    was: State,
    established: bool,
    /// When a segment last came
    heard: Time,
    /// Since when the peer owes an acknowledgment; [`NEVER`] if it owes none
    owed: Time,
    user_timeout: Time,
    /// In microseconds; [`LONGEST`] if none was set
    linger: u32,
    /// Its SYN, while the link has brought nothing
    opening: Option<Box<Opening>>,
    /// What of its incoming stream is missing
    gap: Option<Box<Gap>>,
    /// Who says how much is to be sent, if smoltcp does not
    steering: Option<Box<Steering>>,
}

impl Connection {
    /// A connection of nobody yet; `initial` is the sequence number that its SYN will have
    pub(super) fn new(
        flow: Flow,
        keeper: Keeper,
        options: &TcpOptions,
        initial: i32,
        now: Time,
    ) -> Self {
        let buffer =
            |len: usize| tcp::SocketBuffer::new(vec![0; len.clamp(LEAST_BUFFER, MOST_BUFFER)]);
        let (receive, send) = (buffer(options.receive_buffer), buffer(options.send_buffer));
        let mut socket = tcp::Socket::new(receive, send);
        socket.set_nagle_enabled(!options.nodelay);
        socket.set_keep_alive(options.keepalive.map(keepalive));
        socket.set_congestion_control(match options.congestion_control {
            CongestionControl::None | CongestionControl::Westwood => tcp::CongestionControl::None,
            CongestionControl::Reno => tcp::CongestionControl::Reno,
            CongestionControl::Cubic => tcp::CongestionControl::Cubic,
        });
        let steered = options.congestion_control == CongestionControl::Westwood;
        let mut set = SocketSet::new(Vec::with_capacity(1));
        set.add(socket);
        Self {
            flow,
            keeper,
            readers: Waiters::default(),
            writers: Waiters::default(),
            queued: false,
            end: None,
            numbers: Numbers::new(initial),
            set: Some(set),
            unread: Vec::new(),
            read: 0,
            was: State::Closed,
            established: false,
            heard: now,
            owed: NEVER,
            user_timeout: micros(patient(options.user_timeout)),
            linger: Some(lingering(micros(options.linger)))
                .filter(|linger| *linger < MOST_LINGER)
                .unwrap_or(LONGEST),
            opening: None,
            gap: None,
            steering: steered.then(|| Box::new(Steering::new())),
        }
    }

    /// Starts the handshake; `interface` is one whose next random number is the initial one
    pub(super) fn connect(&mut self, interface: &mut Interface) -> Result<(), SocketError> {
        let Flow { local, peer } = self.flow;
        let socket = self.socket_mut().ok_or(SocketError::NotConnected)?;
        let started = socket.connect(interface.context(), endpoint(peer), endpoint(local));
        self.was = State::SynSent;
        started.map_err(|_| SocketError::InvalidDestination)
    }

    /// Waits for a SYN to the connection's own address and port
    pub(super) fn listen(&mut self) {
        let local = endpoint(self.flow.local);
        if let Some(socket) = self.socket_mut() {
            // fails for an open socket and for port 0 only
            let _ = socket.listen(local);
        }
        self.was = State::Listen;
    }

    pub(super) const fn is_established(&self) -> bool {
        self.established
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.socket().is_some_and(|socket| socket.state() == State::SynSent)
    }

    pub(super) fn set_mut(&mut self) -> Option<&mut SocketSet<'static>> {
        self.set.as_mut()
    }

    pub(super) fn socket(&self) -> Option<&tcp::Socket<'static>> {
        self.set.as_ref().map(|set| set.get(alone()))
    }

    pub(super) fn socket_mut(&mut self) -> Option<&mut tcp::Socket<'static>> {
        self.set.as_mut().map(|set| set.get_mut(alone()))
    }

    pub(super) fn hear(&mut self, now: Time) {
        self.heard = now;
        if self.waits_for_window() {
            self.owed = NEVER; // until the next probe leaves
        }
    }

    /// Whether the handshake is complete, or why it never will be
    pub(super) fn poll_connected(&self) -> Poll<Result<(), SocketError>> {
        match self.socket().map(tcp::Socket::state) {
            _ if self.end.is_some() => Poll::Ready(self.failed()),
            Some(State::SynSent | State::SynReceived) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Reads what there is; `Ok(0)` once the peer has finished
    ///
    /// What came before a reset is read first, and then the error.
    pub(super) fn read(&mut self, into: &mut [u8], peek: bool) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = self.read_buffered(into, peek);
        if read > 0 {
            return Poll::Ready(Ok(read));
        }
        match self.end {
            Some(End { error: Some(error), peer_finished: false }) => {
                Poll::Ready(Err(error.into()))
            }
            None if self.socket().is_some_and(tcp::Socket::may_recv) => Poll::Pending,
            None if self.poll_connected().is_pending() => Poll::Pending,
            Some(_) | None => Poll::Ready(Ok(0)),
        }
    }

    fn read_buffered(&mut self, into: &mut [u8], peek: bool) -> usize {
        if let Some(socket) = self.socket_mut() {
            let read = if peek { socket.peek_slice(into) } else { socket.recv_slice(into) };
            let read = read.unwrap_or(0);
            if !peek {
                self.numbers.on_read(read);
            }
            return read;
        }
        let unread = self.unread.get(self.read..).unwrap_or_default();
        let count = copy(unread, into);
        if !peek {
            self.read = self.read.saturating_add(count);
            if self.read >= self.unread.len() {
                (self.unread, self.read) = (Vec::new(), 0);
            }
        }
        count
    }

    /// Writes what there is room for
    pub(super) fn write(&mut self, octets: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let open = self.socket().is_some_and(tcp::Socket::may_send);
        if !open && self.end.is_none() && self.poll_connected().is_pending() {
            return Poll::Pending;
        }
        if !open || self.end.is_some() {
            return Poll::Ready(Err(self.failed().err().unwrap_or(SocketError::ShutDown).into()));
        }
        if octets.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let Some(socket) = self.socket_mut() else { return Poll::Pending };
        let written = octets.iter().fold(0_usize, |written, slice| {
            written.saturating_add(socket.send_slice(slice).unwrap_or(0))
        });
        if written == 0 { Poll::Pending } else { Poll::Ready(Ok(written)) }
    }

    /// Whether a read would not wait
    pub(super) fn is_readable(&self) -> bool {
        self.end.is_some()
            || self.socket().is_some_and(|socket| socket.can_recv() || !socket.may_recv())
                && !self.poll_connected().is_pending()
    }

    /// Whether a write would not wait
    pub(super) fn is_writable(&self) -> bool {
        self.end.is_some()
            || self.socket().is_some_and(|socket| socket.can_send() || !socket.may_send())
                && !self.poll_connected().is_pending()
    }

    /// What a read and a write would not wait for
    pub(super) fn readiness(&self) -> Ready {
        let state = self.socket().map(tcp::Socket::state);
        let error = self.end.is_some_and(|end| end.error.is_some());
        let peer_finished = self.end.is_some() || state.is_some_and(peer_finished);
        let finished = self.end.is_some() || state.is_some_and(finished);
        [
            (self.is_readable(), Ready::READABLE),
            (self.is_writable(), Ready::WRITABLE),
            (peer_finished, Ready::READ_CLOSED),
            (finished, Ready::WRITE_CLOSED),
            (error, Ready::ERROR),
        ]
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(Ready::EMPTY, |ready, (_, kind)| ready | kind)
    }

    /// No more will be written: a FIN follows what was
    pub(super) fn shut_down(&mut self) {
        if let Some(socket) = self.socket_mut() {
            socket.close();
        }
    }

    /// Ends the connection with a reset; `error` is what its user gets from now on
    pub(super) fn abort(&mut self, error: SocketError) {
        self.finish(error);
        if let Some(socket) = self.socket_mut() {
            socket.abort();
        }
    }

    /// The user has let go: flushes and says FIN, or resets if it may not linger
    ///
    /// True if there is nothing more to be done.
    pub(super) fn let_go(&mut self) -> bool {
        self.keeper = Keeper::Nobody { until: NEVER };
        let resets = self.linger == 0;
        let Some(socket) = self.socket_mut() else { return true };
        if matches!(socket.state(), State::SynSent | State::Listen) {
            return true;
        }
        if resets {
            socket.abort();
        } else {
            socket.close();
        }
        false
    }

    /// `None` for the longest
    pub(super) fn linger(&self) -> Option<Time> {
        (self.linger != LONGEST).then(|| self.linger.into())
    }

    pub(super) fn set_linger(&mut self, linger: Option<Time>) {
        self.linger = linger.map_or(LONGEST, lingering);
    }

    pub(super) fn set_keepalive(&mut self, every: Option<Duration>) {
        if let Some(socket) = self.socket_mut() {
            socket.set_keep_alive(every.map(keepalive));
        }
    }

    /// Frees the buffers at once; every call gives `end` from now on
    pub(super) fn kill(&mut self, error: SocketError) {
        self.finish(error);
        (self.set, self.gap) = (None, None);
        (self.unread, self.read) = (Vec::new(), 0);
    }

    /// Gives up if the peer is silent for too long, or nobody is there to wait for it
    pub(super) fn check_time(&mut self, now: Time) {
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

    /// Tells whoever steers that a segment came
    pub(super) fn on_segment(&mut self, segment: &Segment, mtu: usize, now: Time) {
        if let Some(steering) = &mut self.steering {
            steering.on_segment(segment, mtu, now);
        }
    }

    /// Keeps the SYN that leaves while nothing is known to pass
    pub(super) fn keep_syn(&mut self, syn: Vec<u8>, now: Time) {
        if self.is_connecting() {
            self.opening.get_or_insert_with(|| Box::new(Opening::new(syn, now)));
        }
    }

    /// The link has brought a packet, or the connection an answer
    pub(super) fn forget_syn(&mut self) {
        self.opening = None;
    }

    /// Tells whoever steers that smoltcp composed something
    pub(super) fn on_sent(&mut self, sent: Sent, now: Time) {
        self.count_sent(sent);
        if sent.end() != sent.sequence {
            self.owed = self.owed.min(now);
        }
        if let Some(steering) = &mut self.steering {
            steering.on_sent(sent, now);
        }
    }

    /// What smoltcp is to be told before it is asked for a packet
    pub(super) fn steer(&mut self) -> Option<(Forged, &mut SocketSet<'static>)> {
        let (steering, set) = (self.steering.as_mut()?, self.set.as_mut()?);
        let socket = set.get::<tcp::Socket<'_>>(alone());
        let forged = steering.compose(self.flow, socket.state(), socket.send_queue() > 0)?;
        Some((forged, set))
    }

    /// Takes what is replied to a segment; what is to be sent at once comes back
    pub(super) fn hold(&mut self, segment: &Segment, reply: Vec<u8>, now: Time) -> Option<Vec<u8>> {
        Gap::hold(&mut self.gap, segment, reply, now)
    }

    /// The next packet that was held back for long enough, or a SYN or FIN that leaves again
    pub(super) fn take_due(&mut self, now: Time) -> Option<Vec<u8>> {
        let opening = self.opening.as_mut().filter(|_| self.end.is_none());
        let again = opening.and_then(|opening| opening.take_due(now));
        again.or_else(|| self.gap.as_mut()?.take_due(now)).or_else(|| self.take_fin())
    }

    fn take_fin(&mut self) -> Option<Vec<u8>> {
        let (steering, set) = (self.steering.as_mut()?, self.set.as_ref()?);
        let socket = set.get::<tcp::Socket<'_>>(alone());
        steering.compose_fin(self.flow, socket.state(), socket.send_queue() > 0)
    }

    /// When [`Connection::check_time`] or [`Connection::take_due`] has something to say
    pub(super) fn deadline(&self) -> Time {
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
        match (self.owed, self.was) {
            (NEVER, _) => self.keepalive_patience(),
            (_, State::SynReceived) => self.heard.saturating_add(HANDSHAKE),
            (owed, _) => self.heard.max(owed).saturating_add(self.user_timeout),
        }
    }

    /// When a peer that owes nothing has been silent for too long: with keepalive alone it ever has
    fn keepalive_patience(&self) -> Time {
        match self.socket().and_then(tcp::Socket::keep_alive) {
            Some(every) if !self.waits_for_window() => {
                self.heard.saturating_add(every.total_micros()).saturating_add(self.user_timeout)
            }
            _ => NEVER,
        }
    }

    /// Whether the peer has something to acknowledge; of a SYN the caller's own time is the limit
    pub(super) fn owes(&self) -> bool {
        self.socket().is_some_and(|socket| match socket.state() {
            State::Closed | State::Listen | State::SynSent | State::TimeWait => false,
            State::SynReceived | State::FinWait1 | State::Closing | State::LastAck => true,
            State::Established | State::FinWait2 | State::CloseWait => socket.send_queue() > 0,
        })
    }

    /// Whether something is under way that nobody will write more to: it is to arrive
    pub(super) fn is_parting(&self) -> bool {
        let parts = |socket: &tcp::Socket<'_>| {
            matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck)
        };
        matches!(self.keeper, Keeper::Nobody { .. }) || self.socket().is_some_and(parts)
    }

    /// Finds out what has become of the connection, and wakes whom it concerns
    pub(super) fn look(&mut self, cause: Cause, wakes: &mut Wakers) -> Fate {
        let fate = self.find_out(cause);
        if !self.readers.is_empty() && self.is_readable() {
            self.readers.wake(wakes);
        }
        if !self.writers.is_empty() && self.may_wake_writers() {
            self.writers.wake(wakes);
        }
        fate
    }

    fn find_out(&mut self, cause: Cause) -> Fate {
        let nobody = matches!(self.keeper, Keeper::Nobody { .. });
        let Some(socket) = self.socket_mut() else { return Fate::Lives };
        if nobody && socket.can_recv() {
            // nobody will read it; the window stays open until what was written is flushed
            let drained = socket.recv_queue();
            while socket.recv(|octets| (octets.len(), octets.len())).is_ok_and(|read| read > 0) {}
            self.numbers.on_read(drained);
        }
        let Some(socket) = self.socket() else { return Fate::Lives };
        let (state, reset_due) = (socket.state(), socket.remote_endpoint().is_some());
        let was = std::mem::replace(&mut self.was, state);
        match state {
            State::Closed => {
                let error = match (was, cause) {
                    (State::SynSent, _) => Some(SocketError::Refused),
                    (_, Cause::Segment { rst: true }) => Some(SocketError::Reset),
                    (_, Cause::Segment { rst: false }) => None,
                    (_, Cause::Turn) => Some(SocketError::Aborted),
                };
                let end = End { error, peer_finished: peer_finished(was) };
                self.end.get_or_insert(end);
                if reset_due { Fate::Lives } else { self.retire(None) }
            }
            State::TimeWait => {
                self.end.get_or_insert(End { error: None, peer_finished: true });
                self.retire(Some(self.final_numbers()))
            }
            State::FinWait2 if nobody => Fate::HalfClosed(self.final_numbers()),
            State::Listen => Fate::Gone,
            State::SynSent | State::SynReceived => Fate::Lives,
            _ if self.established => Fate::Lives,
            _ => {
                self.established = true;
                Fate::Established
            }
        }
    }

    /// Records the end, if it is the first to come
    fn finish(&mut self, error: SocketError) {
        let peer_finished = peer_finished(self.was);
        self.end.get_or_insert(End { error: Some(error), peer_finished });
    }

    /// Lets the buffers go but for what is still to be read
    fn retire(&mut self, time_wait: Option<closing::FinalNumbers>) -> Fate {
        let kept = match self.keeper {
            Keeper::User => true,
            Keeper::Backlog(_) => self.established,
            Keeper::Nobody { .. } => false,
        };
        if let Some(socket) = self.socket_mut()
            && kept
        {
            let mut unread = vec![0; socket.recv_queue()];
            let _ = socket.peek_slice(&mut unread);
            (self.unread, self.read) = (unread, 0);
        }
        (self.set, self.gap) = (None, None);
        Fate::Retired { kept, time_wait }
    }

    /// A writer is woken once a third of the buffer is free, not for every acknowledged segment
    fn may_wake_writers(&self) -> bool {
        self.is_writable()
            && self.socket().is_none_or(|socket| {
                let free = socket.send_capacity().saturating_sub(socket.send_queue());
                !socket.may_send() || free.saturating_mul(3) >= socket.send_capacity()
            })
    }

    pub(super) fn failed(&self) -> Result<(), SocketError> {
        self.end.and_then(|end| end.error).map_or(Ok(()), Err)
    }
}

fn endpoint(address: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(*address.ip()), address.port())
}

/// The only socket of its set
fn alone() -> SocketHandle {
    SocketHandle::default()
}

/// Whether the peer's FIN had come in this state
pub(super) const fn peer_finished(state: State) -> bool {
    matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait)
}

/// Whether this side's FIN is queued or gone in this state
const fn finished(state: State) -> bool {
    matches!(
        state,
        State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing | State::TimeWait
    )
}

/// A second to a day
///
/// Less is a flood of probes, or gives the peer no chance to answer; much more overflows smoltcp's
/// arithmetic, and the wheels that owners keep deadlines in.
fn patient(duration: Duration) -> Duration {
    duration.clamp(Duration::from_secs(1), Duration::from_hours(24))
}

fn keepalive(every: Duration) -> time::Duration {
    patient(every).into()
}

fn lingering(linger: Time) -> u32 {
    u32::try_from(linger).unwrap_or(MOST_LINGER).min(MOST_LINGER)
}

/// A smaller buffer moves next to nothing, and none moves nothing at all
const LEAST_BUFFER: usize = 1 << 10;

/// 16 MiB over 50 ms are 2.7 Gbit/s: no PPTP line has more
const MOST_BUFFER: usize = 16 << 20;

/// A connection nobody has any more is not kept for longer than this
const MOST_LINGER: u32 = 60_000_000;

/// As long as [`MOST_LINGER`], because nobody chose a time
const LONGEST: u32 = u32::MAX;

/// How long the peer of a connection that comes in may take for its part of the handshake
const HANDSHAKE: Time = 30_000_000;
