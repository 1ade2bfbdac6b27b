//! The way of a frame from the device to a client

use std::{net::SocketAddrV4, time::Instant};

use super::{
    Relay,
    action::{Action, PeerId},
    connection::Connection,
    from_client::{E_CONNECTION_ID, count},
    peer::{Peer, Wish},
};
use crate::{Frame, Hpai, Message, Service, channel_request};

impl Relay {
    /// Takes a datagram that came to an inner socket
    pub fn handle_device(
        &mut self,
        now: Instant,
        peer: PeerId,
        from: SocketAddrV4,
        datagram: &[u8],
    ) {
        let Some(known) = self.peers.get(&peer) else { return };
        if known.socket().is_none_or(|socket| socket.device.ip() != from.ip()) {
            return count(&mut self.counters.strangers);
        }
        let Ok(frame) = Frame::parse(datagram) else {
            return count(&mut self.counters.malformed);
        };
        if known.client().is_none() {
            if frame.service() == Service::DESCRIPTION_RESPONSE {
                self.on_question_answered(peer, now);
            }
            return;
        }
        match frame.message() {
            Message::ConnectResponse { channel, status, data } => {
                let data = data.map(|told| device_endpoint(told, from));
                self.on_connect_response(now, peer, &frame, (channel, status, data));
            }
            Message::ChannelRequest { channel, .. } => {
                self.on_device_request(now, peer, &frame, channel);
            }
            Message::ChannelResponse { channel, status } => {
                self.on_device_response(peer, &frame, channel, status);
            }
            Message::Data { channel, .. } => self.on_device_data(peer, &frame, channel),
            Message::ConnectRequest { .. } => count(&mut self.counters.no_connection),
            Message::Endpoint(_) | Message::Other => self.answer(peer, &frame),
        }
    }

    /// Passes an answer without a channel
    fn answer(&mut self, peer: PeerId, frame: &Frame<'_>) {
        let caller = self.peers.get(&peer).and_then(Peer::caller);
        let Some(caller) = caller else { return };
        let octets = frame.with_endpoints(|told| caller.device(told));
        let (to, from) = (caller.control, caller.via);
        self.actions.push_back(Action::ToClient { to, from, octets });
    }

    fn on_connect_response(
        &mut self,
        now: Instant,
        peer: PeerId,
        frame: &Frame<'_>,
        (channel, status, data): (u8, u8, Option<SocketAddrV4>),
    ) {
        let wish = self.peers.get_mut(&peer).and_then(Peer::take_wish);
        let connected = data.filter(|_| status == 0);
        let Some(wish) = wish else {
            count(&mut self.counters.no_connection);
            if connected.is_some() {
                self.disconnect(peer, channel);
            }
            return;
        };
        if let Some(device_data) = connected {
            self.connect(now, peer, channel, (wish, device_data));
        }
        if !wish.is_gone {
            let octets = frame.with_endpoints(|told| wish.caller.device(told));
            let (to, from) = (wish.caller.control, wish.caller.via);
            self.actions.push_back(Action::ToClient { to, from, octets });
        }
        if connected.is_none() {
            self.close_if_unused(peer);
        }
    }

    /// Makes a connection; an older one with this channel is over, since the device has given it away
    fn connect(
        &mut self,
        now: Instant,
        peer: PeerId,
        channel: u8,
        (wish, device_data): (Wish, SocketAddrV4),
    ) {
        let new = Connection::new(peer, (wish.caller, wish.data), device_data, now);
        if let Some(old) = self.connections.insert(channel, new) {
            if old.is_open() && old.caller() != wish.caller {
                self.tell_client(channel, &old);
            }
            self.close_if_unused(old.peer());
        }
        if wish.is_gone {
            self.release(channel, now);
        }
    }

    fn on_device_request(&mut self, now: Instant, peer: PeerId, frame: &Frame<'_>, channel: u8) {
        let connection = self.connections.get_mut(&channel).filter(|it| it.peer() == peer);
        let Some(connection) = connection else { return count(&mut self.counters.no_connection) };
        if connection.is_released() {
            // both want its end: there is nothing left to tell
            return self.forget_connection(channel);
        }
        if frame.service() == Service::DISCONNECT_REQUEST {
            connection.end(now);
        }
        let caller = connection.caller();
        let octets = frame.with_endpoints(|told| caller.device(told));
        let (to, from) = (caller.control, caller.via);
        self.actions.push_back(Action::ToClient { to, from, octets });
    }

    fn on_device_response(&mut self, peer: PeerId, frame: &Frame<'_>, channel: u8, status: u8) {
        let connection = self.connections.get(&channel).filter(|it| it.peer() == peer);
        let Some(connection) = connection else { return count(&mut self.counters.no_connection) };
        if !connection.is_released() {
            let (to, from) = (connection.answers(), connection.caller().via);
            let octets = frame.octets().to_vec();
            self.actions.push_back(Action::ToClient { to, from, octets });
        }
        // the device may give the channel to anybody now, so nothing more is said about it in this client's name
        if frame.service() == Service::DISCONNECT_RESPONSE || status == E_CONNECTION_ID {
            self.forget_connection(channel);
        }
    }

    fn on_device_data(&mut self, peer: PeerId, frame: &Frame<'_>, channel: u8) {
        let connection = self.connections.get(&channel);
        let connection = connection.filter(|it| it.peer() == peer && !it.is_released());
        let Some(connection) = connection else { return count(&mut self.counters.no_connection) };
        let (to, from) = (connection.data(), connection.caller().via);
        let octets = frame.octets().to_vec();
        self.actions.push_back(Action::ToClient { to, from, octets });
    }

    /// Sends the device a `DISCONNECT_REQUEST`
    pub(super) fn disconnect(&mut self, peer: PeerId, channel: u8) {
        let Some(socket) = self.socket_of(peer) else { return };
        let ours = self.ours(socket, Hpai::ROUTE_BACK);
        let octets = channel_request(Service::DISCONNECT_REQUEST, channel, ours).to_vec();
        self.actions.push_back(Action::ToDevice { peer, to: socket.device, octets });
    }

    /// Sends a client a `DISCONNECT_REQUEST`, as if the device had
    pub(super) fn tell_client(&mut self, channel: u8, connection: &Connection) {
        let caller = connection.caller();
        let control = caller.device(Hpai::ROUTE_BACK);
        let octets = channel_request(Service::DISCONNECT_REQUEST, channel, control).to_vec();
        let (to, from) = (caller.control, caller.via);
        self.actions.push_back(Action::ToClient { to, from, octets });
    }
}

/// Returns the device's data endpoint, of which no more than the port is believed
fn device_endpoint(told: Hpai, source: SocketAddrV4) -> SocketAddrV4 {
    let port = if told.is_route_back() { source.port() } else { told.address.port() };
    SocketAddrV4::new(*source.ip(), port)
}
