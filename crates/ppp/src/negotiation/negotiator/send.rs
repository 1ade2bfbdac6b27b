//! The packets that the actions of the automaton send

use std::time::Instant;

use super::{
    MAX_CONFIGURE, MAX_REJECTED, MAX_TERMINATE, MAX_TRANSMISSIONS, Negotiator, OptionSet, RESTART,
    Reply, TERMINATE_RESTART, TurnedAway,
};
use crate::{
    context::Context,
    negotiation::automaton::{Actions, AutomatonEvent},
    wire::packet::{Code, Packet},
};

impl<O: OptionSet> Negotiator<O> {
    pub(super) fn set_restart_counter(&mut self, now: Instant, actions: Actions) {
        if actions.contain(Actions::IRC) {
            let terminates = actions.contain(Actions::STR);
            self.restart = if terminates { MAX_TERMINATE } else { MAX_CONFIGURE };
        }
        if actions.contain(Actions::ZRC) {
            self.restart = 0;
            self.deadline = now.checked_add(RESTART);
        }
    }

    pub(super) fn send(
        &mut self,
        now: Instant,
        actions: Actions,
        event: AutomatonEvent,
        answer: &Reply<'_>,
        context: &mut Context,
    ) {
        if actions.contain(Actions::SCR) {
            self.send_request(now, event, context);
        }
        if actions.contain(Actions::STR) {
            self.send_terminate_request(now, context);
        }
        match answer {
            Reply::Ack(packet) if actions.contain(Actions::SCA) => {
                self.send_ack(now, packet, context);
            }
            Reply::Refuse(code, id, data) if actions.contain(Actions::SCN) => {
                Self::send_packet(*code, *id, data, context);
            }
            Reply::Id(id) if actions.contain(Actions::STA) => {
                Self::send_packet(Code::TerminateAck, *id, &[], context);
            }
            Reply::Reject(packet) if actions.contain(Actions::SCJ) => {
                self.send_code_reject(packet, context);
            }
            _ => {}
        }
    }

    /// Sends the same request with the same identifier if the timer asks, otherwise a new one
    fn send_request(&mut self, now: Instant, event: AutomatonEvent, context: &mut Context) {
        if event != AutomatonEvent::TimeoutPositive || self.answered {
            self.id = self.id.wrapping_add(1);
            self.request = self.options.request().into_vec().into();
            self.answered = false;
            self.turned_away = TurnedAway::No;
            self.transmissions = Vec::new();
        }
        self.restart = self.restart.saturating_sub(1);
        self.deadline = now.checked_add(self.restart_time(context));
        self.transmit_request(now, context);
    }

    pub(super) fn transmit_request(&mut self, now: Instant, context: &mut Context) {
        self.transmissions.truncate(MAX_TRANSMISSIONS.saturating_sub(1));
        self.transmissions.push(context.round_trips.stamp(now));
        Self::send_packet(Code::ConfigureRequest, self.id, &self.request, context);
    }

    pub(super) fn send_ack(&mut self, now: Instant, packet: &Packet<'_>, context: &mut Context) {
        self.ack = Some(context.round_trips.stamp(now));
        self.acknowledged = Some((packet.id, packet.data.into()));
        Self::send_packet(Code::ConfigureAck, packet.id, packet.data, context);
    }

    fn send_terminate_request(&mut self, now: Instant, context: &mut Context) {
        self.id = self.id.wrapping_add(1);
        self.answered = true;
        self.restart = self.restart.saturating_sub(1);
        self.deadline = now.checked_add(TERMINATE_RESTART);
        Self::send_packet(Code::TerminateRequest, self.id, &[], context);
    }

    fn send_code_reject(&mut self, rejected: &Packet<'_>, context: &mut Context) {
        self.reject_id = self.reject_id.wrapping_add(1);
        let mut data = Vec::new();
        rejected.emit(&mut data);
        data.truncate(MAX_REJECTED);
        Self::send_packet(Code::CodeReject, self.reject_id, &data, context);
    }

    fn send_packet(code: Code, id: u8, data: &[u8], context: &mut Context) {
        context.send(O::NUMBER, &Packet { code: code.into(), id, data });
    }
}
