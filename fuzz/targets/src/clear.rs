//! Somebody off the path who speaks in the clear to a tunnel that is up: nothing that is agreed changes

mod step;

use std::time::{Duration, Instant};

use pptp_gre::Header;
use pptp_packet::PacketBuf;
use pptp_ppp::{ServerOrder, frame};
use pptp_tunnel::{
    Config, ConnectTimeline, ControlServerConfig, Event, Facts, GreBehavior, Password,
    ServerConfig, Tunnel,
};

pub use self::step::{Step, composed};
use crate::{
    client::CALL_ID,
    packets::{self, Packets},
    script::{Script, centiseconds, epoch},
};

const SERVER_CALL_ID: u16 = 2;
const MAX_STEPS: usize = 128;
/// Turns of both ends at one moment: what they say to each other ends
const MAX_TURNS: usize = 64;
/// Deadlines and turns while the time goes on
const MAX_MOMENTS: usize = 4096;
const ROOM: usize = 256;
/// Protocols from here on are control protocols (RFC 1661 §2)
const FIRST_CONTROL: u16 = 0x8000;
/// Requests to negotiate IPCP anew that a peer whose LCP is open may send without being believed
const MAX_REQUESTS: usize = 3;

/// An octet that says which server it is, then a script of [`Step`]s
///
/// Holds, as long as the server is alive and the line whole: whatever was told as up has the first
/// address, the first DNS servers and the first MTU; unless IPCP was asked to start over as often as a
/// true server asks, the tunnel stays up and nothing is told; it never ends but because
/// other addresses were named; and it carries packets in the end.
pub fn target(data: &[u8]) {
    let mut script = Script::new(data);
    let order = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];
    let mut world = World::up(order[usize::from(script.octet()) % order.len()]);
    for step in script.steps(MAX_STEPS) {
        world.take(&step);
        world.settle();
        world.check();
    }
    world.pass(Duration::from_secs(30));
    world.check();
    world.assert_carries();
}

struct World {
    client: Tunnel,
    server: Tunnel,
    now: Instant,
    out: Packets,
    /// What was told when the tunnel came up
    first: Option<Facts>,
    /// What was told since, by its name
    told: Vec<&'static str>,
    /// Forged requests to start IPCP over
    requests: usize,
    /// The number behind the server's latest
    next: u32,
    /// IP packets that came out at the client and at the server
    came: [usize; 2],
}

impl World {
    /// Up, and packets have passed both ways
    fn up(order: ServerOrder) -> Self {
        let now = epoch();
        let config = Config::new("user", Password::new("password"));
        let mut link = pptp_ppp::ServerConfig::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        link.secrets = vec![("user".into(), Password::new("password"))];
        link.dns = vec![[10, 0, 0, 3].into(), [10, 0, 0, 4].into()];
        link.order = order;
        let server = ServerConfig {
            control: ControlServerConfig::default(),
            link,
            gre: GreBehavior::default(),
        };
        let mut world = Self {
            client: Tunnel::connect(config, CALL_ID, [1; 32], ConnectTimeline::new(now), now),
            server: Tunnel::accept(server, SERVER_CALL_ID, [2; 32], now),
            now,
            out: Packets::new(ROOM),
            first: None,
            told: Vec::new(),
            requests: 0,
            next: 0,
            came: [0; 2],
        };
        world.settle();
        assert!(world.first.is_some(), "it comes up");
        world.assert_carries();
        world
    }

    fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Near(protocol, code, id, ahead, data) => {
                let number = self.next.wrapping_add_signed(ahead.into());
                self.forge(number, &packet(protocol, code, id, data));
            }
            Step::Far(protocol, code, id, number, data) => {
                self.forge(number, &packet(protocol, code, id, data));
            }
            Step::Frame(ahead, frame) => {
                self.forge(self.next.wrapping_add_signed(ahead.into()), frame);
            }
            Step::ServerSends(count) => (0..=count % 16).for_each(|_| self.send(false)),
            Step::Sends(count) => (0..=count % 16).for_each(|_| self.send(true)),
            Step::Wait(time) => self.pass(centiseconds(time)),
        }
    }

    /// The client gets a control frame that the server has not sent
    fn forge(&mut self, number: u32, frame: &[u8]) {
        let mut octets = frame.to_vec();
        let Ok((protocol, information)) = frame::parse(&mut octets) else { return };
        if protocol < FIRST_CONTROL {
            return;
        }
        let is_request = protocol == frame::IPCP && information.first() == Some(&1);
        self.requests += usize::from(is_request);
        let header = Header { call_id: CALL_ID, sequence: Some(number), acknowledgment: None };
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        let mut datagram = [header.emit(length).as_slice(), frame].concat();
        let packet = self.client.handle_gre(self.now, &mut datagram);
        assert!(packet.is_none(), "a control frame is no packet");
    }

    fn send(&mut self, is_client: bool) {
        self.settle();
        let end = if is_client { &mut self.client } else { &mut self.server };
        if end.may_send(self.now).is_err() {
            return;
        }
        let (mut slot, packet) = (PacketBuf::new(), packets::ip(1, 100));
        slot.reset(packet.len()).copy_from_slice(&packet);
        end.seal(self.now, &mut slot);
        self.deliver(is_client, slot.as_slice().to_vec());
    }

    /// A datagram of one end reaches the other
    fn deliver(&mut self, is_clients: bool, mut datagram: Vec<u8>) {
        if !is_clients
            && let Ok((Header { sequence: Some(number), .. }, _)) = Header::parse(&datagram)
        {
            self.next = number.wrapping_add(1);
        }
        let other = if is_clients { &mut self.server } else { &mut self.client };
        let came = other.handle_gre(self.now, &mut datagram).is_some();
        self.came[usize::from(is_clients)] += usize::from(came);
    }

    /// Both ends take turns until neither has more to say
    fn settle(&mut self) {
        for _ in 0..MAX_TURNS {
            let said = self.turn(true) | self.turn(false);
            if !said {
                return;
            }
        }
        panic!("the two ends talk without end");
    }

    /// Whether an end said something
    fn turn(&mut self, is_client: bool) -> bool {
        let now = self.now;
        let end = if is_client { &mut self.client } else { &mut self.server };
        end.handle_timeout(now);
        let events: Vec<_> = std::iter::from_fn(|| end.poll_event()).collect();
        self.out.clear();
        end.poll_frames(now, &mut self.out);
        end.poll_gre(now, &mut self.out);
        let mut control = Vec::new();
        end.poll_control(now, &mut control);
        let datagrams: Vec<_> = self.out.iter().map(<[u8]>::to_vec).collect();
        let said = !(datagrams.is_empty() && control.is_empty());
        if !control.is_empty() {
            let other = if is_client { &mut self.server } else { &mut self.client };
            other.handle_control(now, &control);
        }
        for datagram in datagrams {
            self.deliver(is_client, datagram);
        }
        if is_client {
            for event in events {
                self.note(event);
            }
        }
        said
    }

    fn note(&mut self, event: Event) {
        match (event, &self.first) {
            (Event::Up(facts), None) => self.first = Some(*facts),
            (Event::Up(facts), Some(first)) => {
                let agreed = |facts: &Facts| (facts.inner_address, facts.dns.clone(), facts.mtu);
                assert_eq!(agreed(&facts), agreed(first), "it was redirected");
                self.told.push("Up");
            }
            (Event::Renegotiating, _) => self.told.push("Renegotiating"),
            (Event::Down(error), _) => self.told.push(error.name()),
            _ => {}
        }
    }

    /// Time goes on, from deadline to deadline
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        for _ in 0..MAX_MOMENTS {
            let due = [&self.client, &self.server].map(|it| it.poll_timeout().map(|(at, _)| at));
            let due = due.into_iter().flatten().min().filter(|due| *due <= end);
            let Some(due) = due else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            self.settle();
        }
        panic!("deadlines without end");
    }

    fn check(&self) {
        let is_only_asked = self.requests <= MAX_REQUESTS;
        assert!(!is_only_asked || self.told.is_empty(), "told: {:?}", self.told);
        let may_be = |told: &&str| matches!(*told, "Up" | "Renegotiating" | "AddressChanged");
        assert!(self.told.iter().all(may_be), "told: {:?}", self.told);
    }

    /// Packets pass, unless the tunnel was asked often enough to start over
    fn assert_carries(&mut self) {
        if self.requests > MAX_REQUESTS {
            return;
        }
        let before = self.came;
        self.send(true);
        self.send(false);
        self.settle();
        assert_eq!(self.came, before.map(|count| count + 1), "it carries both ways");
    }
}

/// A frame of one of the control protocols
fn packet(protocol: u8, code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let protocol = PROTOCOLS[usize::from(protocol) % PROTOCOLS.len()].to_be_bytes();
    let length = u16::try_from(4 + data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0xFF, 3], &protocol[..], &[code, id], &length, data].concat()
}

/// Those that a link has, then two that it has not
const PROTOCOLS: [u16; 8] = [
    frame::LCP,
    frame::CHAP,
    frame::CCP,
    frame::IPCP,
    frame::PAP,
    frame::EAP,
    frame::IPV6CP,
    0x8281,
];
