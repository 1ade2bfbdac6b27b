//! Two tunnels joined by two lines, TCP's and GRE's, in virtual time

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use pptp_control::{AfterCallClear, Decoder};
use pptp_gre::Header;
use pptp_packet::{PacketBuf, VecEgress};
use pptp_ppp::{Password, ServerOrder};

use crate::{
    Config, ConnectTimeline, Event, Facts, GreBehavior, GreError, NotNow, Phase, ServerConfig,
    Timer, Tunnel, TunnelError,
};

/// From one end to the other, unless a test wants it otherwise
pub(crate) const DELAY: Duration = Duration::from_millis(20);
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(40);
pub(crate) const ORDERS: [ServerOrder; 3] =
    [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];

pub(crate) const CLIENT_CALL: u16 = 0x1234;
pub(crate) const SERVER_CALL: u16 = 0xABCD;
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 200);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The fate of a GRE datagram that an end sends
pub(crate) enum Fate {
    /// It arrives, once for each of these, that much later than usual
    Arrives(Vec<Duration>),
    /// The kernel refuses to send it, in these words
    Refused(&'static str),
}

impl Fate {
    pub(crate) fn passes() -> Self {
        Self::Arrives(vec![Duration::ZERO])
    }

    pub(crate) const fn lost() -> Self {
        Self::Arrives(Vec::new())
    }
}

enum Inbound {
    Control(Vec<u8>),
    Eof,
    Gre(Vec<u8>),
}

/// Decides on the datagrams of one end, in the order in which they are sent
type Judge = Box<dyn FnMut(Instant, &[u8]) -> Fate>;

/// One end of the lines
pub(crate) struct End {
    pub(crate) tunnel: Tunnel,
    pub(crate) events: Vec<(Duration, Event)>,
    /// Control messages and PPP control frames sent: `Stop-Control-Connection-Request`, `C021 05`
    pub(crate) said: Vec<String>,
    /// GRE datagrams sent, those that went lost included
    pub(crate) datagrams: Vec<Vec<u8>>,
    /// IP packets that came out of the tunnel
    pub(crate) packets: Vec<Vec<u8>>,
    /// IP packets that wait to go into the tunnel
    pub(crate) waiting: VecDeque<Vec<u8>>,
    /// The time that messages to this end take
    pub(crate) control_delay: Duration,
    pub(crate) gre_delay: Duration,
    /// Datagrams that a turn has room for
    pub(crate) room: usize,
    /// Loses all that this end sends on the control connection, its end included
    pub(crate) is_cut_off: bool,
    pub(crate) finished_at: Option<Duration>,
    judge: Judge,
    inbound: Vec<(Instant, Inbound)>,
    deadline: Option<Instant>,
    decoder: Decoder,
}

/// The messages that a turn sends
#[derive(Default)]
struct Outputs {
    control: Vec<u8>,
    has_ended: bool,
    gre: Vec<(Duration, Vec<u8>)>,
}

impl End {
    fn new(tunnel: Tunnel, now: Instant) -> Self {
        Self {
            tunnel,
            events: Vec::new(),
            said: Vec::new(),
            datagrams: Vec::new(),
            packets: Vec::new(),
            waiting: VecDeque::new(),
            control_delay: DELAY,
            gre_delay: DELAY,
            room: usize::MAX,
            is_cut_off: false,
            finished_at: None,
            judge: Box::new(|_, _| Fate::passes()),
            inbound: Vec::new(),
            deadline: Some(now),
            decoder: Decoder::new(),
        }
    }

    /// Lets `judge` decide what becomes of each GRE datagram from now on
    pub(crate) fn judge(&mut self, judge: impl FnMut(Instant, &[u8]) -> Fate + 'static) {
        self.judge = Box::new(judge);
    }

    /// Nothing that this end sends arrives any more
    pub(crate) fn fall_silent(&mut self) {
        self.is_cut_off = true;
        self.judge(|_, _| Fate::lost());
    }

    pub(crate) fn up(&self) -> Option<(Duration, &Facts)> {
        self.events.iter().rev().find_map(|(at, event)| match event {
            Event::Up(facts) => Some((*at, &**facts)),
            _ => None,
        })
    }

    /// The time and the reason of its end; told once at most
    pub(crate) fn down(&self) -> Option<(Duration, &TunnelError)> {
        let mut all = self.events.iter().filter_map(|(at, event)| match event {
            Event::Down(error) => Some((*at, error)),
            _ => None,
        });
        let first = all.next();
        assert_eq!(all.next(), None, "told twice");
        first
    }

    pub(crate) fn phases(&self) -> Vec<Phase> {
        let phase = |(_, event): &(Duration, Event)| match event {
            Event::Phase(phase) => Some(*phase),
            _ => None,
        };
        self.events.iter().filter_map(phase).collect()
    }

    /// The places of these among the messages, in this order
    pub(crate) fn assert_said_in_order(&self, wanted: &[&str]) {
        let mut said = self.said.iter();
        for wanted in wanted {
            assert!(said.any(|said| said == wanted), "no {wanted:?} in its place: {:?}", self.said);
        }
    }

    /// The next deadline and its reason, as the owner of a tunnel sees them
    fn next(&self) -> Option<Instant> {
        self.inbound.iter().map(|(at, _)| *at).chain(self.deadline).min()
    }

    /// One turn, as the documentation of [`Tunnel`] wants it; then the lines take what it sent
    ///
    /// The rule of every owner's loop is asserted: nothing that was due is left.
    fn turn(&mut self, start: Instant, now: Instant) -> Outputs {
        let was_finished = self.finished_at.is_some();
        let before = (self.events.len(), self.datagrams.len(), self.packets.len());
        self.tunnel.handle_timeout(now);
        self.take_inputs(now);
        self.packets.extend(std::iter::from_fn(|| self.tunnel.poll_ip(now)));
        while let Some(event) = self.tunnel.poll_event() {
            self.events.push((now - start, event));
        }
        self.compose(|tunnel, out| tunnel.poll_frames(now, out));
        let paced = self.send_packets(now);
        self.compose(|tunnel, out| tunnel.poll_gre(now, out));
        let mut control = Vec::new();
        self.tunnel.poll_control(now, &mut control);
        let timeout = self.tunnel.poll_timeout();
        let is_settled = timeout.is_none_or(|(at, _)| at > now);
        assert!(is_settled || self.room == 0, "still due: {timeout:?} at {now:?}");
        self.deadline = paced.into_iter().chain(timeout.map(|(at, _)| at)).min();
        if was_finished {
            let after = (self.events.len(), self.datagrams.len(), self.packets.len());
            assert_eq!((before, &control), (after, &Vec::new()), "finished, and goes on");
        } else if self.tunnel.is_finished() && self.room > 0 {
            assert_eq!(timeout, None, "finished, and waits");
            self.finished_at = Some(now - start);
        }
        let has_ended = !was_finished && self.finished_at.is_some();
        let gre = self.send(now, before.1);
        Outputs { control: self.say(control), has_ended, gre }
    }

    fn compose(&mut self, compose: impl FnOnce(&mut Tunnel, &mut VecEgress)) {
        let mut out = VecEgress::new(self.room);
        compose(&mut self.tunnel, &mut out);
        assert_eq!(out.dropped, 0, "composed without room");
        self.datagrams.extend(out.packets);
    }

    fn take_inputs(&mut self, now: Instant) {
        self.inbound.sort_by_key(|(at, _)| *at);
        let due = self.inbound.iter().take_while(|(at, _)| *at <= now).count();
        for (_, inbound) in self.inbound.drain(..due) {
            match inbound {
                Inbound::Control(octets) => self.tunnel.handle_control(now, &octets),
                Inbound::Eof => self.tunnel.handle_control_eof(now),
                Inbound::Gre(mut datagram) => {
                    let packet = self.tunnel.handle_gre(now, &mut datagram);
                    self.packets.extend(packet.map(|packet| packet.to_vec()));
                    self.packets.extend(std::iter::from_fn(|| self.tunnel.poll_ip(now)));
                }
            }
        }
    }

    /// Until when the window asks for a pause, if something is left
    fn send_packets(&mut self, now: Instant) -> Option<Instant> {
        while let Some(next) = self.waiting.front() {
            match self.tunnel.may_send(now) {
                Ok(()) => {}
                Err(NotNow::PacedUntil(until)) => {
                    assert!(until > now, "a pause that is over");
                    return Some(until);
                }
                Err(NotNow::NotUp) => return None,
            }
            let mut packet = PacketBuf::new();
            packet.reset(next.len()).copy_from_slice(next);
            self.tunnel.seal(now, &mut packet);
            self.datagrams.push(packet.as_slice().to_vec());
            self.waiting.pop_front();
        }
        None
    }

    fn say(&mut self, control: Vec<u8>) -> Vec<u8> {
        let mut octets = control.as_slice();
        while let Some(message) = self.decoder.decode(&mut octets).expect("our own messages") {
            self.said.push(message.control_type().to_string());
        }
        control
    }

    /// The datagrams that arrive, from this one on, and their delay beyond the usual one
    fn send(&mut self, now: Instant, first: usize) -> Vec<(Duration, Vec<u8>)> {
        let mut sent = Vec::new();
        for datagram in &self.datagrams[first..] {
            self.said.extend(control_frame(datagram));
            match (self.judge)(now, datagram) {
                Fate::Arrives(times) => {
                    sent.extend(times.into_iter().map(|later| (later, datagram.clone())));
                }
                Fate::Refused(reason) => {
                    self.tunnel.handle_gre_error(now, GreError::NotSent(reason.to_owned()));
                }
            }
        }
        sent
    }

    fn receive(&mut self, now: Instant, outputs: Outputs) {
        for (later, datagram) in outputs.gre {
            self.inbound.push((now + self.gre_delay + later, Inbound::Gre(datagram)));
        }
        let at = now + self.control_delay;
        if !outputs.control.is_empty() {
            self.inbound.push((at, Inbound::Control(outputs.control)));
        }
        if outputs.has_ended {
            self.inbound.push((at, Inbound::Eof));
        }
    }

    /// A GRE datagram arrives now, from wherever
    pub(crate) fn forge(&mut self, now: Instant, datagram: Vec<u8>) {
        self.inbound.push((now, Inbound::Gre(datagram)));
    }

    /// A control message of this type arrives now, with zeros in it
    pub(crate) fn say_to(&mut self, now: Instant, kind: u8) {
        self.inbound.push((now, Inbound::Control(message(kind, &[]))));
    }

    /// The TCP connection ends now
    pub(crate) fn lose_connection(&mut self, now: Instant) {
        self.inbound.push((now, Inbound::Eof));
    }
}

/// Protocol and code of the PPP control frame in a datagram
fn control_frame(datagram: &[u8]) -> Option<String> {
    let (_, payload) = Header::parse(datagram).expect("our own datagrams");
    match &datagram[payload] {
        [0xFF, 0x03, high, low, code, ..] | [high, low, code, ..]
            if *high >= 0x80 && high & 1 == 0 =>
        {
            Some(format!("{high:02X}{low:02X} {code:02}"))
        }
        _ => None,
    }
}

/// Both ends, and the time
pub(crate) struct Pair {
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) now: Instant,
    start: Instant,
}

impl Pair {
    /// A pair whose TCP connection has just been opened, which took a round trip
    pub(crate) fn new(config: Config, server: ServerConfig) -> Self {
        let start = Instant::now();
        let now = start + ROUND_TRIP;
        let mut timeline = ConnectTimeline::new(start);
        timeline.enter(start, Phase::TcpConnect);
        let client = Tunnel::connect(config, CLIENT_CALL, [1; 32], timeline, now);
        let server = Tunnel::accept(server, SERVER_CALL, [2; 32], now);
        Self { client: End::new(client, now), server: End::new(server, now), now, start }
    }

    pub(crate) fn of(order: ServerOrder) -> Self {
        Self::new(client_config(), server_config(order))
    }

    /// A pair that is up, and has had a second to become quiet
    pub(crate) fn up(order: ServerOrder) -> Self {
        let mut pair = Self::of(order);
        pair.run(secs(1));
        assert!(pair.client.up().is_some() && pair.server.up().is_some(), "not up");
        pair
    }

    /// Since the start of the client's timeline
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Runs for this long, whether something happens or not
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until something is the case
    pub(crate) fn run_until(&mut self, limit: Duration, is_so: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !is_so(self) {
            assert!(self.step(end), "not within {limit:?}");
        }
    }

    /// The next moment in which something happens; false if there is none up to `end`
    fn step(&mut self, end: Instant) -> bool {
        let next = self.client.next().into_iter().chain(self.server.next()).min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        if self.client.next().is_some_and(|at| at <= self.now) {
            self.client_turn();
        }
        if self.server.next().is_some_and(|at| at <= self.now) {
            self.server_turn();
        }
        true
    }

    pub(crate) fn client_turn(&mut self) {
        turn(&mut self.client, &mut self.server, self.start, self.now);
    }

    pub(crate) fn server_turn(&mut self) {
        turn(&mut self.server, &mut self.client, self.start, self.now);
    }

    pub(crate) fn close_client(&mut self) {
        self.client.tunnel.close(self.now);
        self.client_turn();
    }

    pub(crate) fn close_server(&mut self) {
        self.server.tunnel.close(self.now);
        self.server_turn();
    }

    /// The further time until both are finished
    pub(crate) fn run_until_finished(&mut self, limit: Duration) -> Duration {
        let before = self.now;
        self.run_until(limit, |pair| {
            pair.client.tunnel.is_finished() && pair.server.tunnel.is_finished()
        });
        self.now - before
    }
}

fn turn(end: &mut End, other: &mut End, start: Instant, now: Instant) {
    let outputs = end.turn(start, now);
    let is_cut_off = end.is_cut_off;
    other.receive(
        now,
        if is_cut_off { Outputs { gre: outputs.gre, ..Outputs::default() } } else { outputs },
    );
}

/// A client that sends what a test has it send, and no proofs of its own
pub(crate) fn client_config() -> Config {
    let mut config = proving_config();
    config.link.proof.is_enabled = false;
    config
}

/// A client that proves its data path
pub(crate) fn proving_config() -> Config {
    Config::new("testuser", Password::new("test123"))
}

pub(crate) fn server_config(order: ServerOrder) -> ServerConfig {
    let mut link = pptp_ppp::ServerConfig::new(GATEWAY, ADDRESS);
    link.secrets = vec![("testuser".to_owned(), Password::new("test123"))];
    link.order = order;
    link.dns = vec![GATEWAY; 2];
    let control = pptp_control::ServerConfig {
        after_call_clear: match order {
            ServerOrder::Pppd => AfterCallClear::CloseConnection,
            ServerOrder::AccelPpp => AfterCallClear::NotifyWithPeerCallId,
            ServerOrder::Rras => AfterCallClear::Notify,
        },
        ..pptp_control::ServerConfig::default()
    };
    ServerConfig { control, link, gre: GreBehavior::default() }
}

/// A control message of a type, as long as it has to be (RFC 2637 §2), filled up with zeros
pub(crate) fn message(kind: u8, fields: &[u8]) -> Vec<u8> {
    const LENGTHS: [u8; 15] = [156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24];
    let length = LENGTHS.get(usize::from(kind).wrapping_sub(1)).copied().unwrap_or(16);
    let mut message = vec![0, length, 0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0, kind, 0, 0];
    message.extend(fields);
    message.resize(length.into(), 0);
    message
}

/// An IPv4 packet that tells its number, with a right header checksum
pub(crate) fn ip_packet(number: u16, len: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..=u8::MAX).cycle().step_by(31).take(len).collect();
    let total = u16::try_from(len).unwrap().to_be_bytes();
    let number = number.to_be_bytes();
    packet[..10]
        .copy_from_slice(&[0x45, 0, total[0], total[1], number[0], number[1], 0, 0, 64, 17]);
    packet[10..12].fill(0);
    let (words, _) = packet[..20].as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    let checksum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// The reason of the tunnel's present deadline
pub(crate) fn timer(tunnel: &Tunnel) -> Option<Timer> {
    tunnel.poll_timeout().map(|(_, timer)| timer)
}
