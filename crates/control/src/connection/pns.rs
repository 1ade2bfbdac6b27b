//! The client's states (RFC 2637 §3.1.1, §3.2.3)

use std::time::{Duration, Instant};

use super::{Machine, Shared, echo::Echo, shared::after, stop};
use crate::{
    CallDisconnectNotify, Config, Event, Failure, Message, OutgoingCallReply, OutgoingCallRequest,
    OutgoingCallResult, PROTOCOL_VERSION, Peer, PeerMisbehaved, Quirks, SetLinkInfo,
    StartControlConnectionReply, StartControlConnectionRequest, StartResult, StopReason, Text,
};

/// Start-Control-Connection-Request is sent
#[derive(Debug)]
pub(super) struct WaitControlReply {
    pub(super) until: Instant,
    config: Box<Config>,
    call_serial: u16,
}

/// Outgoing-Call-Request is sent
#[derive(Debug)]
pub(super) struct WaitCallReply {
    pub(super) until: Instant,
    send_link_info: bool,
}

/// The call is established
#[derive(Debug)]
pub(super) struct CallEstablished {
    pub(super) echo: Echo,
}

pub(super) fn connect(
    shared: &mut Shared,
    config: Config,
    call_serial: u16,
    now: Instant,
) -> Machine {
    shared.send(start_request(&config.with_quirks(Quirks::NONE)));
    let until = after(now, shared.timeouts.start);
    Machine::WaitControlReply(WaitControlReply { until, config: Box::new(config), call_serial })
}

impl WaitControlReply {
    pub(super) fn handle(self, shared: &mut Shared, now: Instant, message: &Message) -> Machine {
        match message {
            Message::StartControlConnectionReply(reply) => self.handle_reply(shared, now, reply),
            Message::StopControlConnectionRequest(request) => {
                shared.agree_to_stop(Err(Failure::StoppedByPeer { reason: request.reason }))
            }
            Message::StopControlConnectionReply(_)
            | Message::EchoRequest(_)
            | Message::EchoReply(_) => {
                shared.answer(message);
                Machine::WaitControlReply(self)
            }
            message => {
                let broken = PeerMisbehaved::OutOfPhase(message.control_type());
                shared.close(Err(broken.into()))
            }
        }
    }

    fn handle_reply(
        self,
        shared: &mut Shared,
        now: Instant,
        reply: &StartControlConnectionReply,
    ) -> Machine {
        let StartControlConnectionReply { version, result, error, .. } = *reply;
        let peer = Peer::from(reply);
        let recognized = self.config.recognizer.recognize(&peer);
        let kind = recognized.as_ref().map(|it| it.name.clone());
        let quirks = recognized.as_ref().map(|it| it.quirks.clone());
        let config = self.config.with_quirks(quirks.unwrap_or_default());
        if let Some(recognized) = recognized.filter(|_| self.has_to_redial(&config)) {
            let failure = Failure::Recognized(Box::new(recognized));
            return stop::stop(shared, now, StopReason::None, Err(failure));
        }
        if result == StartResult::VersionUnsupported {
            return shared.close(Err(Failure::VersionUnsupported { version }));
        }
        if !result.is_success() {
            return shared.close(Err(Failure::ControlRefused { result, error }));
        }
        if version != PROTOCOL_VERSION {
            let failure = Failure::VersionUnsupported { version };
            return stop::stop(shared, now, StopReason::StopProtocol, Err(failure));
        }
        shared.establish(Peer { recognized: kind, ..peer });
        shared.send(call_request(&config, shared.call_id, self.call_serial));
        Machine::WaitCallReply(WaitCallReply {
            until: after(now, shared.timeouts.call_reply),
            send_link_info: config.send_link_info,
        })
    }

    /// Returns true if the quirks change a message that was sent already
    fn has_to_redial(&self, config: &Config) -> bool {
        let sent = self.config.with_quirks(Quirks::NONE);
        start_request(config) != start_request(&sent) || config.zero_call_id != sent.zero_call_id
    }
}

impl WaitCallReply {
    pub(super) fn handle(self, shared: &mut Shared, now: Instant, message: &Message) -> Machine {
        match message {
            Message::OutgoingCallReply(reply) => self.handle_reply(shared, now, reply),
            Message::CallDisconnectNotify(notify) => disconnected(shared, now, notify),
            Message::StopControlConnectionRequest(request) => {
                shared.agree_to_stop(Err(Failure::StoppedByPeer { reason: request.reason }))
            }
            message => {
                shared.answer(message);
                Machine::WaitCallReply(self)
            }
        }
    }

    fn handle_reply(self, shared: &mut Shared, now: Instant, reply: &OutgoingCallReply) -> Machine {
        let OutgoingCallReply { call_id, result, error, cause, .. } = *reply;
        shared.note_call_id(reply.peer_call_id);
        if result != OutgoingCallResult::Connected {
            let failure = Failure::CallRefused { result, error, cause };
            shared.push_event(Event::CallEnded(failure.clone()));
            return stop::stop(shared, now, StopReason::None, Err(failure));
        }
        shared.peer_call_id = Some(call_id);
        shared.push_event(Event::CallConnected {
            peer_call_id: call_id,
            connect_speed: reply.connect_speed,
            window: reply.receive_window,
            processing_delay: tenths(reply.processing_delay),
        });
        if self.send_link_info {
            shared.send(SetLinkInfo {
                peer_call_id: call_id,
                send_accm: u32::MAX,
                receive_accm: u32::MAX,
            });
        }
        let echo = Echo::new(shared, now);
        Machine::CallEstablished(CallEstablished { echo })
    }
}

impl CallEstablished {
    pub(super) fn handle(
        mut self,
        shared: &mut Shared,
        now: Instant,
        message: &Message,
    ) -> Machine {
        self.echo.note_message(shared, now);
        match message {
            Message::CallDisconnectNotify(notify) => {
                return disconnected(shared, now, notify);
            }
            Message::StopControlConnectionRequest(request) => {
                let failure = Failure::StoppedByPeer { reason: request.reason };
                return shared.agree_to_stop(Err(failure));
            }
            Message::EchoReply(reply) => self.echo.handle_reply(shared, now, reply.identifier),
            message => shared.answer(message),
        }
        Machine::CallEstablished(self)
    }

    pub(super) fn send_echo_request(&mut self, shared: &mut Shared, now: Instant) {
        self.echo.send_echo_request(shared, now);
    }

    pub(super) fn handle_timeout(mut self, shared: &mut Shared, now: Instant) -> Machine {
        self.echo.handle_timeout(shared, now).unwrap_or(Machine::CallEstablished(self))
    }
}

impl From<&StartControlConnectionReply> for Peer {
    fn from(reply: &StartControlConnectionReply) -> Self {
        Self {
            host_name: reply.host_name.to_string(),
            vendor: reply.vendor.to_string(),
            firmware: reply.firmware,
            max_channels: reply.max_channels,
            framing_capabilities: reply.framing_capabilities,
            bearer_capabilities: reply.bearer_capabilities,
            recognized: None,
        }
    }
}

/// Clears the call after a missing Outgoing-Call-Reply, because the reply may be on its way
pub(super) fn give_up_call(shared: &mut Shared, now: Instant) -> Machine {
    shared.push_event(Event::CallEnded(Failure::NoCallReply));
    stop::clear_call(shared, now, StopReason::None, Err(Failure::NoCallReply))
}

/// Ends the control connection after the peer has ended its one call
fn disconnected(shared: &mut Shared, now: Instant, notify: &CallDisconnectNotify) -> Machine {
    let CallDisconnectNotify { call_id, result, error, cause, .. } = *notify;
    shared.note_call_id(call_id);
    let failure = Failure::CallDisconnected { result, error, cause };
    shared.push_event(Event::CallEnded(failure.clone()));
    stop::stop(shared, now, StopReason::None, Err(failure))
}

fn start_request(config: &Config) -> StartControlConnectionRequest {
    StartControlConnectionRequest {
        version: PROTOCOL_VERSION,
        framing_capabilities: config.framing_capabilities,
        bearer_capabilities: config.bearer_capabilities,
        max_channels: config.max_channels,
        firmware: config.firmware,
        host_name: Text::new(&config.host_name),
        vendor: Text::new(&config.vendor),
    }
}

fn call_request(config: &Config, call_id: u16, call_serial_number: u16) -> OutgoingCallRequest {
    let phone_number = Text::new(&config.phone_number);
    OutgoingCallRequest {
        call_id,
        call_serial_number,
        minimum_speed: config.minimum_speed,
        maximum_speed: config.maximum_speed,
        bearer_type: config.bearer_type,
        framing_type: config.framing_type,
        receive_window: config.receive_window,
        processing_delay: 0,
        phone_number_length: u16::try_from(phone_number.len()).unwrap_or(0),
        phone_number,
        subaddress: Text::new(&config.subaddress),
    }
}

/// A processing delay as the messages give it
pub(super) fn tenths(delay: u16) -> Duration {
    Duration::from_millis(u64::from(delay).saturating_mul(100))
}
