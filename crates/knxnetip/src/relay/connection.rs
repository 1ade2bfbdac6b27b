//! A connection of a client with the device

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use super::{action::PeerId, caller::Caller};

/// A connection of a client with the device
#[derive(Debug)]
pub(super) struct Connection {
    /// The peer whose socket the device knows
    peer: PeerId,
    /// The client's control endpoint
    caller: Caller,
    /// The client's data endpoint
    data: SocketAddrV4,
    /// The place where the client wants the answer to its latest request
    answers: SocketAddrV4,
    /// The device's data endpoint
    device_data: SocketAddrV4,
    /// The time of the client's latest frame
    last: Instant,
    state: State,
}

/// The state of a connection
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Frames pass
    Open,
    /// One side has ended it, and the other has until then to answer
    Ending(Instant),
    /// The client is gone: the device is told at that time again, so many times
    Released(Instant, u8),
}

impl Connection {
    pub(super) const fn new(
        peer: PeerId,
        (caller, data): (Caller, SocketAddrV4),
        device_data: SocketAddrV4,
        now: Instant,
    ) -> Self {
        let answers = caller.control;
        Self { peer, caller, data, answers, device_data, last: now, state: State::Open }
    }

    /// Takes note of a frame of the client
    pub(super) fn on_client(&mut self, now: Instant) {
        self.last = now;
    }

    /// Takes note of a request of the client, whose answer is to go there
    pub(super) fn on_request(&mut self, answers: SocketAddrV4) {
        self.answers = answers;
    }

    /// One side ends it
    pub(super) fn end(&mut self, now: Instant) {
        self.state = State::Ending(later(now, ANSWER));
    }

    /// Begins to tell the device in the client's name; false if that is under way
    pub(super) fn release(&mut self, now: Instant) -> bool {
        let is_new = !self.is_released();
        if is_new {
            self.state = State::Released(later(now, REPEAT), REPEATS);
        }
        is_new
    }

    /// Returns true if the device is to be told again now
    pub(super) fn repeats(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::Released(next, left) if *next <= now && *left > 0 => {
                *next = later(now, REPEAT);
                *left = left.saturating_sub(1);
                true
            }
            _ => false,
        }
    }

    /// Returns true if the client was silent for too long
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.is_open() && later(self.last, SILENCE) <= now
    }

    /// Returns true if nobody answers any more
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match self.state {
            State::Open => false,
            State::Ending(until) => until <= now,
            State::Released(next, left) => left == 0 && next <= now,
        }
    }

    /// Returns the time at which something is to be done
    pub(super) fn deadline(&self) -> Instant {
        match self.state {
            State::Open => later(self.last, SILENCE),
            State::Ending(at) | State::Released(at, _) => at,
        }
    }

    /// Returns true if it is a client's at this address
    pub(super) fn is_of(&self, client: Ipv4Addr) -> bool {
        !self.is_released() && *self.caller.control.ip() == client
    }

    /// Returns true if this is an endpoint of its client
    pub(super) fn has_endpoint(&self, endpoint: SocketAddrV4) -> bool {
        self.caller.control == endpoint || self.data == endpoint
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) const fn is_released(&self) -> bool {
        matches!(self.state, State::Released(..))
    }

    pub(super) const fn peer(&self) -> PeerId {
        self.peer
    }

    pub(super) const fn caller(&self) -> Caller {
        self.caller
    }

    pub(super) const fn data(&self) -> SocketAddrV4 {
        self.data
    }

    pub(super) const fn answers(&self) -> SocketAddrV4 {
        self.answers
    }

    pub(super) const fn device_data(&self) -> SocketAddrV4 {
        self.device_data
    }
}

/// A time that is so much later; the same time where the clock has no such time
pub(super) fn later(time: Instant, by: Duration) -> Instant {
    time.checked_add(by).unwrap_or(time)
}

/// The silence after which a connection is over: `CONNECTION_ALIVE_TIME` (ISO 22510 §5.4)
pub(super) const SILENCE: Duration = Duration::from_mins(2);

/// The time in which an answer comes: `CONNECT_REQUEST_TIMEOUT` (ISO 22510 §5.4)
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// The pause before the device is told again that a client is gone
const REPEAT: Duration = Duration::from_secs(1);

/// How often it is told again; what is lost then ends by the device's own time
const REPEATS: u8 = 2;
