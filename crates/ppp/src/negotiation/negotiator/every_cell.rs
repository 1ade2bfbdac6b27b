//! All 160 cells of RFC 1661 section 4.1 as they are performed: what is sent, what is told to the
//! layer above, the next state, the restart counter and the restart timer
//!
//! The table itself is compared with the RFC's beside it, in `automaton`.

use super::*;
use crate::{
    context::random::Random,
    failure::Failure,
    frame,
    negotiation::automaton::{
        Transition,
        tests::{EVENTS, STATES},
    },
    tests::epoch,
    wire::{
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::Protocol,
    },
};

/// A protocol with two options: one that will do, and one that will not
#[derive(Debug)]
struct Plain;

const GOOD: [u8; 3] = [1, 3, 7];
const BAD: [u8; 3] = [2, 3, 7];

impl OptionSet for Plain {
    const PROTOCOL: Protocol = Protocol::Ipcp;
    const NUMBER: u16 = frame::IPCP;

    fn restart(&mut self, _: &mut Random) {}

    fn request(&self) -> OptionsBuf {
        OptionsBuf::default()
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        _: &mut Random,
    ) -> Result<Judgement, Failure> {
        Ok(if option.kind == GOOD[0] { Judgement::Ack } else { Judgement::Reject })
    }

    fn on_ack_sent(&mut self, _: &Options<'_>) {}

    fn on_nak(&mut self, _: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        Ok(())
    }

    fn on_reject(&mut self, _: &Options<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// The identifier of our request, and what the timer and the counter stand at before each event
const OURS: u8 = 40;
const COUNTER: u8 = 5;
const LEFT: Duration = Duration::from_millis(700);

/// A negotiator in a state, whose timer runs if the state has one
struct Lab {
    negotiator: Negotiator<Plain>,
    context: Context,
    now: Instant,
}

impl Lab {
    fn new(state: State) -> Self {
        let now = epoch();
        let mut negotiator = Negotiator::new(Plain);
        let deadline = state.is_timed().then(|| now + LEFT);
        (negotiator.state, negotiator.restart, negotiator.deadline) = (state, COUNTER, deadline);
        (negotiator.id, negotiator.answered) = (OURS, false);
        Self { negotiator, context: Context::new([0; 32]), now }
    }

    /// Returns the input that makes an event happen; there is none where the RFC has a dash
    fn cause(&mut self, event: AutomatonEvent) -> Option<Layer> {
        let Self { negotiator, context, now } = self;
        let code = match event {
            AutomatonEvent::Up => return negotiator.up(*now, context),
            AutomatonEvent::Down => return negotiator.down(*now, context),
            AutomatonEvent::Open => return negotiator.open(*now, context),
            AutomatonEvent::Close => return negotiator.close(*now, context),
            AutomatonEvent::TimeoutPositive => return self.time_out(COUNTER),
            AutomatonEvent::TimeoutNegative => return self.time_out(0),
            AutomatonEvent::RxjBad => return negotiator.protocol_rejected(*now, context),
            AutomatonEvent::RcrGood | AutomatonEvent::RcrBad => Code::ConfigureRequest,
            AutomatonEvent::Rca => Code::ConfigureAck,
            AutomatonEvent::Rcn => Code::ConfigureNak,
            AutomatonEvent::Rtr => Code::TerminateRequest,
            AutomatonEvent::Rta => Code::TerminateAck,
            AutomatonEvent::Ruc => Code::Unknown(99),
            AutomatonEvent::RxjGood => Code::CodeReject,
            // LCP's alone: the link asks whether one is to be answered
            AutomatonEvent::Rxr => return None,
        };
        let data: &[u8] = match event {
            AutomatonEvent::RcrGood => &GOOD,
            AutomatonEvent::RcrBad => &BAD,
            AutomatonEvent::RxjGood => &[99],
            _ => &[],
        };
        // an answer names our request; a Terminate-Ack that does is old news where one was answered
        let id = if matches!(event, AutomatonEvent::Rca | AutomatonEvent::Rcn) { OURS } else { 77 };
        let packet = Packet { code: code.into(), id, data };
        let result = negotiator.handle_packet(*now, &packet, context);
        if !negotiator.state.is_lower_up() {
            assert!(matches!(result, Err(PacketError::Discard(Discard::OutOfPhase))));
            return None;
        }
        result.unwrap()
    }

    fn time_out(&mut self, counter: u8) -> Option<Layer> {
        self.negotiator.restart = counter;
        self.now += LEFT;
        self.negotiator.handle_timeout(self.now, &mut self.context)
    }

    /// Takes the packets that wait to be sent; returns code and identifier of each
    fn sent(&mut self) -> Vec<(Code, u8)> {
        let frames = std::iter::from_fn(|| self.context.poll_frame());
        let code = |mut octets: zeroize::Zeroizing<Vec<u8>>| {
            let (protocol, information) = frame::parse(&mut octets).unwrap();
            assert_eq!(protocol, Plain::NUMBER);
            let packet = Packet::parse(information).unwrap();
            (Code::from(packet.code), packet.id)
        };
        frames.map(code).collect()
    }
}

/// Returns the packets that the actions of a cell send, in the order in which they are performed
fn sends(actions: Actions, event: AutomatonEvent) -> Vec<(Code, u8)> {
    let resent = event == AutomatonEvent::TimeoutPositive;
    let request = if resent { OURS } else { OURS + 1 };
    [
        (Actions::SCR, Code::ConfigureRequest, request),
        (Actions::STR, Code::TerminateRequest, OURS + 1),
        (Actions::SCA, Code::ConfigureAck, 77),
        (Actions::SCN, Code::ConfigureReject, 77),
        (
            Actions::STA,
            Code::TerminateAck,
            if matches!(event, AutomatonEvent::Rca | AutomatonEvent::Rcn) { OURS } else { 77 },
        ),
        (Actions::SCJ, Code::CodeReject, 1),
    ]
    .into_iter()
    .filter(|(action, ..)| actions.contain(*action))
    .map(|(_, code, id)| (code, id))
    .collect()
}

/// RFC 1661 section 4.6: what the counter stands at, each transmission being one less
fn counter(actions: Actions, event: AutomatonEvent) -> u8 {
    let terminates = actions.contain(Actions::STR);
    let before = match event {
        _ if actions.contain(Actions::ZRC) => 0,
        _ if actions.contain(Actions::IRC) && terminates => MAX_TERMINATE,
        _ if actions.contain(Actions::IRC) => MAX_CONFIGURE,
        AutomatonEvent::TimeoutNegative => 0,
        _ => COUNTER,
    };
    before - u8::from(terminates || actions.contain(Actions::SCR))
}

/// RFC 1661 section 4.1: the timer runs in six states, and anew behind each request that is sent
fn deadline(lab: &Lab, actions: Actions, next: State, before: Option<Instant>) -> Option<Instant> {
    if actions.contain(Actions::STR) {
        return Some(lab.now + TERMINATE_RESTART);
    }
    if actions.contain(Actions::SCR) || actions.contain(Actions::ZRC) {
        return Some(lab.now + RESTART);
    }
    before.filter(|_| next.is_timed())
}

fn layer(actions: Actions) -> Option<Layer> {
    let layers =
        [(Actions::TLD, Layer::Down), (Actions::TLU, Layer::Up), (Actions::TLF, Layer::Finished)];
    layers.into_iter().find(|(action, _)| actions.contain(*action)).map(|(_, layer)| layer)
}

fn check(state: State, event: AutomatonEvent, cell: Transition) {
    let context = format!("{event:?} in {state:?}");
    let mut lab = Lab::new(state);
    let answers = lab.negotiator.answers_echo();
    let before = lab.negotiator.deadline;
    let told = lab.cause(event);
    let (actions, next) = cell.unwrap_or((Actions::NONE, state));
    assert_eq!(lab.sent(), sends(actions, event), "{context}");
    assert_eq!(told, layer(actions), "{context}");
    assert_eq!(lab.negotiator.state, next, "{context}");
    let (counter, deadline) = (counter(actions, event), deadline(&lab, actions, next, before));
    let stands = (lab.negotiator.restart, lab.negotiator.deadline);
    assert_eq!(stands, (counter, deadline), "{context}");
    if event == AutomatonEvent::Rxr {
        assert_eq!(answers, actions.contain(Actions::SER), "{context}");
    }
}

#[test]
fn rfc1661_section_4_1_all_160_cells_are_performed() {
    let mut dashes = 0;
    for state in STATES {
        for event in EVENTS {
            let cell = transition(state, event);
            dashes += u8::from(cell.is_none());
            check(state, event, cell);
        }
    }
    assert_eq!(dashes, 40, "Up 8, Down 2, both time-outs 5, and 2 of each of the ten behind them");
}

/// Packets that crossed another on its way: they are no events for the automaton
#[test]
fn an_answer_to_a_request_that_had_one_moves_nothing() {
    for state in [State::ReqSent, State::AckRcvd, State::AckSent, State::Opened] {
        for (event, was_answered) in
            [(AutomatonEvent::Rca, true), (AutomatonEvent::Rcn, true), (AutomatonEvent::Rcn, false)]
        {
            let mut lab = Lab::new(state);
            lab.negotiator.answered = was_answered;
            lab.negotiator.id = if was_answered { OURS } else { OURS + 1 };
            let before = lab.negotiator.deadline;
            assert_eq!(lab.cause(event), None);
            assert_eq!(lab.sent(), [], "{event:?} in {state:?}");
            let stands = (lab.negotiator.state, lab.negotiator.restart, lab.negotiator.deadline);
            assert_eq!(stands, (state, COUNTER, before), "{event:?} in {state:?}");
        }
    }
}
