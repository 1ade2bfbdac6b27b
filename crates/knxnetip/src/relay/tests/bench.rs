//! A bench for a relay: frames of clients and of a device, and what comes out

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use crate::{
    Frame, Hpai, Service,
    relay::{Action, Endpoint, Options, PeerId, Relay},
};

/// The address to which clients send
pub(super) const VIA: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 13_671);
/// The control endpoint of the device
pub(super) const DEVICE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 3), 3671);

/// A relay whose inner sockets open at once, at ports from 40000 on
pub(super) struct Bench {
    pub(super) relay: Relay,
    pub(super) now: Instant,
    /// The ports of the inner sockets that are open
    pub(super) sockets: BTreeMap<PeerId, u16>,
    opens: bool,
    next_port: u16,
}

/// A datagram that came out
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Out {
    /// From the inner socket with this port
    Device(u16, SocketAddrV4, Vec<u8>),
    /// To a client
    Client(SocketAddrV4, Vec<u8>),
}

impl Bench {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self::with(Options { endpoint, remote_configuration: false, max_clients: 4 })
    }

    pub(super) fn with(options: Options) -> Self {
        let relay = Relay::new(options);
        let (now, sockets) = (start(), BTreeMap::new());
        Self { relay, now, sockets, opens: true, next_port: 40_000 }
    }

    /// From now on sockets are opened by [`Self::open_all`] only
    pub(super) fn hold(mut self) -> Self {
        self.opens = false;
        self
    }

    /// A frame of a client, and what comes out
    pub(super) fn client(&mut self, from: SocketAddrV4, frame: &[u8]) -> Vec<Out> {
        self.relay.handle_client(self.now, from, VIA, frame);
        self.out()
    }

    /// A frame of the device to an inner port, and what comes out
    pub(super) fn device(&mut self, port: u16, from: SocketAddrV4, frame: &[u8]) -> Vec<Out> {
        let peer = self.peer(port);
        self.relay.handle_device(self.now, peer, from, frame);
        self.out()
    }

    pub(super) fn gone(&mut self, endpoint: SocketAddrV4) -> Vec<Out> {
        self.relay.handle_client_gone(self.now, endpoint);
        self.out()
    }

    /// The tunnel ends: all sockets are lost
    pub(super) fn lose_tunnel(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        let peers: Vec<_> = self.sockets.keys().copied().collect();
        for peer in peers {
            if self.sockets.remove(&peer).is_none() {
                continue;
            }
            self.relay.handle_lost(self.now, peer);
            out.extend(self.out());
        }
        out
    }

    /// Lets time pass, in steps of the relay's own deadlines
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Out> {
        let end = self.now + time;
        let mut out = Vec::new();
        while let Some(at) = self.relay.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.relay.handle_timeout(self.now);
            out.extend(self.out());
            let next = self.relay.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a deadline that has passed stays");
        }
        self.now = end;
        out
    }

    /// Opens a connection: the channel that the device gives it, and the inner port
    pub(super) fn connect(&mut self, client: SocketAddrV4, channel: u8) -> u16 {
        let own = Hpai::udp(client);
        let out = self.client(client, &connect_request(own, own));
        let [Out::Device(port, to, _)] = out[..] else { panic!("{out:?}") };
        assert_eq!(to, DEVICE);
        let out = self.device(port, DEVICE, &connect_response(channel, Hpai::udp(DEVICE)));
        assert!(matches!(out[..], [Out::Client(to, _)] if to == client), "{out:?}");
        port
    }

    /// Opens the sockets that were held
    pub(super) fn open_all(&mut self) -> Vec<Out> {
        self.opens = true;
        let mut out = Vec::new();
        for (peer, port) in self.sockets.clone() {
            let local = SocketAddrV4::new(INNER, port);
            self.relay.handle_opened(self.now, peer, local, DEVICE);
            out.extend(self.out());
        }
        out
    }

    fn peer(&self, port: u16) -> PeerId {
        let found = self.sockets.iter().find(|(_, it)| **it == port);
        *found.expect("the socket is open").0
    }

    pub(super) fn out(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Open { peer, .. } => {
                    self.sockets.insert(peer, self.next_port);
                    let local = SocketAddrV4::new(INNER, self.next_port);
                    self.next_port += 1;
                    if self.opens {
                        self.relay.handle_opened(self.now, peer, local, DEVICE);
                    }
                }
                Action::Close { peer } => assert!(self.sockets.remove(&peer).is_some()),
                Action::ToDevice { peer, to, octets } => {
                    out.push(Out::Device(self.sockets[&peer], to, octets));
                }
                Action::ToClient { to, from, octets } => {
                    assert_eq!(from, VIA);
                    out.push(Out::Client(to, octets));
                }
            }
        }
        out
    }
}

/// The moment from which all others are counted
#[expect(clippy::disallowed_methods, reason = "an Instant can come from nowhere else")]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// Our address in the building
pub(super) const INNER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);

/// Our endpoint in the building
pub(super) const fn inner(port: u16) -> Hpai {
    Hpai::udp(SocketAddrV4::new(INNER, port))
}

/// A port of a client on this machine
pub(super) const fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

pub(super) fn frame(service: Service, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 6).unwrap();
    [&[6, 0x10], &service.0.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

pub(super) fn connect_request(control: Hpai, data: Hpai) -> Vec<u8> {
    frame(Service::CONNECT_REQUEST, &[&control.emit()[..], &data.emit(), &[4, 4, 2, 0]].concat())
}

pub(super) fn connect_response(channel: u8, data: Hpai) -> Vec<u8> {
    let body = [&[channel, 0], &data.emit()[..], &[4, 4, 0x11, 1]].concat();
    frame(Service::CONNECT_RESPONSE, &body)
}

/// A heartbeat or a disconnect
pub(super) fn request(service: Service, channel: u8, control: Hpai) -> Vec<u8> {
    crate::channel_request(service, channel, control).to_vec()
}

pub(super) fn response(service: Service, channel: u8, status: u8) -> Vec<u8> {
    crate::channel_response(service, channel, status).to_vec()
}

pub(super) fn tunnelling(channel: u8, sequence: u8) -> Vec<u8> {
    frame(Service::TUNNELLING_REQUEST, &[4, channel, sequence, 0, 0x11, 0, 0xBC, 0xE0])
}

/// The HPAIs of a frame
pub(super) fn endpoints(octets: &[u8]) -> Vec<Hpai> {
    let found = std::cell::RefCell::new(Vec::new());
    Frame::parse(octets).unwrap().with_endpoints(|told| {
        found.borrow_mut().push(told);
        told
    });
    found.into_inner()
}
