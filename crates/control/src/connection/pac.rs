//! The server's states (RFC 2637 §3.1.2, §3.2.4)

use std::time::Instant;

use super::{Machine, Shared, echo::Echo, pns::tenths, shared::after, stop};
use crate::{
    AfterCallClear, CallDisconnectNotify, DisconnectResult, Event, Failure, GeneralError, Message,
    OutgoingCallReply, OutgoingCallRequest, OutgoingCallResult, PROTOCOL_VERSION, Peer,
    PeerMisbehaved, ServerConfig, SetLinkInfo, StartControlConnectionReply,
    StartControlConnectionRequest, StartResult, StopReason, Text,
};

/// The server waits for the first message of the client
#[derive(Debug)]
pub(super) struct WaitControlRequest {
    pub(super) until: Instant,
    config: Box<ServerConfig>,
}

/// The control connection is established, without a call
#[derive(Debug)]
pub(super) struct WaitCallRequest {
    pub(super) echo: Echo,
    config: Box<ServerConfig>,
    /// True if the client had its call and cleared it: only the teardown follows
    cleared: bool,
}

/// The call is established
#[derive(Debug)]
pub(super) struct CallServed {
    pub(super) echo: Echo,
    config: Box<ServerConfig>,
    peer_call_id: u16,
    /// The event that is reported once the client has sent the required Set-Link-Info
    awaiting: Option<Box<Event>>,
}

pub(super) fn accept(shared: &Shared, config: ServerConfig, now: Instant) -> Machine {
    let until = after(now, shared.timeouts.start);
    Machine::WaitControlRequest(WaitControlRequest { until, config: Box::new(config) })
}

impl WaitControlRequest {
    pub(super) fn handle(self, shared: &mut Shared, now: Instant, message: &Message) -> Machine {
        match message {
            Message::StartControlConnectionRequest(request) => {
                self.handle_request(shared, now, request)
            }
            Message::StopControlConnectionRequest(request) => {
                shared.agree_to_stop(Err(Failure::StoppedByPeer { reason: request.reason }))
            }
            message => {
                let broken = PeerMisbehaved::OutOfPhase(message.control_type());
                shared.close(Err(broken.into()))
            }
        }
    }

    fn handle_request(
        self,
        shared: &mut Shared,
        now: Instant,
        request: &StartControlConnectionRequest,
    ) -> Machine {
        let StartControlConnectionRequest { version, .. } = *request;
        if version != PROTOCOL_VERSION {
            shared.send(start_reply(&self.config, StartResult::VersionUnsupported));
            return shared.close(Err(Failure::VersionUnsupported { version }));
        }
        let result = match self.config.start_result {
            result if result.is_success() && !self.config.insists_on.are_met_by(request) => {
                StartResult::NotAuthorized
            }
            result => result,
        };
        shared.send(start_reply(&self.config, result));
        if !result.is_success() {
            return shared.close(Ok(()));
        }
        shared.establish(Peer::from(request));
        let echo = Echo::new(shared, now);
        Machine::WaitCallRequest(WaitCallRequest { echo, config: self.config, cleared: false })
    }
}

impl WaitCallRequest {
    pub(super) fn handle(
        mut self,
        shared: &mut Shared,
        now: Instant,
        message: &Message,
    ) -> Machine {
        self.echo.note_message(shared, now);
        match message {
            Message::OutgoingCallRequest(request) => return self.handle_request(shared, request),
            Message::StopControlConnectionRequest(request) => {
                let outcome = self.outcome(Failure::StoppedByPeer { reason: request.reason });
                return handle_stop(shared, &self.config, outcome)
                    .unwrap_or(Machine::WaitCallRequest(self));
            }
            Message::EchoReply(reply) => self.echo.handle_reply(shared, now, reply.identifier),
            message => answer(shared, &self.config, message),
        }
        Machine::WaitCallRequest(self)
    }

    pub(super) fn handle_timeout(mut self, shared: &mut Shared, now: Instant) -> Machine {
        self.echo.handle_timeout(shared, now).unwrap_or(Machine::WaitCallRequest(self))
    }

    /// The result of a broken connection: after Call-Clear-Request a client may simply close it
    pub(super) fn outcome(&self, failure: Failure) -> Result<(), Failure> {
        if self.cleared { Ok(()) } else { Err(failure) }
    }

    fn handle_request(self, shared: &mut Shared, request: &OutgoingCallRequest) -> Machine {
        let reply = call_reply(&self.config, shared.call_id, request);
        let connected = reply.result == OutgoingCallResult::Connected;
        let connect_speed = reply.connect_speed;
        shared.send(reply);
        if !connected {
            return Machine::WaitCallRequest(self);
        }
        shared.peer_call_id = Some(request.call_id);
        let Self { echo, config, .. } = self;
        if config.sends_link_info {
            shared.send(SetLinkInfo {
                peer_call_id: request.call_id,
                send_accm: u32::MAX,
                receive_accm: u32::MAX,
            });
        }
        let connected = Event::CallConnected {
            peer_call_id: request.call_id,
            connect_speed,
            window: request.receive_window,
            processing_delay: tenths(request.processing_delay),
        };
        let awaiting = Some(Box::new(connected));
        let mut call = CallServed { echo, config, peer_call_id: request.call_id, awaiting };
        if call.config.insists_on.send_link_info != Some(true) {
            call.begin(shared);
        }
        Machine::CallServed(call)
    }
}

impl CallServed {
    pub(super) fn handle(
        mut self,
        shared: &mut Shared,
        now: Instant,
        message: &Message,
    ) -> Machine {
        self.echo.note_message(shared, now);
        match message {
            Message::CallClearRequest(request) => {
                shared.note_call_id(request.call_id);
                return self.clear(shared);
            }
            Message::OutgoingCallRequest(request) => shared.send(OutgoingCallReply {
                result: OutgoingCallResult::GeneralError,
                error: GeneralError::NoResource,
                ..call_reply(&self.config, 0, request)
            }),
            Message::StopControlConnectionRequest(request) => {
                let outcome = Err(Failure::StoppedByPeer { reason: request.reason });
                return handle_stop(shared, &self.config, outcome)
                    .unwrap_or(Machine::CallServed(self));
            }
            Message::EchoReply(reply) => self.echo.handle_reply(shared, now, reply.identifier),
            message => {
                if matches!(message, Message::SetLinkInfo(_)) {
                    self.begin(shared);
                }
                answer(shared, &self.config, message);
            }
        }
        Machine::CallServed(self)
    }

    /// Reports the call as connected: GRE may flow
    fn begin(&mut self, shared: &mut Shared) {
        if let Some(connected) = self.awaiting.take() {
            shared.push_event(*connected);
        }
    }

    pub(super) fn handle_timeout(mut self, shared: &mut Shared, now: Instant) -> Machine {
        self.echo.handle_timeout(shared, now).unwrap_or(Machine::CallServed(self))
    }

    /// Notifies and stops in one go, as accel-ppp does: a PAC need not wait for an answer between
    pub(super) fn close(self, shared: &mut Shared, now: Instant, reason: StopReason) -> Machine {
        let named = match self.config.after_call_clear {
            AfterCallClear::NotifyWithPeerCallId => self.peer_call_id,
            _ => shared.call_id,
        };
        shared.send(notify(named, DisconnectResult::AdminShutdown));
        stop::stop(shared, now, reason, Ok(()))
    }

    fn clear(self, shared: &mut Shared) -> Machine {
        shared.push_event(Event::CallEnded(Failure::CallCleared));
        match self.config.after_call_clear {
            AfterCallClear::Notify => {
                shared.send(notify(shared.call_id, DisconnectResult::Request));
            }
            AfterCallClear::NotifyWithPeerCallId => {
                shared.send(notify(self.peer_call_id, DisconnectResult::Request));
            }
            AfterCallClear::CloseConnection => return shared.close(Ok(())),
            AfterCallClear::Silence => {}
        }
        let Self { echo, config, .. } = self;
        Machine::WaitCallRequest(WaitCallRequest { echo, config, cleared: true })
    }
}

impl From<&StartControlConnectionRequest> for Peer {
    fn from(request: &StartControlConnectionRequest) -> Self {
        Self {
            host_name: request.host_name.to_string(),
            vendor: request.vendor.to_string(),
            firmware: request.firmware,
            max_channels: request.max_channels,
            framing_capabilities: request.framing_capabilities,
            bearer_capabilities: request.bearer_capabilities,
            recognized: None,
        }
    }
}

/// Answers Stop-Control-Connection-Request, unless configured not to
fn handle_stop(
    shared: &mut Shared,
    config: &ServerConfig,
    outcome: Result<(), Failure>,
) -> Option<Machine> {
    config.answers_stop.then(|| shared.agree_to_stop(outcome))
}

/// Answers a second Start-Control-Connection-Request, and the messages of [`Shared::answer`]
fn answer(shared: &mut Shared, config: &ServerConfig, message: &Message) {
    match message {
        Message::StartControlConnectionRequest(_) => {
            shared.send(start_reply(config, StartResult::ChannelExists));
        }
        message => shared.answer(message),
    }
}

fn start_reply(config: &ServerConfig, result: StartResult) -> StartControlConnectionReply {
    StartControlConnectionReply {
        version: PROTOCOL_VERSION,
        result,
        error: GeneralError::None,
        framing_capabilities: config.framing_capabilities,
        bearer_capabilities: config.bearer_capabilities,
        max_channels: config.max_channels,
        firmware: config.firmware,
        host_name: Text::new(&config.host_name),
        vendor: Text::new(&config.vendor),
    }
}

fn call_reply(
    config: &ServerConfig,
    call_id: u16,
    request: &OutgoingCallRequest,
) -> OutgoingCallReply {
    let (result, error) = match config.call_result {
        OutgoingCallResult::Connected if !config.insists_on.are_met_by_call(request) => {
            (OutgoingCallResult::GeneralError, GeneralError::BadValue)
        }
        result => (result, GeneralError::None),
    };
    OutgoingCallReply {
        call_id,
        peer_call_id: request.call_id,
        result,
        error,
        cause: 0,
        connect_speed: request.maximum_speed,
        receive_window: config.receive_window.unwrap_or(request.receive_window),
        processing_delay: 0,
        physical_channel: 0,
    }
}

fn notify(call_id: u16, result: DisconnectResult) -> CallDisconnectNotify {
    CallDisconnectNotify {
        call_id,
        result,
        error: GeneralError::None,
        cause: 0,
        call_statistics: Text::default(),
    }
}
