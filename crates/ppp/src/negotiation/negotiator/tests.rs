//! One negotiator with two options, packet by packet

mod repeats;

use super::*;
use crate::{
    context::random::Random,
    failure::Failure,
    tests::epoch,
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::Protocol,
    },
};

/// The options of our request
const OURS: &[u8] = &[1, 3, 9];
/// A request of the peer that is acknowledged
const GOOD: &[u8] = &[1, 3, 7];
/// One that gets a Nak with [`GOOD`], one that is rejected, and one that lacks an option
const ELSEWISE: &[u8] = &[1, 3, 8];
const UNKNOWN: &[u8] = &[200, 2];
const LACKING: &[u8] = &[];

/// The calls of the options, in this order
#[derive(Debug, Default)]
struct Two(Vec<&'static str>);

impl OptionSet for Two {
    const PROTOCOL: Protocol = Protocol::Ipcp;
    const NUMBER: u16 = frame::IPCP;

    fn restart(&mut self, _: &mut Random) {
        self.0.push("restart");
    }

    fn request(&self) -> OptionsBuf {
        let mut options = OptionsBuf::default();
        options.push(1, &[9]);
        options
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        _: &mut Random,
    ) -> Result<Judgement, Failure> {
        Ok(match (option.kind, option.value) {
            (1, [7]) => Judgement::Ack,
            (1, _) => Judgement::Nak(vec![7]),
            _ => Judgement::Reject,
        })
    }

    fn missing(&mut self, request: &Options<'_>) -> Result<OptionsBuf, Failure> {
        let mut missing = OptionsBuf::default();
        if request.find(1).is_none() {
            missing.push(1, &[7]);
        }
        Ok(missing)
    }

    fn on_ack_sent(&mut self, _: &Options<'_>) {
        self.0.push("agree");
    }

    fn on_ack(&mut self) -> Result<(), Failure> {
        self.0.push("acknowledged");
        Ok(())
    }

    fn on_nak(&mut self, _: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        self.0.push("naked");
        Ok(())
    }

    fn on_reject(&mut self, _: &Options<'_>) -> Result<(), Failure> {
        self.0.push("rejected");
        Ok(())
    }
}

/// A packet that was sent
type Sent = (Code, u8, Vec<u8>);

/// The outcome of a packet
type Outcome = Result<Option<Layer>, PacketError>;

/// A negotiator, and its clock
struct Lab {
    negotiator: Negotiator<Two>,
    context: Context,
    now: Instant,
}

impl Lab {
    /// In the Initial state
    fn new(negotiator: Negotiator<Two>) -> Self {
        Self { negotiator, context: Context::new([7; 32]), now: epoch() }
    }

    /// In the Req-Sent state, with the request sent and seen
    fn requesting() -> Self {
        let mut lab = Self::new(Negotiator::new(Two::default()));
        assert_eq!(lab.command(Negotiator::open), None);
        assert_eq!(lab.command(Negotiator::up), None);
        assert_eq!(lab.sent(), [(Code::ConfigureRequest, 1, OURS.to_vec())]);
        lab
    }

    /// In the Opened state
    fn open() -> Self {
        let mut lab = Self::requesting();
        assert_eq!(lab.receive(Code::ConfigureRequest, 1, GOOD), Ok(None));
        assert_eq!(lab.receive(Code::ConfigureAck, 1, OURS), Ok(Some(Layer::Up)));
        lab.sent();
        lab
    }

    fn command(
        &mut self,
        command: impl FnOnce(&mut Negotiator<Two>, Instant, &mut Context) -> Option<Layer>,
    ) -> Option<Layer> {
        command(&mut self.negotiator, self.now, &mut self.context)
    }

    fn receive(&mut self, code: Code, id: u8, data: &[u8]) -> Outcome {
        let packet = Packet { code: code.into(), id, data };
        self.negotiator.handle_packet(self.now, &packet, &mut self.context)
    }

    /// Lets time pass; what the time-outs in it came to
    fn wait(&mut self, time: Duration) -> Vec<Layer> {
        let end = self.now + time;
        let mut layers = Vec::new();
        while let Some(at) = self.negotiator.deadline().filter(|at| *at <= end) {
            assert!(at > self.now, "a deadline that is over wakes for ever");
            self.now = at;
            layers.extend(self.command(Negotiator::handle_timeout));
        }
        self.now = end;
        layers
    }

    /// Returns the packets that were sent since the last call
    fn sent(&mut self) -> Vec<Sent> {
        let frames = std::iter::from_fn(|| self.context.poll_frame());
        frames
            .map(|octets| {
                let packet = Packet::parse(&octets[4..]).unwrap();
                (packet.code.into(), packet.id, packet.data.to_vec())
            })
            .collect()
    }

    /// The one packet that the peer's request is answered with
    fn answer(&mut self, id: u8, request: &[u8]) -> (Code, Vec<u8>) {
        assert_eq!(self.receive(Code::ConfigureRequest, id, request), Ok(None));
        let mut answers = self.sent();
        answers.retain(|(code, ..)| *code != Code::ConfigureRequest);
        let [(code, answered, data)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(*answered, id);
        (*code, data.clone())
    }
}

const EVERY_CODE: [Code; 9] = [
    Code::ConfigureRequest,
    Code::ConfigureAck,
    Code::ConfigureNak,
    Code::ConfigureReject,
    Code::TerminateRequest,
    Code::TerminateAck,
    Code::CodeReject,
    Code::EchoRequest,
    Code::Unknown(99),
];

#[test]
fn rfc1661_section_4_2_nothing_comes_in_before_the_layer_below_is_up() {
    for wanted in [false, true] {
        let mut lab = Lab::new(Negotiator::new(Two::default()));
        assert!(lab.negotiator.is_initial());
        if wanted {
            lab.command(Negotiator::open);
            assert!(!lab.negotiator.is_initial());
        }
        for code in EVERY_CODE {
            let outcome = lab.receive(code, 1, GOOD);
            assert_eq!(outcome, Err(PacketError::Discard(Discard::OutOfPhase)), "{code:?}");
        }
        assert!(lab.sent().is_empty() && lab.negotiator.options.0.is_empty());
    }
}

#[test]
fn rfc1661_section_4_2_a_closed_layer_answers_everything_by_terminating() {
    let mut lab = Lab::new(Negotiator::new(Two::default()));
    lab.command(Negotiator::up);
    for (id, code) in (1..).zip(&EVERY_CODE[..5]) {
        assert_eq!(lab.receive(*code, id, GOOD), Ok(None));
        assert_eq!(lab.sent(), [(Code::TerminateAck, id, vec![])], "{code:?}");
    }
    assert!(lab.negotiator.options.0.is_empty(), "none of it is an answer");
    assert_eq!(lab.context.stats.stale_answers, 0);
}

#[test]
fn only_an_open_layer_answers_echoes() {
    let mut lab = Lab::requesting();
    assert!(!lab.negotiator.answers_echo());
    assert!(Lab::open().negotiator.answers_echo());
    lab.command(Negotiator::close);
    assert!(!lab.negotiator.answers_echo());
}

#[cfg(feature = "server")]
#[test]
fn identifiers_count_from_where_they_are_told_to() {
    for first in [0, 1, 200] {
        let mut lab = Lab::new(Negotiator::new(Two::default()).counting_from(first));
        lab.command(Negotiator::open);
        lab.command(Negotiator::up);
        assert_eq!(lab.sent(), [(Code::ConfigureRequest, first, OURS.to_vec())]);
        assert_eq!(lab.receive(Code::Unknown(99), 1, &[]), Ok(None));
        assert_eq!(lab.sent(), [(Code::CodeReject, first, vec![99, 1, 0, 4])]);
    }
}

/// The table of [`crate::machine::guard`] rests on it: such a packet is acted on at once
#[test]
fn the_acknowledged_request_leaves_opened_neither_repeated_nor_renamed_once() {
    let mut lab = Lab::open();
    let request = |id| Packet { code: 1, id, data: GOOD };
    assert!(!lab.negotiator.would_leave_opened(&request(1)), "repeated");
    assert!(!lab.negotiator.would_leave_opened(&request(2)), "renamed");
    assert!(lab.negotiator.would_leave_opened(&Packet { code: 1, id: 1, data: LACKING }));
    assert_eq!(lab.receive(Code::ConfigureRequest, 2, GOOD), Ok(None));
    assert!(!lab.negotiator.would_leave_opened(&request(2)), "repeated under its new name");
    assert!(lab.negotiator.would_leave_opened(&request(3)), "renamed once more: begun anew");
    lab.negotiator.note_peer_is_open();
    assert!(lab.negotiator.would_leave_opened(&request(2)), "the peer has that Ack");
}

#[test]
fn what_was_acknowledged_is_known_by_its_identifier_and_its_options() {
    let lab = Lab::open();
    let has = |id, data| lab.negotiator.has_acknowledged(&Packet { code: 1, id, data });
    assert!(has(1, GOOD));
    assert!(!has(2, GOOD) && !has(1, LACKING));
}

/// The peer waits for the Ack that it lost as long as it has shown no sign of being open
#[test]
fn a_request_sent_again_gets_its_ack_until_the_peer_is_open_too() {
    let mut lab = Lab::open();
    assert_eq!(lab.receive(Code::ConfigureRequest, 1, GOOD), Ok(None));
    assert_eq!(lab.sent(), [(Code::ConfigureAck, 1, GOOD.to_vec())]);
    lab.negotiator.note_peer_is_open();
    assert_eq!(lab.receive(Code::ConfigureRequest, 1, GOOD), Ok(Some(Layer::Down)));
}

#[test]
fn that_the_peer_was_open_says_nothing_once_it_starts_over() {
    let mut lab = Lab::open();
    lab.negotiator.note_peer_is_open();
    assert!(lab.negotiator.peer_is_open());
    assert_eq!(lab.receive(Code::ConfigureRequest, 2, GOOD), Ok(Some(Layer::Down)));
    lab.negotiator.note_peer_is_open();
    assert!(!lab.negotiator.peer_is_open(), "nor does anything before the layer is up");
    let request = lab.sent().into_iter().find(|(code, ..)| *code == Code::ConfigureRequest);
    assert_eq!(lab.receive(Code::ConfigureAck, request.unwrap().1, OURS), Ok(Some(Layer::Up)));
    assert!(!lab.negotiator.peer_is_open());
}

#[test]
fn a_refusal_and_the_new_request_it_leads_to_are_a_round_trip() {
    let mut lab = Lab::requesting();
    for (id, passed) in [(1, 0), (1, 0), (2, 1), (3, 2)] {
        lab.answer(id, UNKNOWN);
        lab.now += Duration::from_millis(40);
        assert_eq!(lab.context.round_trips.count(), passed, "request {id}");
    }
}

#[test]
fn rfc1661_section_4_6_after_five_naks_what_is_not_acceptable_is_rejected() {
    let mut lab = Lab::requesting();
    for id in 1..=5 {
        assert_eq!(lab.answer(id, ELSEWISE), (Code::ConfigureNak, GOOD.to_vec()), "{id}");
    }
    assert_eq!(lab.answer(6, ELSEWISE), (Code::ConfigureReject, ELSEWISE.to_vec()));
}

#[test]
fn rfc1661_section_4_6_what_is_missing_is_asked_for_five_times() {
    let mut lab = Lab::requesting();
    for id in 1..=5 {
        assert_eq!(lab.answer(id, LACKING), (Code::ConfigureNak, GOOD.to_vec()), "{id}");
    }
    assert_eq!(lab.answer(6, LACKING), (Code::ConfigureAck, LACKING.to_vec()));
}

#[test]
fn an_ack_between_them_begins_the_count_of_naks_anew() {
    let mut lab = Lab::requesting();
    for id in (1..=10).step_by(2) {
        assert_eq!(lab.answer(id, ELSEWISE).0, Code::ConfigureNak);
        assert_eq!(lab.answer(id + 1, GOOD).0, Code::ConfigureAck);
    }
    assert_eq!(lab.answer(11, ELSEWISE).0, Code::ConfigureNak);
}

#[test]
fn the_twenty_fifth_refusal_of_either_side_ends_the_negotiation() {
    let mut lab = Lab::requesting();
    let mut ours = 1;
    for round in 0..12 {
        assert_eq!(lab.receive(Code::ConfigureReject, ours, LACKING), Ok(None));
        ours += 1;
        assert_eq!(lab.sent(), [(Code::ConfigureRequest, ours, OURS.to_vec())]);
        assert_eq!(lab.answer(round, UNKNOWN).0, Code::ConfigureReject);
    }
    let failure = Failure::NoAgreement { protocol: Protocol::Ipcp };
    assert_eq!(lab.receive(Code::ConfigureRequest, 99, UNKNOWN), Err(PacketError::Fail(failure)));
}

#[test]
fn rfc1661_section_4_1_a_terminate_ack_for_a_request_not_answered_takes_our_ack_back() {
    let mut lab = Lab::requesting();
    assert_eq!(lab.receive(Code::ConfigureAck, 1, OURS), Ok(None));
    assert_eq!(lab.negotiator.state, State::AckRcvd);
    assert_eq!(lab.receive(Code::TerminateAck, 1, &[]), Ok(None));
    assert_eq!(lab.negotiator.state, State::AckRcvd, "from before it was answered");
    assert_eq!(lab.receive(Code::TerminateAck, 77, &[]), Ok(None));
    assert_eq!(lab.negotiator.state, State::ReqSent);
    assert_eq!(lab.context.stats.stale_answers, 1);
}

#[test]
fn a_terminate_ack_that_nobody_asked_for_takes_an_open_layer_down() {
    let mut lab = Lab::open();
    assert_eq!(lab.receive(Code::TerminateAck, 1, &[]), Ok(None), "old news");
    assert_eq!(lab.receive(Code::TerminateAck, 2, &[]), Ok(Some(Layer::Down)));
    assert_eq!(lab.sent(), [(Code::ConfigureRequest, 2, OURS.to_vec())]);
}

#[test]
fn a_terminate_ack_ends_what_was_closed() {
    let mut lab = Lab::open();
    assert_eq!(lab.command(Negotiator::close), Some(Layer::Down));
    assert_eq!(lab.sent(), [(Code::TerminateRequest, 2, vec![])]);
    assert_eq!(lab.receive(Code::TerminateAck, 2, &[]), Ok(Some(Layer::Finished)));
}

#[test]
fn a_terminate_request_without_an_answer_is_sent_twice_a_second_apart() {
    let mut lab = Lab::open();
    lab.command(Negotiator::close);
    assert_eq!(lab.wait(Duration::from_millis(1999)), []);
    let codes: Vec<_> = lab.sent().into_iter().map(|(code, ..)| code).collect();
    assert_eq!(codes, [Code::TerminateRequest; 2]);
    assert_eq!(lab.wait(Duration::from_millis(1)), [Layer::Finished]);
    assert_eq!((lab.sent(), lab.negotiator.deadline()), (vec![], None));
}

/// Zero-Restart-Count: the peer has the time of one restart to be gone
#[test]
fn rfc1661_section_4_4_a_layer_that_the_peer_ends_is_over_three_seconds_later() {
    let mut lab = Lab::open();
    assert_eq!(lab.receive(Code::TerminateRequest, 5, b"bye"), Ok(Some(Layer::Down)));
    assert_eq!(lab.sent(), [(Code::TerminateAck, 5, vec![])]);
    assert_eq!(lab.wait(Duration::from_millis(2999)), []);
    assert_eq!(lab.wait(Duration::from_millis(1)), [Layer::Finished]);
    assert_eq!((lab.sent(), lab.negotiator.deadline()), (vec![], None));
}

#[test]
fn an_answer_goes_out_where_the_table_has_its_action_and_nowhere_else() {
    let packet = Packet { code: 1, id: 5, data: GOOD };
    let answers = [
        (Reply::Ack(&packet), AutomatonEvent::RcrGood),
        (Reply::Refuse(Code::ConfigureNak, 5, vec![]), AutomatonEvent::RcrBad),
        (Reply::Id(5), AutomatonEvent::Rtr),
        (Reply::Reject(&packet), AutomatonEvent::Ruc),
    ];
    for (answer, its_event) in answers {
        for event in [its_event, AutomatonEvent::RxjGood] {
            let mut lab = Lab::requesting();
            lab.negotiator.perform(lab.now, event, &answer, &mut lab.context);
            assert_eq!(lab.sent().len(), usize::from(event == its_event), "{answer:?}");
        }
    }
}
