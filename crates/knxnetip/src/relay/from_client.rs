//! The way of a frame from a client to the device

use std::{net::SocketAddrV4, time::Instant};

use super::{
    Relay,
    action::{Action, PeerId},
    caller::{Caller, endpoint},
    peer::{Peer, Socket, Waiting},
    reach::Form,
};
use crate::{Frame, Hpai, Message, Service, channel_response};

impl Relay {
    /// Takes a datagram of a client: from its endpoint, to the address of ours at which it came
    pub fn handle_client(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        via: SocketAddrV4,
        datagram: &[u8],
    ) {
        let Ok(frame) = Frame::parse(datagram) else {
            return count(&mut self.counters.malformed);
        };
        if frame.service().is_remote_configuration() && !self.options.remote_configuration {
            return count(&mut self.counters.remote_configuration);
        }
        match frame.message() {
            Message::ChannelRequest { channel, control } => {
                self.on_client_request(now, &frame, channel, Caller::new(control, from, via));
            }
            Message::ChannelResponse { channel, .. } => {
                self.on_client_response(&frame, channel, from);
            }
            Message::Data { channel, .. } => self.on_client_data(now, &frame, channel, from),
            Message::Endpoint(control) | Message::ConnectRequest { control, .. } => {
                self.begin(now, &frame, from, Caller::new(control, from, via), true);
            }
            Message::ConnectResponse { .. } => count(&mut self.counters.no_connection),
            Message::Other => self.begin(now, &frame, from, Caller::at(from, via), false),
        }
    }

    /// An inner socket is open: its own endpoint, and the device's control endpoint
    pub fn handle_opened(
        &mut self,
        now: Instant,
        peer: PeerId,
        local: SocketAddrV4,
        device: SocketAddrV4,
    ) {
        let socket = Socket { local, device };
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.open(socket);
        if known.client().is_some() {
            self.send_waiting(peer, now);
        } else {
            self.on_question_opened(peer, socket, now);
        }
    }

    /// Sends what waits at a peer, but asks the device for the form of our endpoint first
    ///
    /// A device that answered to neither form is asked again, since it may answer now.
    pub(super) fn send_waiting(&mut self, id: PeerId, now: Instant) {
        if self.socket_of(id).is_none() {
            return;
        }
        self.ask(now);
        if self.reach.form().is_none() {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        for Waiting { octets, from, via } in peer.take_waiting() {
            if let Ok(frame) = Frame::parse(&octets) {
                self.send(now, id, &frame, from, via);
            }
        }
    }

    /// Takes a frame without a channel: it begins something
    fn begin(
        &mut self,
        now: Instant,
        frame: &Frame<'_>,
        from: SocketAddrV4,
        caller: Caller,
        names_caller: bool,
    ) {
        let known = self.by_client.get(&from).copied();
        let id = match known {
            Some(id) => id,
            None if self.make_room() => self.add_peer(Peer::client_at(from, caller, now)),
            None => return count(&mut self.counters.no_room),
        };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.on_frame(names_caller.then_some(caller), now);
        let waiting = Waiting { octets: frame.octets().to_vec(), from, via: caller.via };
        if !peer.wait(waiting) {
            return count(&mut self.counters.no_room);
        }
        self.send_waiting(id, now);
    }

    /// Makes room for a client: the most silent one that has nothing under way makes way; false if there is none
    fn make_room(&mut self) -> bool {
        if self.by_client.len() < self.options.max_clients.max(1) {
            return true;
        }
        let is_idle = |id: &PeerId, peer: &Peer| {
            peer.has_nothing_under_way() && !self.connections.values().any(|it| it.peer() == *id)
        };
        let idle = self.peers.iter().filter(|(id, peer)| is_idle(id, peer));
        let most_silent = idle.min_by_key(|(_, peer)| peer.last()).map(|(id, _)| *id);
        if let Some(id) = most_silent {
            self.close_peer(id);
        }
        most_silent.is_some()
    }

    /// Sends a frame without a channel
    fn send(
        &mut self,
        now: Instant,
        id: PeerId,
        frame: &Frame<'_>,
        from: SocketAddrV4,
        via: SocketAddrV4,
    ) {
        let Some((socket, form)) = self.socket_of(id).zip(self.reach.form()) else { return };
        if let Message::ConnectRequest { control, data } = frame.message()
            && let Some(peer) = self.peers.get_mut(&id)
        {
            peer.wish(Caller::new(control, from, via), endpoint(data, from), now);
        }
        let octets = frame.with_endpoints(|told| form.write(socket.local, told));
        self.actions.push_back(Action::ToDevice { peer: id, to: socket.device, octets });
    }

    fn on_client_request(&mut self, now: Instant, frame: &Frame<'_>, channel: u8, caller: Caller) {
        let client = *caller.control.ip();
        let connection = self.connections.get_mut(&channel).filter(|it| it.is_of(client));
        let Some(connection) = connection else {
            return self.refuse_channel(frame.service(), channel, caller);
        };
        connection.on_client(now);
        connection.on_request(caller.control);
        if frame.service() == Service::DISCONNECT_REQUEST {
            connection.end(now);
        }
        let id = connection.peer();
        self.send_control(id, frame);
    }

    /// Tells a client that a channel is none of its: it need not find out by silence
    fn refuse_channel(&mut self, service: Service, channel: u8, caller: Caller) {
        count(&mut self.counters.no_connection);
        let answer = match service {
            Service::CONNECTIONSTATE_REQUEST => Service::CONNECTIONSTATE_RESPONSE,
            _ => Service::DISCONNECT_RESPONSE,
        };
        let octets = channel_response(answer, channel, E_CONNECTION_ID).to_vec();
        let (to, from) = (caller.control, caller.via);
        self.actions.push_back(Action::ToClient { to, from, octets });
    }

    /// Takes a client's answer to a request of the device, which is nearly always that to its `DISCONNECT_REQUEST`
    fn on_client_response(&mut self, frame: &Frame<'_>, channel: u8, from: SocketAddrV4) {
        let connection = self.connections.get(&channel).filter(|it| it.is_of(*from.ip()));
        // without one it is the answer to a DISCONNECT_REQUEST of ours
        let Some(connection) = connection else { return };
        let (id, is_open) = (connection.peer(), connection.is_open());
        self.send_control(id, frame);
        if frame.service() == Service::DISCONNECT_RESPONSE && !is_open {
            self.forget_connection(channel);
        }
    }

    fn on_client_data(&mut self, now: Instant, frame: &Frame<'_>, channel: u8, from: SocketAddrV4) {
        let connection = self.connections.get_mut(&channel).filter(|it| it.is_of(*from.ip()));
        let Some(connection) = connection else { return count(&mut self.counters.no_connection) };
        connection.on_client(now);
        let (peer, to) = (connection.peer(), connection.device_data());
        let octets = frame.octets().to_vec();
        self.actions.push_back(Action::ToDevice { peer, to, octets });
    }

    /// Sends a frame of a connection to the device's control endpoint
    fn send_control(&mut self, id: PeerId, frame: &Frame<'_>) {
        let Some(socket) = self.socket_of(id) else { return };
        let octets = frame.with_endpoints(|told| self.ours(socket, told));
        self.actions.push_back(Action::ToDevice { peer: id, to: socket.device, octets });
    }

    /// Returns our endpoint towards the device
    pub(super) fn ours(&self, socket: Socket, told: Hpai) -> Hpai {
        // while it is asked again, a connection that is there goes on with the true one
        let form = self.reach.form().unwrap_or(Form::True);
        form.write(socket.local, told)
    }

    pub(super) fn socket_of(&self, id: PeerId) -> Option<Socket> {
        self.peers.get(&id).and_then(Peer::socket)
    }
}

/// Counts one more
pub(super) fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// There is no connection with this channel (ISO 22510 §7.8)
pub(super) const E_CONNECTION_ID: u8 = 0x21;
