//! Both automata in virtual time

mod client;
mod every_message;
mod quirks;
#[cfg(feature = "server")]
mod server;
mod teardown;
mod totality;

use std::time::{Duration, Instant};

use crate::{
    Config, ControlConnection, Decoder, Event, Failure, GeneralError, Message, OutgoingCallReply,
    OutgoingCallResult, PROTOCOL_VERSION, StartControlConnectionReply, StartResult, State,
    StopReason, Text, Timer, message::tests::emitted,
};

const OUR_CALL_ID: u16 = 0x1234;
const PEER_CALL_ID: u16 = 0x5678;

/// A connection, its clock, and the decoder of its peer
struct Lab {
    connection: ControlConnection,
    now: Instant,
    decoder: Decoder,
}

impl Lab {
    fn connect(config: Config) -> Self {
        let now = start();
        let connection = ControlConnection::connect(config, OUR_CALL_ID, 1, now);
        Self { connection, now, decoder: Decoder::new() }
    }

    /// A client that has come to `state`, with nothing left to be taken
    fn client_in(state: State) -> Self {
        let mut lab = Self::connect(Config::default());
        if state != State::WaitControlReply {
            lab.give(start_reply());
        }
        if !matches!(state, State::WaitControlReply | State::WaitCallReply) {
            lab.give(call_reply());
        }
        if matches!(state, State::WaitDisconnect | State::WaitStopReply | State::Closed) {
            lab.close();
        }
        if matches!(state, State::WaitStopReply | State::Closed) {
            lab.expire();
        }
        if state == State::Closed {
            lab.expire();
        }
        assert_eq!(lab.connection.state(), state);
        lab.sent();
        lab.events();
        lab
    }

    fn give(&mut self, message: impl Into<Message>) {
        self.connection.handle_octets(self.now, &emitted(&message.into()));
    }

    fn close(&mut self) {
        self.connection.close(self.now, StopReason::StopLocalShutdown);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.connection.handle_timeout(self.now);
    }

    /// Lets time pass until the next deadline; returns the deadline's timer and the time that passed
    fn expire(&mut self) -> (Timer, Duration) {
        let (at, timer) = self.connection.poll_timeout().expect("a deadline");
        let wait = at - self.now;
        self.pass(wait);
        (timer, wait)
    }

    /// The messages that the peer got since the last call
    fn sent(&mut self) -> Vec<Message> {
        let mut octets = Vec::new();
        self.connection.poll_transmit(&mut octets);
        let mut rest = &octets[..];
        std::iter::from_fn(|| self.decoder.decode(&mut rest).unwrap()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// Asserts that it is over, and for which reason
    fn assert_closed(&mut self, outcome: Result<(), Failure>) {
        assert_eq!(self.events().pop(), Some(Event::Closed(outcome)));
        assert_eq!(self.connection.state(), State::Closed);
        assert_eq!(self.connection.poll_timeout(), None);
    }

    /// Lets time pass until it is over; returns the time that it took
    fn run_out(&mut self) -> Duration {
        let start = self.now;
        while self.connection.poll_timeout().is_some() {
            self.expire();
            assert!(self.now - start < secs(200), "still not over: {:?}", self.connection);
        }
        self.now - start
    }
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant can come from nowhere else")]
    Instant::now()
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn start_reply() -> StartControlConnectionReply {
    StartControlConnectionReply {
        version: PROTOCOL_VERSION,
        result: StartResult::Successful,
        error: GeneralError::None,
        framing_capabilities: 3,
        bearer_capabilities: 3,
        max_channels: 1,
        firmware: 1,
        host_name: Text::new("local"),
        vendor: Text::new("linux"),
    }
}

fn call_reply() -> OutgoingCallReply {
    OutgoingCallReply {
        call_id: PEER_CALL_ID,
        peer_call_id: OUR_CALL_ID,
        result: OutgoingCallResult::Connected,
        error: GeneralError::None,
        cause: 0,
        connect_speed: 10_000_000,
        receive_window: 16,
        processing_delay: 5,
        physical_channel: 0,
    }
}
