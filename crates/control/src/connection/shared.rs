//! Data and actions that all states of a control connection share

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::Machine;
use crate::{
    EchoReply, Event, Failure, GeneralError, IncomingCallReply, IncomingCallRequest,
    IncomingCallResult, Message, Peer, ReplyResult, StopControlConnectionReply, Timeouts,
};

/// Counters of a control connection
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages received, skipped ones not counted
    pub messages_in: u32,
    /// Messages sent
    pub messages_out: u32,
    /// Messages skipped because their type is unknown
    pub skipped: u32,
    /// Messages dropped because they mean nothing in the state they came in
    pub out_of_phase: u32,
    /// Messages about the call that were taken although they name another Call ID
    pub foreign_call_ids: u32,
    /// Set-Link-Info and WAN-Error-Notify dropped because earlier events were not taken
    pub events_dropped: u32,
}

/// Output, events and agreed values
#[derive(Debug)]
pub(super) struct Shared {
    /// Our Call ID
    pub(super) call_id: u16,
    /// The peer's, once the call was established
    pub(super) peer_call_id: Option<u16>,
    pub(super) timeouts: Timeouts,
    pub(super) stats: Stats,
    pub(super) peer: Option<Box<Peer>>,
    output: Vec<u8>,
    events: VecDeque<Event>,
}

impl Shared {
    pub(super) fn new(call_id: u16, timeouts: Timeouts) -> Self {
        Self {
            call_id,
            peer_call_id: None,
            timeouts,
            stats: Stats::default(),
            peer: None,
            output: Vec::new(),
            events: VecDeque::new(),
        }
    }

    pub(super) fn send(&mut self, message: impl Into<Message>) {
        message.into().emit(&mut self.output);
        self.stats.messages_out = self.stats.messages_out.saturating_add(1);
    }

    pub(super) fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Notes that the control connection is established with `peer`
    pub(super) fn establish(&mut self, peer: Peer) {
        self.peer = Some(Box::new(peer.clone()));
        self.push_event(Event::Established(peer));
    }

    pub(super) fn close(&mut self, outcome: Result<(), Failure>) -> Machine {
        self.push_event(Event::Closed(outcome));
        Machine::Closed
    }

    /// Agrees to the peer's Stop-Control-Connection-Request, and closes
    pub(super) fn agree_to_stop(&mut self, outcome: Result<(), Failure>) -> Machine {
        self.send(StopControlConnectionReply {
            result: ReplyResult::Ok,
            error: GeneralError::None,
        });
        self.close(outcome)
    }

    /// Answers the messages that are allowed in any state, and counts the others as out of phase
    pub(super) fn answer(&mut self, message: &Message) {
        match message {
            Message::EchoRequest(request) => self.send(EchoReply {
                identifier: request.identifier,
                result: ReplyResult::Ok,
                error: GeneralError::None,
            }),
            Message::IncomingCallRequest(request) => self.refuse(request),
            Message::SetLinkInfo(info) => self.push_line_event(Event::SetLinkInfo(info.clone())),
            Message::WanErrorNotify(errors) => {
                self.push_line_event(Event::WanError(errors.clone()));
            }
            _ => self.count_out_of_phase(),
        }
    }

    /// Counts a message that names neither Call ID of our only call
    ///
    /// There is but one call it can mean. accel-ppp once swapped the octets of the id.
    pub(super) fn note_call_id(&mut self, named: u16) {
        let known = [Some(self.call_id), self.peer_call_id];
        if !known.contains(&Some(named)) && !known.contains(&Some(named.swap_bytes())) {
            self.stats.foreign_call_ids = self.stats.foreign_call_ids.saturating_add(1);
        }
    }

    pub(super) fn count_out_of_phase(&mut self) {
        self.stats.out_of_phase = self.stats.out_of_phase.saturating_add(1);
    }

    pub(super) fn is_flooded(&self) -> bool {
        self.output.len() > MAX_OUTPUT
    }

    pub(super) fn discard_output(&mut self) {
        self.output = Vec::new();
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        event
    }

    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.output);
        !std::mem::take(&mut self.output).is_empty()
    }

    fn refuse(&mut self, request: &IncomingCallRequest) {
        self.send(IncomingCallReply {
            call_id: 0,
            peer_call_id: request.call_id,
            result: IncomingCallResult::DoNotAccept,
            error: GeneralError::None,
            receive_window: 0,
            transmit_delay: 0,
        });
    }

    /// Reports an event about the line's quality, or drops it if too many events wait
    pub(super) fn push_line_event(&mut self, event: Event) {
        if self.events.len() < MAX_LINE_EVENTS {
            self.push_event(event);
        } else {
            self.stats.events_dropped = self.stats.events_dropped.saturating_add(1);
        }
    }
}

/// The instant `wait` after `now`
///
/// A century ahead where the clock would overflow, which only a configured time-out can ask for.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).or_else(|| now.checked_add(CENTURY)).unwrap_or(now)
}

const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

/// Octets of answers that may wait to be written
const MAX_OUTPUT: usize = 4096;

/// Events about a line's quality that may wait to be taken
const MAX_LINE_EVENTS: usize = 16;
