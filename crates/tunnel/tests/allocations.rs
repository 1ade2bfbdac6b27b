//! An idle tunnel is small, and a busy one allocates nothing
#![cfg(feature = "server")]

use std::{
    alloc::System,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use pptp_packet::{Egress, PacketBuf};
use pptp_tunnel::{
    Config, ConnectTimeline, ControlServerConfig, Event, GreBehavior, LinkServerConfig, NotNow,
    Password, ServerConfig, Tunnel,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CLIENT_CALL: u16 = 1;
const SERVER_CALL: u16 = 2;
const PACKETS: u64 = 10_000;
/// What all layers of an idle tunnel may hold together, a full flight recorder included
const BUDGET: usize = 4096 + 160; // the last ones for the proof of the path and its figures

/// The slots of a driver, used again and again
struct Slots {
    slots: Vec<PacketBuf>,
    used: usize,
}

impl Slots {
    fn new() -> Self {
        Self { slots: (0..32).map(|_| PacketBuf::new()).collect(), used: 0 }
    }

    fn next(&mut self, len: usize) -> &mut PacketBuf {
        let slot = &mut self.slots[self.used];
        self.used += 1;
        slot.reset(len);
        slot
    }

    /// Hands all datagrams over, and says how many IP packets came out
    fn deliver(&mut self, to: &mut Tunnel, now: Instant) -> u64 {
        let used = std::mem::take(&mut self.used);
        let datagrams = self.slots[..used].iter_mut();
        datagrams.map(|slot| u64::from(to.handle_gre(now, slot.as_mut_slice()).is_some())).sum()
    }
}

impl Egress for Slots {
    fn has_room(&self) -> bool {
        self.used < self.slots.len()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        fill(self.next(len).as_mut_slice())
    }
}

/// An IPv4 header with a right checksum, and what follows it
fn ip_packet() -> [u8; 1396] {
    let mut packet = [0x5A; 1396];
    packet[..20].copy_from_slice(
        b"\x45\x00\x05\x74\x00\x00\x40\x00\x40\x11\x21\x77\x0A\x00\x00\x01\x0A\x00\x00\x02",
    );
    packet
}

/// Everything but packets: returns whether the tunnel came up
fn turn(tunnel: &mut Tunnel, now: Instant, out: &mut Slots, control: &mut Vec<u8>) -> bool {
    tunnel.handle_timeout(now);
    let mut is_up = false;
    while let Some(event) = tunnel.poll_event() {
        is_up |= matches!(event, Event::Up(_));
    }
    tunnel.poll_gre(now, out);
    tunnel.poll_control(now, control);
    is_up
}

fn hand_over(to: &mut Tunnel, now: Instant, control: &mut Vec<u8>) {
    if !control.is_empty() {
        to.handle_control(now, control);
        control.clear();
    }
}

/// Two tunnels and what is on its way between them
struct Pair {
    client: Box<Tunnel>,
    server: Box<Tunnel>,
    now: Instant,
    slots: Slots,
    control: Vec<u8>,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "there is no other way to have an instant")]
    fn new() -> Self {
        let now = Instant::now();
        let address = Ipv4Addr::new(192, 168, 1, 1);
        let mut link = LinkServerConfig::new(address, Ipv4Addr::new(192, 168, 1, 200));
        link.secrets = vec![("testuser".to_owned(), Password::new("test123"))];
        link.dns = vec![address; 2];
        let server = ServerConfig {
            control: ControlServerConfig::default(),
            link,
            gre: GreBehavior::default(),
        };
        let server = Box::new(Tunnel::accept(server, SERVER_CALL, [2; 32], now));
        let config = Config::new("testuser", Password::new("test123"));
        let timeline = ConnectTimeline::new(now);
        let client = Box::new(Tunnel::connect(config, CLIENT_CALL, [1; 32], timeline, now));
        Self { client, server, now, slots: Slots::new(), control: Vec::with_capacity(4096) }
    }

    /// A turn of each end, a millisecond after the last; whether the client came up
    fn step(&mut self) -> bool {
        let Self { client, server, now, slots, control } = self;
        *now += Duration::from_millis(1);
        let is_up = turn(client, *now, slots, control);
        hand_over(server, *now, control);
        slots.deliver(server, *now);
        turn(server, *now, slots, control);
        hand_over(client, *now, control);
        slots.deliver(client, *now);
        is_up
    }

    fn idle(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
        }
    }

    /// A batch each way; how many packets arrived
    fn exchange(&mut self, packet: &[u8]) -> u64 {
        self.now += Duration::from_millis(1);
        let Self { client, server, now, slots, .. } = self;
        send_batch(client, server, *now, slots, packet)
            + send_batch(server, client, *now, slots, packet)
    }
}

/// Eight packets in one turn; how many arrived
fn send_batch(
    from: &mut Tunnel,
    to: &mut Tunnel,
    now: Instant,
    slots: &mut Slots,
    packet: &[u8],
) -> u64 {
    from.handle_timeout(now);
    while from.poll_event().is_some() {}
    from.poll_frames(now, slots);
    for _ in 0..8 {
        assert_ne!(from.may_send(now), Err(NotNow::NotUp));
        let slot = slots.next(packet.len());
        slot.as_mut_slice().copy_from_slice(packet);
        from.seal(now, slot);
    }
    from.poll_gre(now, slots);
    slots.deliver(to, now)
}

/// Octets of heap that are free again when the tunnel is gone
fn heap_of(tunnel: Box<Tunnel>) -> usize {
    let region = Region::new(ALLOCATOR);
    drop(tunnel);
    let change = region.change();
    change.bytes_deallocated - change.bytes_allocated
}

fn connected() -> Pair {
    let mut pair = Pair::new();
    assert!((0..100).any(|_| pair.step()), "not up");
    pair.idle(4000); // the proof of the path, which this server does not answer, takes 3 s
    pair
}

/// Control messages that mean nothing, until the oldest have to make room
fn fill_recorder(pair: &mut Pair) {
    let set_link_info =
        [&[0, 24, 0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0, 15, 0, 0, 0, 1, 0, 0][..], &[0xFF; 8]].concat();
    while pair.client.recorder().forgotten() == 0 {
        pair.client.handle_control(pair.now, &set_link_info);
    }
}

/// One test, since all of them would share the allocator's counters
#[test]
fn an_idle_tunnel_is_small_and_a_busy_one_allocates_nothing() {
    let idle = heap_of(connected().client);
    println!("idle: {idle} octets, {} of them the state machine", size_of::<Tunnel>());
    assert!(idle <= BUDGET, "{idle} octets");

    let mut pair = connected();
    fill_recorder(&mut pair);
    let full = heap_of(pair.client);
    println!("idle, with a full flight recorder: {full} octets");
    assert!(full <= BUDGET, "{full} octets");

    let mut pair = connected();
    let packet = ip_packet();
    // the first packet proves the path, which is told in the next turn
    let mut arrived = pair.exchange(&packet) + pair.exchange(&packet);
    let region = Region::new(ALLOCATOR);
    while arrived < 2 * PACKETS {
        arrived += pair.exchange(&packet);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    assert_eq!(pair.client.stats().ip_received, arrived / 2, "both ways");
    assert_eq!(pair.server.stats().gre.missing, 0);

    pair.idle(2000);
    let idle = heap_of(pair.client);
    println!("idle again: {idle} octets");
    assert!(idle <= BUDGET, "{idle} octets");
}
