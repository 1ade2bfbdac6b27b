//! The automaton of one control connection and its one call (RFC 2637 section 3)
//!
//! | module | content |
//! |---|---|
//! | `pns` | the states of a client |
//! | `pac` | the states of a server (feature `server`) |
//! | `shared` | data and actions that all states share, and [`Stats`] |
//! | `echo` | signs of life: echo requests and their replies |
//! | `stop` | the two steps of a teardown, each bounded |
//! | `tests` | both automata in virtual time |

mod echo;
#[cfg(feature = "server")]
mod pac;
mod pns;
mod shared;
mod stop;
#[cfg(test)]
mod tests;

use std::{mem, time::Instant};

use self::shared::Shared;
pub use self::shared::Stats;
#[cfg(feature = "server")]
use crate::ServerConfig;
use crate::{
    Config, Decoder, Event, Failure, Message, ParseError, Peer, PeerMisbehaved, StopReason, Timer,
};

/// A control connection over an established TCP connection, with its one call
///
/// Inputs are octets of TCP, the time, and [`close`](Self::close). After each input the outputs may
/// have changed: [`poll_event`](Self::poll_event), [`poll_transmit`](Self::poll_transmit) and
/// [`poll_timeout`](Self::poll_timeout). If the peer falls silent, or after `close`,
/// [`Event::Closed`] follows in bounded time. After that event nothing more is sent.
#[derive(Debug)]
pub struct ControlConnection {
    machine: Machine,
    decoder: Decoder,
    shared: Shared,
}

impl ControlConnection {
    /// The client's side (PNS) on a TCP connection just established
    ///
    /// Start-Control-Connection-Request can be sent at once. Outgoing-Call-Request follows when the
    /// control connection is established: GRE must be received by then. `call_id` is our own, which
    /// the peer's GRE will carry. `call_serial` is for the peer's logs. Both are 0 instead if the
    /// configuration's quirks require it.
    pub fn connect(config: Config, call_id: u16, call_serial: u16, now: Instant) -> Self {
        let zero = config.quirks.zero_call_id.unwrap_or(config.zero_call_id);
        let (call_id, call_serial) = if zero { (0, 0) } else { (call_id, call_serial) };
        let mut shared = Shared::new(call_id, config.timeouts);
        let machine = pns::connect(&mut shared, config, call_serial, now);
        Self { machine, decoder: Decoder::new(), shared }
    }

    /// The server's side (PAC) on a TCP connection just accepted
    ///
    /// `call_id` is the server's number for the one call that it will accept.
    #[cfg(feature = "server")]
    pub fn accept(config: ServerConfig, call_id: u16, now: Instant) -> Self {
        let shared = Shared::new(call_id, config.timeouts);
        let machine = pac::accept(&shared, config, now);
        Self { machine, decoder: Decoder::new(), shared }
    }

    /// Takes octets of the TCP stream, in pieces of any size
    pub fn handle_octets(&mut self, now: Instant, octets: &[u8]) {
        let mut rest = octets;
        while !self.is_closed() {
            match self.decoder.decode(&mut rest) {
                Ok(Some(message)) => self.handle_message(now, &message),
                Ok(None) => break,
                Err(error) => self.lose_sync(error, rest),
            }
        }
    }

    /// Handles the end of the TCP connection: the peer closed it, or it broke
    ///
    /// In a teardown that is how some servers answer.
    pub fn handle_eof(&mut self, _now: Instant) {
        self.end(Failure::ConnectionLost);
    }

    /// Handles the deadlines that have passed at `now`
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|(deadline, _)| deadline <= now) {
            self.advance(|machine, shared| machine.handle_timeout(shared, now));
        }
    }

    /// Sends an Echo-Request now, unless its reply is awaited or no call is established
    ///
    /// Without an answer the connection ends as after a silence.
    pub fn send_echo_request(&mut self, now: Instant) {
        self.advance(|machine, shared| machine.send_echo_request(shared, now));
    }

    /// Ends call and control connection properly, in two steps of 2 s at most
    ///
    /// Call-Clear-Request first, then Stop-Control-Connection-Request with `reason`. A connection
    /// not yet established is over at once; one that is ending already goes on doing so.
    pub fn close(&mut self, now: Instant, reason: StopReason) {
        self.advance(|machine, shared| machine.close(shared, now, reason));
    }

    /// The next event, oldest first
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.poll_event()
    }

    /// Appends the octets to be written to the TCP connection to `out`; returns true if there were
    /// any
    ///
    /// Called when the octets given before are written: at most 4 KiB are held, and a peer that
    /// asks for more answers than it reads is ended.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.shared.poll_transmit(out)
    }

    /// The next deadline and why it exists
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.machine.poll_timeout()
    }

    /// The current state
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// Returns true after [`Event::Closed`]: nothing happens any more
    pub fn is_closed(&self) -> bool {
        self.state() == State::Closed
    }

    /// The peer's description of itself, once the control connection was established
    pub fn peer(&self) -> Option<&Peer> {
        self.shared.peer.as_deref()
    }

    /// Our Call ID, which the peer's GRE carries
    pub fn call_id(&self) -> u16 {
        self.shared.call_id
    }

    /// The counters so far
    pub fn stats(&self) -> Stats {
        Stats { skipped: self.decoder.skipped(), ..self.shared.stats }
    }

    fn handle_message(&mut self, now: Instant, message: &Message) {
        self.shared.stats.messages_in = self.shared.stats.messages_in.saturating_add(1);
        self.advance(|machine, shared| machine.handle(shared, now, message));
    }

    fn advance(&mut self, step: impl FnOnce(Machine, &mut Shared) -> Machine) {
        let machine = mem::replace(&mut self.machine, Machine::Closed);
        self.machine = step(machine, &mut self.shared);
        if self.shared.is_flooded() {
            self.shared.discard_output();
            self.end(PeerMisbehaved::AnswersUnread.into());
        }
    }

    fn lose_sync(&mut self, error: ParseError, rest: &[u8]) {
        let unanswered = matches!(self.machine, Machine::WaitControlReply(_));
        if unanswered && error.may_be_another_protocol() && self.decoder.skipped() == 0 {
            let first = self.decoder.partial().iter().chain(rest).take(16).copied().collect();
            self.end(Failure::NotPptp { first });
        } else {
            self.end(PeerMisbehaved::LostSync(error).into());
        }
    }

    /// Closes without another message; a teardown on its way keeps the outcome it has
    fn end(&mut self, failure: Failure) {
        self.advance(|machine, shared| machine.end(shared, failure));
    }
}

/// The state of a control connection (RFC 2637 §3.1, §3.2)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// A server waits for Start-Control-Connection-Request
    #[cfg(feature = "server")]
    WaitControlRequest,
    /// Start-Control-Connection-Request is sent
    WaitControlReply,
    /// A server waits for Outgoing-Call-Request, or for the end after Call-Clear-Request
    #[cfg(feature = "server")]
    WaitCallRequest,
    /// The control connection is established and Outgoing-Call-Request sent
    WaitCallReply,
    /// The call is established
    CallEstablished,
    /// Call-Clear-Request is sent
    WaitDisconnect,
    /// Stop-Control-Connection-Request is sent
    WaitStopReply,
    /// The control connection is closed
    Closed,
}

/// The states, each with its data
#[derive(Debug)]
enum Machine {
    #[cfg(feature = "server")]
    WaitControlRequest(pac::WaitControlRequest),
    WaitControlReply(pns::WaitControlReply),
    #[cfg(feature = "server")]
    WaitCallRequest(pac::WaitCallRequest),
    WaitCallReply(pns::WaitCallReply),
    CallEstablished(pns::CallEstablished),
    #[cfg(feature = "server")]
    CallServed(pac::CallServed),
    WaitDisconnect(stop::WaitDisconnect),
    WaitStopReply(stop::WaitStopReply),
    Closed,
}

impl Machine {
    fn handle(self, shared: &mut Shared, now: Instant, message: &Message) -> Self {
        match self {
            #[cfg(feature = "server")]
            Self::WaitControlRequest(state) => state.handle(shared, now, message),
            Self::WaitControlReply(state) => state.handle(shared, now, message),
            #[cfg(feature = "server")]
            Self::WaitCallRequest(state) => state.handle(shared, now, message),
            Self::WaitCallReply(state) => state.handle(shared, now, message),
            Self::CallEstablished(state) => state.handle(shared, now, message),
            #[cfg(feature = "server")]
            Self::CallServed(state) => state.handle(shared, now, message),
            Self::WaitDisconnect(state) => state.handle(shared, now, message),
            Self::WaitStopReply(state) => state.handle(shared, message),
            Self::Closed => Self::Closed,
        }
    }

    fn handle_timeout(self, shared: &mut Shared, now: Instant) -> Self {
        match self {
            #[cfg(feature = "server")]
            Self::WaitControlRequest(_) => shared.close(Err(Failure::NoControlRequest)),
            Self::WaitControlReply(_) => shared.close(Err(Failure::NoControlReply)),
            #[cfg(feature = "server")]
            Self::WaitCallRequest(state) => state.handle_timeout(shared, now),
            Self::WaitCallReply(_) => pns::give_up_call(shared, now),
            Self::CallEstablished(state) => state.handle_timeout(shared, now),
            #[cfg(feature = "server")]
            Self::CallServed(state) => state.handle_timeout(shared, now),
            Self::WaitDisconnect(state) => state.stop(shared, now),
            Self::WaitStopReply(state) => shared.close(state.outcome),
            Self::Closed => Self::Closed,
        }
    }

    fn send_echo_request(mut self, shared: &mut Shared, now: Instant) -> Self {
        if let Self::CallEstablished(state) = &mut self {
            state.send_echo_request(shared, now);
        }
        self
    }

    fn close(self, shared: &mut Shared, now: Instant, reason: StopReason) -> Self {
        match self {
            #[cfg(feature = "server")]
            Self::WaitControlRequest(_) => shared.close(Ok(())),
            Self::WaitControlReply(_) => shared.close(Ok(())),
            #[cfg(feature = "server")]
            Self::WaitCallRequest(_) => stop::stop(shared, now, reason, Ok(())),
            Self::WaitCallReply(_) | Self::CallEstablished(_) => {
                stop::clear_call(shared, now, reason, Ok(()))
            }
            #[cfg(feature = "server")]
            Self::CallServed(state) => state.close(shared, now, reason),
            Self::WaitDisconnect(_) | Self::WaitStopReply(_) | Self::Closed => self,
        }
    }

    fn end(self, shared: &mut Shared, failure: Failure) -> Self {
        match self {
            #[cfg(feature = "server")]
            Self::WaitCallRequest(state) => shared.close(state.outcome(failure)),
            Self::WaitDisconnect(stop::WaitDisconnect { outcome, .. })
            | Self::WaitStopReply(stop::WaitStopReply { outcome, .. }) => shared.close(outcome),
            Self::Closed => Self::Closed,
            _ => shared.close(Err(failure)),
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        match self {
            #[cfg(feature = "server")]
            Self::WaitControlRequest(state) => Some((state.until, Timer::ControlRequest)),
            Self::WaitControlReply(state) => Some((state.until, Timer::ControlReply)),
            #[cfg(feature = "server")]
            Self::WaitCallRequest(state) => Some(state.echo.poll_timeout()),
            Self::WaitCallReply(state) => Some((state.until, Timer::CallReply)),
            Self::CallEstablished(state) => Some(state.echo.poll_timeout()),
            #[cfg(feature = "server")]
            Self::CallServed(state) => Some(state.echo.poll_timeout()),
            Self::WaitDisconnect(state) => Some((state.until, Timer::CallDisconnect)),
            Self::WaitStopReply(state) => Some((state.until, Timer::StopReply)),
            Self::Closed => None,
        }
    }

    fn state(&self) -> State {
        match self {
            #[cfg(feature = "server")]
            Self::WaitControlRequest(_) => State::WaitControlRequest,
            Self::WaitControlReply(_) => State::WaitControlReply,
            #[cfg(feature = "server")]
            Self::WaitCallRequest(_) => State::WaitCallRequest,
            Self::WaitCallReply(_) => State::WaitCallReply,
            Self::CallEstablished(_) => State::CallEstablished,
            #[cfg(feature = "server")]
            Self::CallServed(_) => State::CallEstablished,
            Self::WaitDisconnect(_) => State::WaitDisconnect,
            Self::WaitStopReply(_) => State::WaitStopReply,
            Self::Closed => State::Closed,
        }
    }
}
