//! The relay of KNXnet/IP: any clients, any device, sockets that come and go, and time

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use arbitrary::{Arbitrary, Unstructured};
use pptp_knxnetip::{
    Frame, Hpai, Service,
    relay::{Action, Endpoint, Options, PeerId, Relay},
};

use crate::script::{Script, short};

/// The address to which clients send
const VIA: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 13_671);
/// The control endpoint of the device
const DEVICE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 3), 3671);
/// Our address beside the device
const INNER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
const MAX_STEPS: usize = 256;
/// Actions of one input: two for each of four clients, and of 256 channels
const MAX_ACTIONS: usize = 2 * (4 + 256) + 8;
const MAX_CLIENTS: usize = 4;

/// Any script as the life of a relay
///
/// Holds: nobody but the clients and the device is spoken to; each endpoint that goes to the device is our own or zero,
/// and each that goes to a client is the one that it sends to, or zero; no change of the device passes unless it is
/// allowed; tables and actions have their bounds; a deadline that has passed is gone; and after ten minutes of silence
/// nothing is held.
pub fn target(data: &[u8]) {
    let mut script = Script::new(data);
    let setting = script.octet();
    let endpoint = match setting & 3 {
        0 | 3 => Endpoint::Auto,
        1 => Endpoint::True,
        _ => Endpoint::Zero,
    };
    let remote_configuration = setting & 4 != 0;
    let mut owner =
        Owner::new(Options { endpoint, remote_configuration, max_clients: MAX_CLIENTS });
    for step in script.steps(MAX_STEPS) {
        owner.step(&step);
    }
    owner.end();
}

/// A step of the script
#[derive(Debug, Clone)]
enum Step<'a> {
    Client(u8, &'a [u8]),
    Device(u8, &'a [u8]),
    Opened(u8),
    NotOpened(u8),
    Lost(u8),
    NewTunnel,
    Gone(u8),
    Forbid(u8),
    Pass(u16),
}

impl<'a> Arbitrary<'a> for Step<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (kind, choice): (u8, u8) = u.arbitrary()?;
        Ok(match kind % 12 {
            0..=2 => Self::Client(choice, short(u)?),
            3..=5 => Self::Device(choice, short(u)?),
            6 => Self::Opened(choice),
            7 => match choice % 4 {
                0 => Self::NotOpened(u.arbitrary()?),
                1 => Self::NewTunnel,
                _ => Self::Lost(u.arbitrary()?),
            },
            8 => Self::Gone(choice),
            9 => Self::Forbid(choice),
            _ => Self::Pass(u.arbitrary()?),
        })
    }
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
        let (now, relay) = (Instant::now(), Relay::new(options));
        let (opening, open) = (BTreeSet::new(), BTreeMap::new());
        Self { relay, now, options, opening, open, next_port: 40_000 }
    }

    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Client(from, octets) => {
                self.relay.handle_client(self.now, client(*from), VIA, octets);
            }
            Step::Device(choice, octets) => {
                // every eighth is another host
                let from = if choice & 0xE0 == 0 { client(*choice) } else { DEVICE };
                if let Some(peer) = nth(self.open.keys(), *choice) {
                    self.relay.handle_device(self.now, peer, from, octets);
                }
            }
            Step::Opened(choice) => self.open_one(*choice),
            Step::NotOpened(choice) => {
                if let Some(peer) = nth(self.opening.iter(), *choice) {
                    self.opening.remove(&peer);
                    self.relay.handle_not_opened(self.now, peer);
                }
            }
            Step::Lost(choice) => {
                if let Some(peer) = nth(self.open.keys(), *choice) {
                    self.open.remove(&peer);
                    self.relay.handle_lost(self.now, peer);
                }
            }
            Step::NewTunnel => self.relay.handle_new_tunnel(self.now),
            Step::Gone(choice) => self.relay.handle_client_gone(self.now, client(*choice)),
            Step::Forbid(choice) => {
                let forbidden = *client(*choice).ip();
                self.relay.retain_clients(self.now, |client| client != forbidden);
            }
            Step::Pass(milliseconds) => self.pass(Duration::from_millis((*milliseconds).into())),
        }
        self.take();
        assert!(self.relay.clients() <= MAX_CLIENTS, "more clients than places");
        assert!(self.relay.connections() <= 256, "more connections than channels");
    }

    /// Nobody says anything any more, and the rest comes to its end
    fn end(&mut self) {
        for _ in 0..10 {
            while !self.opening.is_empty() {
                self.open_one(0);
                self.take();
            }
            self.pass(Duration::from_mins(1));
        }
        assert!(self.relay.is_idle() && self.open.is_empty(), "something is held for ever");
        assert_eq!(self.relay.poll_timeout(), None);
    }

    fn open_one(&mut self, choice: u8) {
        let Some(peer) = nth(self.opening.iter(), choice) else { return };
        self.opening.remove(&peer);
        let local = SocketAddrV4::new(INNER, self.next_port);
        self.next_port = self.next_port.wrapping_add(1).max(1);
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
                    let is_known = self.opening.remove(&peer) || self.open.remove(&peer).is_some();
                    assert!(is_known, "a socket is closed that is none");
                }
                Action::ToDevice { peer, to, octets } => self.to_device(peer, to, &octets),
                Action::ToClient { to, from, octets } => to_client(to, from, &octets),
            }
        }
        assert!(count <= MAX_ACTIONS, "{count} actions of one input");
    }

    fn to_device(&self, peer: PeerId, to: SocketAddrV4, octets: &[u8]) {
        let local = self.open.get(&peer).expect("a socket that is open");
        assert_eq!(to.ip(), DEVICE.ip(), "nobody else is spoken to");
        let service = endpoints(octets, |told| {
            let is_ours = told == Hpai::udp(*local) && self.options.endpoint != Endpoint::Zero;
            is_ours || told.address == Hpai::ROUTE_BACK.address
        });
        assert!(self.options.remote_configuration || !service.is_remote_configuration());
    }
}

fn to_client(to: SocketAddrV4, from: SocketAddrV4, octets: &[u8]) {
    assert!(to.ip().is_loopback(), "nobody else is spoken to");
    assert_eq!(from, VIA);
    endpoints(octets, |told| told.address == VIA || told.address == Hpai::ROUTE_BACK.address);
}

/// Each endpoint of a frame has to be right; returns its service
fn endpoints(octets: &[u8], is_right: impl Fn(Hpai) -> bool) -> Service {
    let frame = Frame::parse(octets).expect("what is sent is a frame");
    let wrong = Cell::new(None);
    frame.with_endpoints(|told| {
        if !is_right(told) {
            wrong.set(Some(told));
        }
        told
    });
    assert_eq!(wrong.get(), None, "somebody is led astray by {}", frame.service());
    frame.service()
}

/// An endpoint of one of two client addresses
const fn client(choice: u8) -> SocketAddrV4 {
    let ip = Ipv4Addr::new(127, 0, 0, 1 + (choice & 1));
    SocketAddrV4::new(ip, 50_000 + ((choice >> 1) & 7) as u16)
}

fn nth<'a>(mut peers: impl Iterator<Item = &'a PeerId> + Clone, choice: u8) -> Option<PeerId> {
    let count = peers.clone().count();
    peers.nth(usize::from(choice).checked_rem(count)?).copied()
}
