//! Any clients and any device: what holds whatever they send

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::bench::{
    DEVICE, VIA, connect_request, connect_response, endpoints, frame, request, response, start,
    tunnelling,
};
use crate::{
    Frame, Hpai, Protocol, Service,
    relay::{Action, Endpoint, Options, PeerId, Relay},
};

/// A step; small numbers choose one of few, so that steps meet each other
#[derive(Debug, Clone)]
enum Step {
    Client(u8, Vec<u8>),
    Device(u8, bool, Vec<u8>),
    Opened(u8),
    NotOpened(u8),
    Lost(u8),
    Gone(u8),
    NewTunnel,
    Forbid(u8),
    Pass(u16),
    Close,
}

/// An endpoint of one of two client addresses
fn client(choice: u8) -> SocketAddrV4 {
    let ip = Ipv4Addr::new(127, 0, 0, 1 + choice % 2);
    SocketAddrV4::new(ip, 50_000 + u16::from(choice / 2 % 4))
}

fn hpai() -> impl Strategy<Value = Hpai> {
    let third = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 9);
    prop_oneof![
        (0_u8..8).prop_map(|choice| Hpai::udp(client(choice))),
        Just(Hpai::ROUTE_BACK),
        Just(Hpai::udp(third)),
        Just(Hpai::udp(SocketAddrV4::new(*DEVICE.ip(), 50_100))),
        Just(Hpai { protocol: Protocol::Tcp, address: third }),
    ]
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let channel = 0_u8..4;
    prop_oneof![
        4 => (hpai(), hpai()).prop_map(|(control, data)| connect_request(control, data)),
        4 => (channel.clone(), hpai()).prop_map(|(channel, data)| connect_response(channel, data)),
        1 => Just(response(Service::CONNECT_RESPONSE, 0, 0x24)),
        3 => (channel.clone(), hpai(), any::<bool>()).prop_map(|(channel, control, ends)| {
            let service =
                if ends { Service::DISCONNECT_REQUEST } else { Service::CONNECTIONSTATE_REQUEST };
            request(service, channel, control)
        }),
        3 => (channel.clone(), any::<bool>(), 0_u8..2).prop_map(|(channel, ends, status)| {
            let service =
                if ends { Service::DISCONNECT_RESPONSE } else { Service::CONNECTIONSTATE_RESPONSE };
            response(service, channel, status * 0x21)
        }),
        4 => channel.prop_map(|channel| tunnelling(channel, 0)),
        1 => Just(frame(Service::DESCRIPTION_RESPONSE, &[54, 1])),
        4 => (0x0200_u16..0x0214, hpai(), 0_usize..3)
            .prop_map(|(service, hpai, count)| frame(Service(service), &hpai.emit().repeat(count))),
        2 => (0x0740_u16..0x0744, hpai())
            .prop_map(|(service, hpai)| frame(Service(service), &hpai.emit())),
        1 => (0x0950_u16..0x0956, hpai())
            .prop_map(|(service, hpai)| frame(Service(service), &hpai.emit())),
        1 => proptest::collection::vec(0_u8.., 0..30),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u8.., any_frame()).prop_map(|(from, octets)| Step::Client(from, octets)),
        8 => (0_u8.., prop::bool::weighted(0.9), any_frame())
            .prop_map(|(peer, is_it, octets)| Step::Device(peer, is_it, octets)),
        6 => (0_u8..).prop_map(Step::Opened),
        1 => (0_u8..).prop_map(Step::NotOpened),
        1 => (0_u8..).prop_map(Step::Lost),
        2 => (0_u8..).prop_map(Step::Gone),
        1 => Just(Step::NewTunnel),
        1 => (0_u8..).prop_map(Step::Forbid),
        3 => (0_u16..40_000).prop_map(Step::Pass),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 0..120)
}

/// The owner of a relay, who checks what it puts out
struct Owner {
    relay: Relay,
    now: Instant,
    options: Options,
    opening: BTreeSet<PeerId>,
    open: BTreeMap<PeerId, SocketAddrV4>,
    next_port: u16,
}

impl Owner {
    fn new(options: Options) -> Self {
        let (now, relay) = (start(), Relay::new(options));
        let (opening, open) = (BTreeSet::new(), BTreeMap::new());
        Self { relay, now, options, opening, open, next_port: 40_000 }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Client(from, octets) => {
                self.relay.handle_client(self.now, client(*from), VIA, octets);
            }
            Step::Device(peer, is_device, octets) => {
                let from = if *is_device { DEVICE } else { client(*peer) };
                if let Some(peer) = nth(self.open.keys(), *peer) {
                    self.relay.handle_device(self.now, peer, from, octets);
                }
            }
            Step::Opened(peer) => self.open_one(*peer),
            Step::NotOpened(peer) => {
                if let Some(peer) = nth(self.opening.iter(), *peer) {
                    self.opening.remove(&peer);
                    self.relay.handle_not_opened(self.now, peer);
                }
            }
            Step::Lost(peer) => {
                if let Some(peer) = nth(self.open.keys(), *peer) {
                    self.open.remove(&peer);
                    self.relay.handle_lost(self.now, peer);
                }
            }
            Step::Gone(endpoint) => self.relay.handle_client_gone(self.now, client(*endpoint)),
            Step::NewTunnel => self.relay.handle_new_tunnel(self.now),
            Step::Forbid(address) => {
                let forbidden = *client(*address).ip();
                self.relay.retain_clients(self.now, |client| client != forbidden);
            }
            Step::Pass(milliseconds) => self.pass(Duration::from_millis((*milliseconds).into())),
            Step::Close => {
                self.relay.close();
                self.take();
                assert!(self.relay.is_idle() && self.opening.is_empty() && self.open.is_empty());
            }
        }
        self.take();
        assert!(self.relay.clients() <= self.options.max_clients);
        assert!(self.relay.connections() <= 256);
    }

    fn open_one(&mut self, choice: u8) {
        let Some(peer) = nth(self.opening.iter(), choice) else { return };
        self.opening.remove(&peer);
        let local = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 20), self.next_port);
        self.next_port += 1;
        self.open.insert(peer, local);
        self.relay.handle_opened(self.now, peer, local, DEVICE);
    }

    /// Lets time pass, in steps of the relay's deadlines
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.relay.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.relay.handle_timeout(self.now);
            self.take();
            let next = self.relay.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a deadline that has passed stays");
        }
        self.now = end;
    }

    fn take(&mut self) {
        let mut count = 0;
        while let Some(action) = self.relay.poll_action() {
            count += 1;
            match action {
                Action::Open { peer, .. } => assert!(self.opening.insert(peer)),
                Action::Close { peer } => {
                    assert!(self.opening.remove(&peer) || self.open.remove(&peer).is_some());
                }
                Action::ToDevice { peer, to, octets } => self.to_device(peer, to, &octets),
                Action::ToClient { to, from, octets } => Self::to_client(to, from, &octets),
            }
        }
        assert!(count < 100, "{count} actions of one input");
    }

    fn to_device(&self, peer: PeerId, to: SocketAddrV4, octets: &[u8]) {
        let local = self.open[&peer];
        assert_eq!(to.ip(), DEVICE.ip(), "nobody else is spoken to");
        let service = Frame::parse(octets).unwrap().service();
        assert!(self.options.remote_configuration || !service.is_remote_configuration());
        for told in endpoints(octets) {
            let is_ours = told == Hpai::udp(local) && self.options.endpoint != Endpoint::Zero;
            assert!(is_ours || told.address == Hpai::ROUTE_BACK.address, "{told:?}");
        }
    }

    fn to_client(to: SocketAddrV4, from: SocketAddrV4, octets: &[u8]) {
        assert!(to.ip().is_loopback(), "nobody else is spoken to");
        assert_eq!(from, VIA);
        for told in endpoints(octets) {
            let is_ours = told.address == VIA || told.address == Hpai::ROUTE_BACK.address;
            assert!(is_ours, "a client is led past the relay: {told:?}");
        }
    }
}

fn nth<'a>(mut peers: impl Iterator<Item = &'a PeerId> + Clone, choice: u8) -> Option<PeerId> {
    let count = peers.clone().count();
    peers.nth(usize::from(choice).checked_rem(count)?).copied()
}

proptest! {
    #[test]
    fn nobody_is_led_past_the_relay_and_all_comes_to_an_end(
        steps in steps(),
        endpoint in prop_oneof![Just(Endpoint::Auto), Just(Endpoint::True), Just(Endpoint::Zero)],
        remote_configuration: bool,
        max_clients in 1_usize..5,
    ) {
        let mut owner = Owner::new(Options { endpoint, remote_configuration, max_clients });
        for step in &steps {
            owner.step(step);
        }
        // nobody says anything any more
        while !owner.opening.is_empty() {
            owner.open_one(0);
            owner.take();
        }
        for _ in 0..10 {
            owner.pass(Duration::from_mins(1));
            while !owner.opening.is_empty() {
                owner.open_one(0);
                owner.take();
            }
        }
        prop_assert!(owner.relay.is_idle(), "something is held for ever");
        prop_assert!(owner.open.is_empty());
        prop_assert_eq!(owner.relay.poll_timeout(), None);
    }
}
