//! The tunnel as one state machine: control connection, GRE and PPP in their order

mod events;
mod login;
mod ordered;
mod receive;
#[cfg(feature = "server")]
mod serving;
mod transmit;

use std::{
    fmt,
    time::{Duration, Instant},
};

use pptp_control::{ControlConnection, StopReason};
use pptp_gre::{Reordering, Session};
use pptp_packet::Queue;
use pptp_ppp::{ClientConfig, Link, Password, Phase as LinkPhase};

use crate::{
    ConnectTimeline, Event, Failure, Phase, Quirks, Recognition, Stats, Timer,
    connect_deadline::ConnectDeadline,
    event::Counters,
    gre_probe::GreProbe,
    quirks::Kinds,
    recorder::{Kind, Recorder},
};

use ordered::Ordered;
pub use receive::GreError;
#[cfg(feature = "server")]
pub use serving::{Acknowledgments, GreBehavior, ServerConfig};

/// The options of a tunnel that a client dials
#[derive(Debug, Clone)]
pub struct Config {
    /// The options of the control connection; its quirks and its recognizer are taken from the fields below
    pub control: pptp_control::Config,
    /// The user, the password and the options of PPP
    pub link: ClientConfig,
    /// Known quirks of this server, which take precedence over those of a recognized one
    pub quirks: Quirks,
    /// Kinds of servers to recognize by their Start-Control-Connection-Reply, in this order
    pub recognitions: Vec<Recognition>,
    /// Until when the connect has to be over, and how long that was in all, for the error
    pub connect_deadline: Option<(Instant, Duration)>,
    /// The bounds of reordering, which stateful MPPE needs, and packets in the clear
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
            quirks: Quirks::NONE,
            recognitions: Recognition::KNOWN.to_vec(),
            connect_deadline: None,
            reordering: Reordering::default(),
            recorder: Recorder::DEFAULT_CAPACITY,
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
/// - commands: [`close`](Self::close), [`renegotiate`](Self::renegotiate), [`check_peer`](Self::check_peer),
///   [`seal`](Self::seal)
/// - outputs: [`poll_ip`](Self::poll_ip), [`poll_event`](Self::poll_event), [`poll_frames`](Self::poll_frames),
///   [`poll_gre`](Self::poll_gre), [`poll_control`](Self::poll_control),
///   [`poll_timeout`](Self::poll_timeout)
///
/// **A turn** is any number of inputs and commands at one `now`, then all outputs once, in this
/// order: `poll_ip` until no packet is left (best after each datagram, so that packets keep their order),
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
    /// Of a client, until the Start-Control-Connection-Reply
    kinds: Option<Box<Kinds>>,
    /// While frames need their order; boxed, since most tunnels do without
    ordered: Option<Box<Ordered>>,
    /// Not as by default
    reordering: Option<Box<Reordering>>,
    /// GRE that overtook the Outgoing-Call-Reply
    early: Vec<Vec<u8>>,
    stage: Stage,
    timeline: ConnectTimeline,
    connect_deadline: Option<Box<ConnectDeadline>>,
    /// The watch over GRE, until LCP is through
    gre_probe: GreProbe,
    /// The control connection has ended, and until when GRE may still say why
    last_words: Option<(Instant, Box<Failure>)>,
    events: Queue<Event>,
    recorder: Recorder,
    counters: Counters,
    /// The way in which our GRE goes out
    #[cfg(feature = "server")]
    gre_behavior: GreBehavior,
}

/// Writes a line for logs; the rest is long, and some of it is secret
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, peer_call_id, link, .. } = self;
        write!(f, "Tunnel {{ {stage:?}, peer's Call ID {peer_call_id:?}, {link:?} }}")
    }
}

/// The stage of a tunnel's life
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
    /// Magic-Numbers come from it. `timeline` has the phases before this one.
    pub fn connect(
        config: Config,
        call_id: u16,
        seed: [u8; 32],
        timeline: ConnectTimeline,
        now: Instant,
    ) -> Self {
        let Quirks { control: quirks, link: link_quirks } = config.quirks;
        let kinds = Kinds::new(link_quirks, config.recognitions);
        let control =
            pptp_control::Config { quirks, recognizer: kinds.recognizer(), ..config.control };
        let control = ControlConnection::connect(control, call_id, call_id, now);
        let link = Link::client(config.link, seed);
        let recorder = Recorder::new(timeline.started(), config.recorder);
        let mut tunnel = Self::new(control, link, timeline, recorder);
        tunnel.is_client = true;
        tunnel.kinds = Some(Box::new(kinds));
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
        let recorder = Recorder::new(now, Recorder::DEFAULT_CAPACITY);
        let mut tunnel = Self::new(control, link, ConnectTimeline::new(now), recorder);
        tunnel.gre_behavior = config.gre;
        tunnel.enter(now, Phase::ControlConnection);
        tunnel
    }

    fn new(
        control: ControlConnection,
        link: Link,
        timeline: ConnectTimeline,
        recorder: Recorder,
    ) -> Self {
        Self {
            is_client: false,
            control,
            link,
            session: None,
            peer_call_id: None,
            kinds: None,
            ordered: None,
            reordering: None,
            early: Vec::new(),
            stage: Stage::Connecting,
            timeline,
            connect_deadline: None,
            gre_probe: GreProbe::default(),
            last_words: None,
            events: Queue::new(),
            recorder,
            counters: Counters::default(),
            #[cfg(feature = "server")]
            gre_behavior: GreBehavior::default(),
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

    /// Runs the timers that are due at `now`; does nothing before a deadline
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

    /// Asks the peer for a sign of life now, since it may be gone: over LCP and over the control connection
    ///
    /// Requests leave with the next [`handle_timeout`](Self::handle_timeout). A peer that is gone is noticed within
    /// 12 s, and a host that has forgotten the control connection after a round trip. Does nothing before LCP is open.
    pub fn check_peer(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Up | Stage::Renegotiating) {
            self.link.check_peer(now);
            self.control.send_echo_request(now);
        }
    }

    /// The next thing to know, oldest first
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends the octets to be written to the control connection to `out`; returns true if there were any
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
        let first = self.gre_probe.poll_timeout().map(|at| (at, Timer::FirstDatagram));
        let words = self.last_words.as_ref().map(|(at, _)| (*at, Timer::LastWords));
        let connect = self.connect_deadline.as_ref().and_then(|it| it.running());
        let connect = connect.map(|(at, _)| (at, Timer::Connect));
        [control, link, gre, reorder, first, words, connect]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// The phase reached last
    pub const fn phase(&self) -> Phase {
        self.timeline.phase()
    }

    /// Returns the times at which the phases were reached
    pub const fn timeline(&self) -> &ConnectTimeline {
        &self.timeline
    }

    /// Returns true if all is done: [`Event::Down`] was given, and there is no more to wait for
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

    /// Returns the server's own words about itself
    pub fn peer(&self) -> Option<&pptp_control::Peer> {
        self.control.peer()
    }

    /// The flight recorder
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Returns the counts so far
    pub fn stats(&self) -> Stats {
        let gre = self.session.as_ref().map(|session| *session.stats()).unwrap_or_default();
        let mppe = self.link.decryptor_stats().copied().unwrap_or_default();
        self.counters.with(gre, self.link.stats(), mppe, self.link.last_heard())
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        self.timeline.enter(now, phase);
        self.events.push_back(Event::Phase(phase));
    }
}
