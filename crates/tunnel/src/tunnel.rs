mod course;
mod login;
mod ordered;
#[cfg(feature = "server")]
mod serving;

use std::{
    fmt,
    net::Ipv4Addr,
    ops::Deref,
    time::{Duration, Instant},
};

use pptp_control::{ControlConnection, StopReason};
use pptp_gre::{Discard, Header, ParseError, Reordering, Session};
use pptp_packet::{Egress, PacketBuf, Queue};
use pptp_ppp::frame::{is_control_frame, is_lcp_answer};
use pptp_ppp::{ClientConfig, Link, Order, Password, Phase as LinkPhase};

use crate::{
    Event, Failure, Ladder, NotNow, Phase, Stats, Timer,
    connect_deadline::ConnectDeadline,
    event::Counters,
    passage::{Passage, Stranger},
    recorder::{Kind, Recorder},
};

use ordered::Ordered;
#[cfg(feature = "server")]
pub use serving::{Acknowledgments, GreManners, ServerConfig};

/// How a tunnel is dialled
#[derive(Debug, Clone)]
pub struct Config {
    /// What we say of ourselves on the control connection
    pub control: pptp_control::Config,
    /// User, password and what is asked of PPP
    pub link: ClientConfig,
    /// Until when the connect has to be over, and how long that was in all, for the error
    pub connect_deadline: Option<(Instant, Duration)>,
    /// How frames are put back in order, where stateful MPPE or no MPPE at all needs that
    pub reordering: Reordering,
    /// Octets of the flight recorder, [`Recorder::MAX_CAPACITY`] at most
    pub recorder: usize,
}

impl Config {
    /// The defaults, for this user
    pub fn new(user: &str, password: Password) -> Self {
        Self {
            control: pptp_control::Config::default(),
            link: ClientConfig::new(user, password),
            connect_deadline: None,
            reordering: Reordering::default(),
            recorder: Recorder::CAPACITY,
        }
    }
}

/// One tunnel: control connection, GRE and PPP as one state machine
///
/// Four kinds of methods, as with its parts:
///
/// - getters: [`phase`](Self::phase), [`may_send`](Self::may_send), [`stats`](Self::stats), …
/// - inputs: [`handle_control`](Self::handle_control), [`handle_control_eof`](Self::handle_control_eof),
///   [`handle_gre`](Self::handle_gre), [`handle_gre_error`](Self::handle_gre_error),
///   [`handle_timeout`](Self::handle_timeout)
/// - commands: [`close`](Self::close), [`renegotiate`](Self::renegotiate), [`seal`](Self::seal)
/// - outputs: [`poll_ip`](Self::poll_ip), [`poll_event`](Self::poll_event), [`poll_frames`](Self::poll_frames),
///   [`poll_gre`](Self::poll_gre), [`poll_control`](Self::poll_control),
///   [`poll_timeout`](Self::poll_timeout)
///
/// **A turn** is any number of inputs and commands at one `now`, then all outputs once, in this
/// order: `poll_ip` until there is none (best after each datagram, so that packets keep their order),
/// events until there are none (they say whether and how packets pass), `poll_frames`, then
/// the packets that wait through [`seal`](Self::seal) (which takes an owed acknowledgment along),
/// then `poll_gre`, `poll_control`, `poll_timeout`. Debug builds assert that events come first.
///
/// The layers commit together: GRE's verdict on a sequence number counts only once PPP has accepted
/// the payload, so a forged datagram moves nothing.
pub struct Tunnel {
    /// We dialled, so that the other end is the one to judge, and to say why
    is_client: bool,
    control: ControlConnection,
    link: Link,
    /// From the Outgoing-Call-Reply on
    session: Option<Session>,
    peer_call_id: Option<u16>,
    /// While frames need their order; boxed, since most tunnels do without
    ordered: Option<Box<Ordered>>,
    /// Not as by default
    reordering: Option<Box<Reordering>>,
    /// GRE that overtook the Outgoing-Call-Reply
    early: Vec<Vec<u8>>,
    stage: Stage,
    ladder: Ladder,
    connect_deadline: Option<Box<ConnectDeadline>>,
    /// Whether GRE passes, until LCP is through
    passage: Passage,
    /// The control connection has ended, and until when GRE may still say why
    last_words: Option<(Instant, Box<Failure>)>,
    events: Queue<Event>,
    recorder: Recorder,
    counters: Counters,
    /// How our GRE goes out
    #[cfg(feature = "server")]
    gre_manners: GreManners,
}

/// What a log wants to know; the rest is long, and some of it is secret
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, peer_call_id, link, .. } = self;
        write!(f, "Tunnel {{ {stage:?}, peer's Call ID {peer_call_id:?}, {link:?} }}")
    }
}

/// How far the tunnel is on its way
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Up,
    Renegotiating,
    /// We hang up: LCP first, then the control connection
    Closing,
    /// [`Event::Down`] is told; the control connection is being torn down
    Ending,
    /// Nothing happens any more
    Finished,
}

impl Tunnel {
    /// Dials, over a TCP connection just opened: Start-Control-Connection-Request is there to be sent
    ///
    /// `call_id` is ours, what the peer's GRE will carry. `seed` must be fresh and secret: challenges and
    /// Magic-Numbers come from it. `ladder` has the phases before this one.
    pub fn connect(
        config: Config,
        call_id: u16,
        seed: [u8; 32],
        ladder: Ladder,
        now: Instant,
    ) -> Self {
        let control = ControlConnection::connect(config.control, call_id, call_id, now);
        let link = Link::client(config.link, seed);
        let recorder = Recorder::new(ladder.started(), config.recorder);
        let mut tunnel = Self::new(control, link, ladder, recorder);
        tunnel.is_client = true;
        let reordering = Some(config.reordering).filter(|it| *it != Reordering::default());
        tunnel.reordering = reordering.map(Box::new);
        tunnel.connect_deadline = config.connect_deadline.map(ConnectDeadline::new).map(Box::new);
        tunnel.enter(now, Phase::ControlConnection);
        tunnel
    }

    /// Answers, over a TCP connection just accepted
    ///
    /// `call_id` is what the client's GRE will carry.
    #[cfg(feature = "server")]
    pub fn accept(config: ServerConfig, call_id: u16, seed: [u8; 32], now: Instant) -> Self {
        let control = ControlConnection::accept(config.control, call_id, now);
        let link = Link::server(config.link, seed);
        let recorder = Recorder::new(now, Recorder::CAPACITY);
        let mut tunnel = Self::new(control, link, Ladder::new(now), recorder);
        tunnel.gre_manners = config.gre;
        tunnel.enter(now, Phase::ControlConnection);
        tunnel
    }

    fn new(control: ControlConnection, link: Link, ladder: Ladder, recorder: Recorder) -> Self {
        Self {
            is_client: false,
            control,
            link,
            session: None,
            peer_call_id: None,
            ordered: None,
            reordering: None,
            early: Vec::new(),
            stage: Stage::Connecting,
            ladder,
            connect_deadline: None,
            passage: Passage::default(),
            last_words: None,
            events: Queue::new(),
            recorder,
            counters: Counters::default(),
            #[cfg(feature = "server")]
            gre_manners: GreManners::default(),
        }
    }

    /// Takes octets of the control connection, in whatever pieces they arrive
    pub fn handle_control(&mut self, now: Instant, octets: &[u8]) {
        if self.stage == Stage::Finished {
            return;
        }
        self.recorder.control(now, Kind::ControlReceived, octets);
        self.control.handle_octets(now, octets);
        if self.is_client {
            self.link.note_carrier_alive(now);
        }
        self.control_events(now);
    }

    /// The peer closed the TCP connection, or it broke
    pub fn handle_control_eof(&mut self, now: Instant) {
        self.control.handle_eof(now);
        self.control_events(now);
    }

    /// Takes one GRE datagram, from its GRE header on, and opens it in place
    ///
    /// The caller has compared its source address with the control connection's peer. Returns the IP packet
    /// in it, if it holds one that counts.
    pub fn handle_gre<'p>(&mut self, now: Instant, datagram: &'p mut [u8]) -> Option<&'p mut [u8]> {
        if self.stage == Stage::Finished {
            return None;
        }
        let (header, payload) = match Header::parse(datagram) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.counters.malformed = self.counters.malformed.saturating_add(1);
                self.note_unsupported(error, datagram);
                return None;
            }
        };
        if header.call_id != self.control.call_id() {
            self.counters.other_call = self.counters.other_call.saturating_add(1);
            return None;
        }
        let Some(session) = &mut self.session else {
            self.keep_early(datagram);
            return None;
        };
        self.passage.hear();
        if let Some(acknowledgment) = header.acknowledgment {
            self.passage.answer();
            session.handle_acknowledgment(now, acknowledgment);
        }
        let frame = datagram.get_mut(payload)?;
        let verdict = match (session.check(&header), header.sequence) {
            (Ok(verdict), _) => verdict,
            (Err(Discard::Duplicate), Some(sequence))
                if !is_control_frame(frame) || self.stage == Stage::Up =>
            {
                Session::check_again(sequence)
            }
            (Err(_), _) => return None,
        };
        if is_control_frame(frame) {
            self.recorder.frame(now, Kind::FrameReceived, verdict.sequence, frame);
            if is_lcp_answer(frame) {
                self.passage.answer();
            }
        }
        if self.ordered.is_some() && !is_control_frame(frame) {
            return self.handle_ordered(now, verdict, frame);
        }
        self.open_frame(now, verdict, frame)?.packet()
    }

    /// Datagrams so far that led to something: IP packets, new acknowledgments, and while the tunnel
    /// is negotiated its frames too
    ///
    /// For owners who want to know what a datagram was worth. One may count twice.
    pub fn taken(&self) -> u64 {
        let Some(session) = &self.session else { return 0 };
        let stats = session.stats();
        let negotiated = if self.stage == Stage::Up { 0 } else { stats.committed };
        let acknowledgments = u64::from(stats.acknowledgments_taken);
        self.counters.ip_received.saturating_add(acknowledgments).saturating_add(negotiated)
    }

    /// The network or the kernel said that GRE to the peer does not pass
    ///
    /// Before the first datagram of the peer, an ICMP protocol-unreachable ends the connect: that
    /// is the answer of a host that knows no GRE. Later it is no more than a remark, since anyone may
    /// forge one.
    pub fn handle_gre_error(&mut self, now: Instant, error: GreError) {
        match error {
            GreError::ProtocolUnreachable => {
                if let Some(failure) = self.passage.unreachable() {
                    self.fail(now, failure);
                }
            }
            GreError::NotSent(reason) => self.passage.refuse(now, reason),
            GreError::FromElsewhere { from, server } => {
                self.passage.note(Stranger::Elsewhere { from, server });
            }
        }
    }

    fn note_unsupported(&mut self, error: ParseError, datagram: &[u8]) {
        if let (ParseError::Flags(_) | ParseError::Protocol(_), [f0, f1, p0, p1, ..]) =
            (error, datagram)
        {
            let (flags, protocol) =
                (u16::from_be_bytes([*f0, *f1]), u16::from_be_bytes([*p0, *p1]));
            self.passage.note(Stranger::Unsupported { flags, protocol });
        }
    }

    /// Does what is due at `now`; too early does nothing
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stage == Stage::Finished {
            return;
        }
        self.control.handle_timeout(now);
        self.link.handle_timeout(now);
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
        self.control_events(now);
        self.link_events(now);
        self.check_deadlines(now);
    }

    /// Hangs up properly: LCP, the call, the control connection; each step is bounded, 7 s in all
    ///
    /// [`Event::Down`] follows when that is done, with [`Failure::Closed`].
    pub fn close(&mut self, now: Instant) {
        match self.stage {
            _ if self.last_words.is_some() => self.fail(now, Failure::Closed),
            Stage::Connecting | Stage::Up | Stage::Renegotiating => {
                self.stage = Stage::Closing;
                self.stop_waiting();
                if matches!(self.link.phase(), LinkPhase::Dead) {
                    self.control.close(now, StopReason::StopLocalShutdown);
                } else {
                    self.link.close(now);
                }
                self.link_events(now);
                self.control_events(now);
            }
            Stage::Closing | Stage::Ending | Stage::Finished => {}
        }
    }

    /// Negotiates PPP anew over the same call: new authentication, new keys, perhaps other addresses
    ///
    /// [`Event::Renegotiating`] follows, then [`Event::Up`] again. Does nothing before LCP is open.
    pub fn renegotiate(&mut self, now: Instant) {
        self.link.renegotiate(now);
        self.link_events(now);
    }

    /// Turns an IP packet into a GRE datagram, in its headroom
    ///
    /// Only after [`may_send`](Self::may_send) said so, at the same `now`: then it cannot fail.
    /// Datagrams must go out in the order in which they were sealed.
    pub fn seal(&mut self, now: Instant, packet: &mut PacketBuf) {
        debug_assert!(self.link.is_up(), "sealed although IP packets do not pass");
        #[cfg(feature = "server")]
        self.withhold_acknowledgment();
        let octets = packet.len();
        let wants_answer = pptp_ppp::wants_answer(packet.as_slice());
        if let Some(session) = &mut self.session
            && self.link.seal(packet)
        {
            session.seal(now, packet);
            self.link.note_sent(now, wants_answer);
            self.counters.sent(octets);
        }
    }

    /// The next thing to know, oldest first
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Composes the PPP control frames that wait: LCP, CHAP, CCP, IPCP, and the proofs of the data path
    ///
    /// Before the packets of the turn, for they say when packets pass: the first packet would not
    /// be taken by a peer that has not yet got our last Configure-Ack.
    pub fn poll_frames(&mut self, now: Instant, out: &mut impl Egress) {
        debug_assert!(self.events.is_empty(), "outputs are taken in order, events first");
        #[cfg(feature = "server")]
        self.withhold_acknowledgment();
        while self.session.is_some() && out.has_room() {
            let Some(frame) = self.next_frame() else { break };
            self.compose_frame(now, &frame, out);
            #[cfg(feature = "server")]
            if self.gre_manners.repeats_frames {
                self.compose_frame(now, &frame, out);
            }
        }
    }

    fn next_frame(&mut self) -> Option<impl Deref<Target = Vec<u8>> + use<>> {
        self.link.poll_frame().or_else(|| self.link.poll_proof())
    }

    fn compose_frame(&mut self, now: Instant, frame: &[u8], out: &mut impl Egress) {
        let Some(session) = &mut self.session else { return };
        self.passage.compose(now);
        let Ok(length) = u16::try_from(frame.len()) else { return };
        let header = session.next_header(now);
        if is_control_frame(frame) {
            let sequence = header.sequence.unwrap_or_default();
            self.recorder.frame(now, Kind::FrameSent, sequence, frame);
        }
        let header = header.emit(length);
        let octets = header.as_slice();
        out.compose(octets.len().saturating_add(frame.len()), |room| {
            if let Some((head, tail)) = room.split_at_mut_checked(octets.len())
                && tail.len() == frame.len()
            {
                head.copy_from_slice(octets);
                tail.copy_from_slice(frame);
            }
        });
    }

    /// Composes what the tunnel itself still has to say over GRE: control frames for which there was
    /// no room before the packets, and a bare acknowledgment if none could ride along
    pub fn poll_gre(&mut self, now: Instant, out: &mut impl Egress) {
        self.poll_frames(now, out);
        let Some(session) = &mut self.session else { return };
        if self.stage != Stage::Finished
            && out.has_room()
            && let Some(acknowledgment) = session.poll_acknowledgment(now)
        {
            self.passage.compose(now);
            out.compose(acknowledgment.len(), |room| {
                if let Some(room) = room.first_chunk_mut() {
                    *room = acknowledgment;
                }
            });
        }
    }

    /// Appends what is to be written to the control connection to `out`, and says whether that was any
    pub fn poll_control(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let any = self.control.poll_transmit(out);
        if let Some(sent) = out.get(before..).filter(|sent| !sent.is_empty()) {
            self.recorder.control(now, Kind::ControlSent, sent);
        }
        any
    }

    /// The next deadline and why it exists
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        if self.stage == Stage::Finished {
            return None;
        }
        let control = self.control.poll_timeout().map(|(at, why)| (at, Timer::Control(why)));
        let link = self.link.poll_timeout().map(|(at, why)| (at, Timer::Link(why)));
        let gre = self.session.as_ref().and_then(Session::poll_timeout);
        let gre = gre.map(|(at, why)| (at, Timer::Gre(why)));
        let reorder = self.ordered.as_ref().and_then(|ordered| ordered.poll_timeout());
        let reorder = reorder.map(|at| (at, Timer::Reorder));
        let first = self.passage.poll_timeout().map(|at| (at, Timer::FirstDatagram));
        let words = self.last_words.as_ref().map(|(at, _)| (*at, Timer::LastWords));
        let connect = self.connect_deadline.as_ref().and_then(|it| it.running());
        let connect = connect.map(|(at, _)| (at, Timer::Connect));
        [control, link, gre, reorder, first, words, connect]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// Whether a packet may be composed and sealed at `now`
    ///
    /// # Errors
    /// Why not.
    pub fn may_send(&self, now: Instant) -> Result<(), NotNow> {
        let Some(session) = self.session.as_ref().filter(|_| self.link.is_up()) else {
            return Err(NotNow::NotUp);
        };
        session.may_send(now).map_or(Ok(()), |until| Err(NotNow::PacedUntil(until)))
    }

    /// The phase reached last
    pub const fn phase(&self) -> Phase {
        self.ladder.phase()
    }

    /// When each phase was reached
    pub const fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// Whether all is done: [`Event::Down`] was given, and there is no more to wait for
    ///
    /// Asked at the end of a turn: the turn that finishes it may still have something to send.
    /// From then on the tunnel takes no input and has no output.
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Finished && self.events.is_empty()
    }

    /// The Call ID that our GRE carries, from the Outgoing-Call-Reply on
    pub const fn peer_call_id(&self) -> Option<u16> {
        self.peer_call_id
    }

    /// What the server said of itself
    pub fn peer(&self) -> Option<&pptp_control::Peer> {
        self.control.peer()
    }

    /// The flight recorder
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What was counted so far
    pub fn stats(&self) -> Stats {
        let gre = self.session.as_ref().map(|session| *session.stats()).unwrap_or_default();
        let mppe = self.link.decryptor_stats().copied().unwrap_or_default();
        self.counters.with(gre, self.link.stats(), mppe, self.link.last_heard())
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        self.ladder.enter(now, phase);
        self.events.push_back(Event::Phase(phase));
    }

    fn keep_early(&mut self, datagram: &[u8]) {
        let octets = self.early.iter().map(Vec::len).sum::<usize>().saturating_add(datagram.len());
        let has_room = self.early.len() < MAX_EARLY && octets <= MAX_EARLY_OCTETS;
        if self.stage == Stage::Connecting && has_room {
            self.early.push(datagram.to_vec());
        } else {
            self.counters.too_early = self.counters.too_early.saturating_add(1);
        }
    }
}

/// Why GRE to the peer does not pass
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GreError {
    /// ICMP: the peer, or a router before it, does not know the protocol (RFC 792)
    ProtocolUnreachable,
    /// The kernel refused to send a datagram, in these words
    NotSent(String),
    /// A datagram with our Call ID arrived from another address than the peer's; it was not taken
    FromElsewhere {
        /// Its source
        from: Ipv4Addr,
        /// The peer's address
        server: Ipv4Addr,
    },
}

/// GRE frames kept until the Outgoing-Call-Reply is there
const MAX_EARLY: usize = 16;

/// Octets of all of them: what is said so early is LCP, some 60 octets each
const MAX_EARLY_OCTETS: usize = 8 << 10;

const fn order(order: pptp_gre::Order) -> Order {
    match order {
        pptp_gre::Order::Ahead => Order::Ahead,
        pptp_gre::Order::Behind => Order::Behind,
    }
}
