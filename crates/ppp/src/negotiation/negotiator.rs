//! Drives the automaton of one protocol: identifiers, the restart timer, requests and their answers

#[cfg(test)]
mod every_cell;
pub(crate) mod option_set;
mod receive;
mod repeat_policy;
mod repeats;
mod send;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::{
    context::{Context, PacketError, round_trips::Sent, stats::Discard},
    negotiation::automaton::{Actions, AutomatonEvent, State, transition},
    wire::packet::{Code, Packet},
};
use option_set::{Judgement, OptionSet};
use repeat_policy::{RepeatPolicy, TurnedAway};

/// The change of a layer (RFC 1661 §4.4)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Up,
    Down,
    Finished,
}

/// The automaton of one protocol, with its memory of both ends
#[derive(Debug)]
pub(crate) struct Negotiator<O> {
    pub(crate) options: O,
    repeats: RepeatPolicy,
    /// The state of a request that was answered by Terminate-Ack
    turned_away: TurnedAway,
    state: State,
    /// Identifier of our latest Configure-Request, and its options until it is answered
    id: u8,
    request: Box<[u8]>,
    /// True if that request has had its answer: every further one is stale
    answered: bool,
    /// Identifier of our latest Code-Reject
    reject_id: u8,
    /// Its transmissions, until it is answered: the first ones and the latest,
    /// [`MAX_TRANSMISSIONS`]
    transmissions: Vec<Sent>,
    /// Identifier and options of the peer's request that we acknowledged last
    acknowledged: Option<(u8, Box<[u8]>)>,
    /// Our latest Nak or Reject
    refusal: Option<Box<SentRefusal>>,
    /// Our latest Configure-Ack
    ack: Option<Sent>,
    /// True if something came from the peer that it sends in the Opened state only
    peer_is_open: bool,
    /// True if the peer's request came once more under another identifier since ours was opened
    was_renamed: bool,
    restart: u8,
    deadline: Option<Instant>,
    /// Configure-Naks sent without a Configure-Ack between them
    naks: u8,
    /// Requests refused and requests changed since the negotiation began
    rounds: u8,
}

/// A Configure-Nak or -Reject of ours, and the request that it refused
#[derive(Debug)]
struct SentRefusal {
    /// Identifier and options of the request
    id: u8,
    request: Box<[u8]>,
    code: Code,
    options: Box<[u8]>,
    sent: Sent,
    /// Times the request came again
    repeats: u8,
}

/// The answer to a packet that came in
#[derive(Debug)]
enum Reply<'a> {
    None,
    Ack(&'a Packet<'a>),
    /// Configure-Nak or -Reject with these options
    Refuse(Code, u8, Vec<u8>),
    /// Terminate-Ack or Echo-Reply with this identifier
    Id(u8),
    /// Code-Reject of this packet
    Reject(&'a Packet<'a>),
}

impl<O: OptionSet> Negotiator<O> {
    pub(crate) fn new(options: O) -> Self {
        Self {
            options,
            repeats: RepeatPolicy::ByTimer,
            turned_away: TurnedAway::No,
            state: State::Initial,
            id: 0,
            request: Box::default(),
            answered: true,
            reject_id: 0,
            transmissions: Vec::new(),
            acknowledged: None,
            refusal: None,
            ack: None,
            peer_is_open: false,
            was_renamed: false,
            restart: 0,
            deadline: None,
            naks: 0,
            rounds: 0,
        }
    }

    /// The state of the automaton (RFC 1661 §4.2)
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Returns the negotiator with this first identifier instead of 1
    pub(crate) fn counting_from(self, first: u8) -> Self {
        let id = first.wrapping_sub(1);
        Self { id, reject_id: id, ..self }
    }

    /// Performs the event Up: the layer below is up
    pub(crate) fn up(&mut self, now: Instant, context: &mut Context) -> Option<Layer> {
        self.perform(now, AutomatonEvent::Up, &Reply::None, context)
    }

    /// Performs the event Down: the layer below is down
    pub(crate) fn down(&mut self, now: Instant, context: &mut Context) -> Option<Layer> {
        self.perform(now, AutomatonEvent::Down, &Reply::None, context)
    }

    /// Performs the event Open: the protocol is wanted
    pub(crate) fn open(&mut self, now: Instant, context: &mut Context) -> Option<Layer> {
        self.perform(now, AutomatonEvent::Open, &Reply::None, context)
    }

    /// Performs the event Close: the protocol is not wanted any more
    pub(crate) fn close(&mut self, now: Instant, context: &mut Context) -> Option<Layer> {
        self.perform(now, AutomatonEvent::Close, &Reply::None, context)
    }

    /// Performs the event RXJ-: the peer rejected the protocol as a whole
    pub(crate) fn protocol_rejected(
        &mut self,
        now: Instant,
        context: &mut Context,
    ) -> Option<Layer> {
        self.perform(now, AutomatonEvent::RxjBad, &Reply::None, context)
    }

    /// Handles a packet of this protocol
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Option<Layer>, PacketError> {
        if !self.state.is_lower_up() {
            return Err(PacketError::Discard(Discard::OutOfPhase));
        }
        match Code::from(packet.code) {
            Code::ConfigureRequest => self.handle_request(now, packet, context),
            Code::ConfigureAck => self.handle_ack(now, packet, context),
            code @ (Code::ConfigureNak | Code::ConfigureReject) => {
                self.handle_refusal(now, code, packet, context)
            }
            Code::TerminateRequest => {
                Ok(self.perform(now, AutomatonEvent::Rtr, &Reply::Id(packet.id), context))
            }
            Code::TerminateAck => Ok(self.handle_terminate_ack(now, packet, context)),
            Code::CodeReject => self.handle_code_reject(now, packet, context),
            _ => Ok(self.perform(now, AutomatonEvent::Ruc, &Reply::Reject(packet), context)),
        }
    }

    /// Returns true if acting on a packet would take the protocol out of the Opened state, or end the link
    ///
    /// Answers to our request are stale in that state, and so is a Terminate-Ack of it. The request
    /// that we have acknowledged may come again because our Ack was lost: the same Ack does.
    pub(crate) fn would_leave_opened(&self, packet: &Packet<'_>) -> bool {
        if !self.is_open() {
            return false;
        }
        match Code::from(packet.code) {
            Code::ConfigureRequest => !self.is_repeated(packet) && !self.is_renamed(packet),
            Code::TerminateRequest => true,
            Code::TerminateAck => packet.id != self.id,
            Code::CodeReject => packet.data.first().is_some_and(|code| is_needed(*code)),
            _ => false,
        }
    }

    /// Counts the latest request as the first of [`MAX_CONFIGURE`], since the peer may have been
    /// deaf so far
    pub(crate) const fn reset_restart_counter(&mut self) {
        if matches!(self.state, State::ReqSent | State::AckSent) {
            self.restart = MAX_CONFIGURE.saturating_sub(1);
        }
    }

    /// Retransmits or gives up if that is due: [`Layer::Finished`] means given up
    pub(crate) fn handle_timeout(&mut self, now: Instant, context: &mut Context) -> Option<Layer> {
        self.deadline.filter(|deadline| *deadline <= now)?;
        self.deadline = None;
        let event = if self.restart > 0 {
            AutomatonEvent::TimeoutPositive
        } else {
            AutomatonEvent::TimeoutNegative
        };
        self.perform(now, event, &Reply::None, context)
    }

    /// Notes a packet that the peer sends in its Opened state only
    pub(crate) fn note_peer_is_open(&mut self) {
        self.peer_is_open |= self.is_open();
    }

    /// Returns true if an Echo-Request is to be answered
    pub(crate) fn answers_echo(&self) -> bool {
        let reaction = transition(self.state, AutomatonEvent::Rxr);
        reaction.is_some_and(|(actions, _)| actions.contain(Actions::SER))
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Opened)
    }

    pub(crate) const fn is_initial(&self) -> bool {
        matches!(self.state, State::Initial)
    }

    /// Returns true if the peer has been seen in its Opened state since ours was entered
    pub(crate) const fn peer_is_open(&self) -> bool {
        self.peer_is_open
    }

    /// Returns true if this is the request we acknowledged last
    pub(crate) fn has_acknowledged(&self, packet: &Packet<'_>) -> bool {
        let same = |(id, data): &(u8, Box<[u8]>)| *id == packet.id && **data == *packet.data;
        self.acknowledged.as_ref().is_some_and(same)
    }

    /// The time at which our latest Configure-Ack was sent
    pub(crate) const fn ack(&self) -> Option<Sent> {
        self.ack
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Performs one event of the automaton
    fn perform(
        &mut self,
        now: Instant,
        event: AutomatonEvent,
        answer: &Reply<'_>,
        context: &mut Context,
    ) -> Option<Layer> {
        let (actions, next) = transition(self.state, event)?;
        if actions.contain(Actions::SCR)
            && matches!(event, AutomatonEvent::Up | AutomatonEvent::Open)
        {
            self.begin(context);
        }
        self.state = next;
        self.set_restart_counter(now, actions);
        self.send(now, actions, event, answer, context);
        if !next.is_timed() {
            self.deadline = None;
        }
        if !self.is_open() {
            self.peer_is_open = false;
            self.was_renamed = false;
        }
        let layers = [
            (Actions::TLD, Layer::Down),
            (Actions::TLU, Layer::Up),
            (Actions::TLF, Layer::Finished),
        ];
        layers.into_iter().find(|(action, _)| actions.contain(*action)).map(|(_, layer)| layer)
    }

    /// Begins a negotiation, and forgets the one before it
    fn begin(&mut self, context: &mut Context) {
        self.options.restart(&mut context.random);
        self.naks = 0;
        self.rounds = 0;
        self.refusal = None;
        self.acknowledged = None;
    }
}

/// Returns true if every implementation has to know a code (RFC 1661 §5.6)
const fn is_needed(code: u8) -> bool {
    matches!(code, 1..=7)
}

/// Time before an unanswered request is sent again (RFC 1661 §4.6)
const RESTART: Duration = Duration::from_secs(3);
/// Time before an unanswered Terminate-Request is sent again: hanging up takes 2 s at most, not 6
const TERMINATE_RESTART: Duration = Duration::from_secs(1);
/// Transmissions of a Configure-Request without an answer (RFC 1661 §4.6)
const MAX_CONFIGURE: u8 = 10;
/// Transmissions of a Terminate-Request without an answer (RFC 1661 §4.6)
const MAX_TERMINATE: u8 = 2;
/// Refusals, ours and the peer's together, after which a negotiation does not converge: both may
/// Nak [`MAX_FAILURE`](option_set::MAX_FAILURE) times and then reject option after option
const MAX_ROUNDS: u8 = 24;
/// Times the same request gets the same refusal: as often as its timer sends it (RFC 1661 §4.6)
const MAX_REPEATS: u8 = MAX_CONFIGURE;
/// Times the same request comes again behind its refusal, from a peer that has answered ours, until
/// it counts as deaf to the refusal: 12 s by the restart timer. At a loss of 30 % each way, one
/// peer in a hundred that is not deaf looks like that.
const MAX_DEAF: u8 = 4;
/// Transmissions of one request whose time is remembered
const MAX_TRANSMISSIONS: usize = 8;
/// Octets of a packet sent back in a Code-Reject: below any MRU
const MAX_REJECTED: usize = 64;
