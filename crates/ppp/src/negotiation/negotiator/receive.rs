//! The meaning of each packet of the peer for the automaton

use std::time::Instant;

use pptp_packet::Counter;

use super::{
    Judgement, Layer, MAX_DEAF, MAX_REPEATS, MAX_ROUNDS, Negotiator, OptionSet, Reply, SentRefusal,
    TurnedAway, is_needed,
};
use crate::{
    context::{Context, PacketError, stats::Discard},
    failure::Failure,
    negotiation::automaton::{AutomatonEvent, State},
    wire::{
        options::{Options, OptionsBuf},
        packet::{Code, Packet},
    },
};

impl<O: OptionSet> Negotiator<O> {
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Option<Layer>, PacketError> {
        let options = Options::parse(packet.data)?;
        if matches!(self.state, State::Closed | State::Closing | State::Stopping) {
            return Ok(self.perform(now, AutomatonEvent::RcrGood, &Reply::Id(packet.id), context));
        }
        if self.is_repeated(packet) || self.is_renamed(packet) {
            self.was_renamed |= !self.is_repeated(packet);
            self.send_ack(now, packet, context);
            return Ok(None);
        }
        if let Some(refusal) = self.refusal.take_if(|refusal| refusal.id != packet.id) {
            context.round_trips.answered(now, refusal.sent);
        }
        if matches!(self.state, State::Stopped | State::Opened) {
            self.begin(context);
        }
        let answer = match self.refuse_again(packet) {
            Some(answer) => {
                self.check_deafness(context)?;
                answer
            }
            None => self.judge(packet, &options, context)?,
        };
        self.note_refusal(now, packet, &answer, context);
        let event = match answer {
            Reply::Ack(_) => AutomatonEvent::RcrGood,
            _ => AutomatonEvent::RcrBad,
        };
        if !matches!(answer, Reply::Refuse(Code::ConfigureNak, ..)) {
            // Before our Ack: behind it the peer may be open, and start over. Not beside a Nak: on
            // a looped line our own request, sent again, would look like another's.
            self.prompt(now, context);
        }
        Ok(self.perform(now, event, &answer, context))
    }

    /// Returns true if this is the request we acknowledged, sent again because our Configure-Ack was lost
    ///
    /// By RFC 1661 both ends would start over. It is enough to send the same Ack again, as long as
    /// the peer has shown no sign of being open: then it waits for that Ack and for nothing else.
    pub(super) fn is_repeated(&self, packet: &Packet<'_>) -> bool {
        self.is_open() && !self.peer_is_open && self.has_acknowledged(packet)
    }

    /// Returns true if it is that request under another identifier, for the first time
    ///
    /// A peer that had our Ack, but not yet our request, sends its own anew after 3 s (RFC 1661's
    /// Timeout in Ack-Rcvd). If that is lost and ours gets through meanwhile, it comes when all is
    /// open here. A peer that has indeed begun from scratch names its next request anew once more.
    pub(super) fn is_renamed(&self, packet: &Packet<'_>) -> bool {
        let same = |(_, data): &(u8, Box<[u8]>)| **data == *packet.data;
        let is_same = self.acknowledged.as_ref().is_some_and(same);
        self.is_open() && !self.peer_is_open && !self.was_renamed && is_same
    }

    /// Repeats the answer to a request that came again because that answer was lost
    ///
    /// It is no further refusal: the peer has not heard of this one yet.
    fn refuse_again<'a>(&mut self, packet: &Packet<'_>) -> Option<Reply<'a>> {
        let is_same =
            |it: &&mut Box<SentRefusal>| it.id == packet.id && *it.request == *packet.data;
        let refusal = self.refusal.as_mut().filter(is_same)?;
        refusal.repeats.increment();
        let may_be = refusal.repeats < MAX_REPEATS;
        may_be.then(|| Reply::Refuse(refusal.code, refusal.id, refusal.options.to_vec()))
    }

    /// Fails if the peer hears our requests but not our refusal: it will not hear the next one
    /// either
    fn check_deafness(&self, context: &Context) -> Result<(), Failure> {
        let repeats = self.refusal.as_ref().map_or(0, |refusal| refusal.repeats);
        let is_deaf = context.round_trips.count() > 0 && repeats >= MAX_DEAF;
        self.options.on_peer_insists().filter(|_| is_deaf).map_or(Ok(()), Err)
    }

    fn note_refusal(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        answer: &Reply<'_>,
        context: &mut Context,
    ) {
        let Reply::Refuse(code, id, options) = answer else { return };
        self.refusal = Some(Box::new(SentRefusal {
            id: *id,
            request: packet.data.into(),
            code: *code,
            options: options.as_slice().into(),
            sent: context.round_trips.stamp(now),
            repeats: self.refusal.as_ref().map_or(0, |refusal| refusal.repeats),
        }));
    }

    fn judge<'a>(
        &mut self,
        packet: &'a Packet<'a>,
        options: &Options<'a>,
        context: &mut Context,
    ) -> Result<Reply<'a>, Failure> {
        let (mut naks, mut rejects) = (OptionsBuf::default(), OptionsBuf::default());
        let max_failure = self.options.max_failure();
        for option in options {
            match self.options.judge(&option, &mut context.random)? {
                Judgement::Ack => {}
                Judgement::Nak(value) if self.naks < max_failure => {
                    naks.push(option.kind, &value);
                }
                Judgement::Nak(_) | Judgement::Reject => {
                    rejects.push(option.kind, option.value);
                }
            }
        }
        if !rejects.is_empty() {
            return self.refuse(Code::ConfigureReject, packet, rejects);
        }
        if self.naks < max_failure {
            naks.append(self.options.missing(options)?);
        }
        if !naks.is_empty() {
            self.naks.increment();
            if let Ok(naks) = Options::parse(naks.as_slice()) {
                self.options.on_nak_sent(&naks);
            }
            return self.refuse(Code::ConfigureNak, packet, naks);
        }
        self.naks = 0;
        self.options.on_ack_sent(options);
        Ok(Reply::Ack(packet))
    }

    fn refuse<'a>(
        &mut self,
        code: Code,
        packet: &Packet<'_>,
        options: OptionsBuf,
    ) -> Result<Reply<'a>, Failure> {
        self.next_round()?;
        Ok(Reply::Refuse(code, packet.id, options.into_vec()))
    }

    /// Counts a refusal; fails if both ends refuse each other's options for ever (RFC 1661 §4.6)
    fn next_round(&mut self) -> Result<(), Failure> {
        self.rounds.increment();
        if self.rounds > MAX_ROUNDS {
            return Err(Failure::NoAgreement { protocol: O::PROTOCOL });
        }
        Ok(())
    }

    pub(super) fn handle_ack(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Option<Layer>, PacketError> {
        if !self.take_answer(now, packet, context)? {
            return Ok(None);
        }
        if self.awaits_answer() {
            self.options.on_ack()?;
        }
        Ok(self.perform(now, AutomatonEvent::Rca, &Reply::Id(packet.id), context))
    }

    pub(super) fn handle_refusal(
        &mut self,
        now: Instant,
        code: Code,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Option<Layer>, PacketError> {
        let options = Options::parse(packet.data)?;
        if !self.take_answer(now, packet, context)? {
            return Ok(None);
        }
        if self.awaits_answer() {
            self.next_round()?;
            match code {
                Code::ConfigureNak => self.options.on_nak(&options, &mut context.random)?,
                _ => self.options.on_reject(&options)?,
            }
        }
        Ok(self.perform(now, AutomatonEvent::Rcn, &Reply::Id(packet.id), context))
    }

    const fn awaits_answer(&self) -> bool {
        matches!(self.state, State::ReqSent | State::AckRcvd | State::AckSent | State::Opened)
    }

    /// Returns true if an Ack, Nak or Reject is the first answer to our latest request
    ///
    /// Every other one is stale, and ignored: answers cross requests that are sent again.
    fn take_answer(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<bool, PacketError> {
        if !self.awaits_answer() {
            return Ok(true);
        }
        if self.answered || packet.id != self.id {
            context.stats.stale_answers.increment();
            return Ok(false);
        }
        let is_ack = packet.code == u8::from(Code::ConfigureAck);
        if is_ack && *packet.data != *self.request {
            return Err(PacketError::Discard(Discard::Malformed));
        }
        self.answered = true;
        context.round_trips.answered_one_of(now, &self.transmissions);
        self.transmissions = Vec::new();
        self.request = Box::default();
        Ok(true)
    }

    /// Handles a Terminate-Ack
    ///
    /// One with the identifier of our request says that the peer was closed when that came. It is
    /// stale if the request has been answered since.
    pub(super) fn handle_terminate_ack(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Option<Layer> {
        let is_late = matches!(self.state, State::AckRcvd | State::Opened) && packet.id == self.id;
        if is_late {
            context.stats.stale_answers.increment();
            return None;
        }
        self.note_turned_away(now, packet, context);
        self.perform(now, AutomatonEvent::Rta, &Reply::None, context)
    }

    /// Notes a Terminate-Ack, if it answers the latest transmission: the one before may have been answered
    fn note_turned_away(&mut self, now: Instant, packet: &Packet<'_>, context: &Context) {
        let sent = self.transmissions.last().filter(|_| packet.id == self.id && !self.answered);
        let is_latest = sent.is_some_and(|sent| context.round_trips.may_be_answered(now, *sent));
        if is_latest && self.turned_away == TurnedAway::No {
            self.turned_away = TurnedAway::Yes;
        }
    }

    pub(super) fn handle_code_reject(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Option<Layer>, PacketError> {
        let code = *packet.data.first().ok_or(PacketError::Discard(Discard::Malformed))?;
        if is_needed(code) {
            return Err(Failure::RejectedCode { protocol: O::PROTOCOL, code }.into());
        }
        Ok(self.perform(now, AutomatonEvent::RxjGood, &Reply::None, context))
    }
}
