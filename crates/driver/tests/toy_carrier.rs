//! A driver with a carrier that is not PPTP: it needs no more than the traits say
//!
//! The toy seals a packet by turning its octets over, behind a header whose key is the Call ID. It is up when its
//! control connection says so, and sends an empty datagram each ten seconds.

use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use pptp_driver::{
    AfterCarrier, CallEnds, Carrier, DriverHandle, DriverShared, Guarded, NotNow, Packets,
    Randomness, Session, Slots, TurnFlags, now,
};
use pptp_gre_socket::Shard;
use pptp_memory_net::Network;
use pptp_packet::{Egress, PacketBuf, Wakers};
use tokio::{runtime, sync::Notify, time::sleep};

const NORTH: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SOUTH: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const HEADER: usize = 8;
const INTERVAL: Duration = Duration::from_secs(10);

/// The carrier
#[derive(Default)]
struct Toy {
    peer_call_id: u16,
    is_up: bool,
    is_finished: bool,
    events: VecDeque<&'static str>,
    control_out: Vec<u8>,
    alive_at: Option<Instant>,
    owes_sign_of_life: bool,
    useful: u64,
    /// The names of the calls so far
    calls: Vec<&'static str>,
}

impl Toy {
    fn handle_control(&mut self, now: Instant, octets: &[u8]) {
        match octets {
            b"up" => {
                self.is_up = true;
                self.alive_at = now.checked_add(INTERVAL);
                self.events.push_back("up");
                self.control_out.extend(b"ok");
            }
            _ => self.is_finished = true,
        }
    }

    fn header(&self, len: usize) -> [u8; HEADER] {
        let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
        let [call_high, call_low] = self.peer_call_id.to_be_bytes();
        [0x30, 1, 0x88, 0x0B, high, low, call_high, call_low]
    }
}

impl Carrier for Toy {
    type Event = &'static str;

    fn handle_datagram<'p>(&mut self, _: Instant, datagram: &'p mut [u8]) -> Option<&'p mut [u8]> {
        self.useful += 1;
        let packet = &mut datagram[HEADER..];
        for octet in packet.iter_mut() {
            *octet = !*octet;
        }
        (self.is_up && !packet.is_empty()).then_some(packet)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.calls.push("handle_timeout");
        if self.alive_at.is_some_and(|at| at <= now) {
            self.alive_at = now.checked_add(INTERVAL);
            self.owes_sign_of_life = true;
        }
    }

    fn poll_ip(&mut self, _: Instant) -> Option<Vec<u8>> {
        None
    }

    fn poll_event(&mut self) -> Option<&'static str> {
        self.calls.push("poll_event");
        self.events.pop_front()
    }

    fn poll_frames(&mut self, _: Instant, _: &mut impl Egress) {
        self.calls.push("poll_frames");
    }

    fn may_send(&self, _: Instant) -> Result<(), NotNow> {
        if self.is_up { Ok(()) } else { Err(NotNow::NotUp) }
    }

    fn seal(&mut self, _: Instant, packet: &mut PacketBuf) {
        self.calls.push("seal");
        let turned: Vec<u8> = packet.as_slice().iter().map(|octet| !octet).collect();
        let header = self.header(turned.len());
        let room = packet.reset(HEADER + turned.len());
        room[..HEADER].copy_from_slice(&header);
        room[HEADER..].copy_from_slice(&turned);
    }

    fn poll_datagrams(&mut self, _: Instant, out: &mut impl Egress) {
        self.calls.push("poll_datagrams");
        if out.has_room() && std::mem::take(&mut self.owes_sign_of_life) {
            out.compose(HEADER, |room| room.copy_from_slice(&self.header(0)));
        }
    }

    fn poll_control(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        self.calls.push("poll_control");
        out.append(&mut self.control_out);
        !out.is_empty()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.alive_at
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }

    fn useful_datagrams(&self) -> u64 {
        self.useful
    }
}

/// The guarded part: the carrier, and a user who counts and queues
#[derive(Default)]
struct Guarding {
    toy: Option<Toy>,
    received: Vec<Vec<u8>>,
    to_send: VecDeque<Vec<u8>>,
    control_out: Vec<u8>,
    /// True if another carrier is to follow the present one
    is_followed: bool,
    panics: bool,
}

impl Guarded for Guarding {
    type Carrier = Toy;
    type News = Vec<&'static str>;

    fn carrier(&self) -> Option<&Toy> {
        self.toy.as_ref()
    }

    fn carrier_mut(&mut self) -> Option<&mut Toy> {
        self.toy.as_mut()
    }

    fn deliver(&mut self, _: Instant, packet: &mut [u8], slots: Slots<'_>) {
        if packet == b"ping" {
            let toy = self.toy.as_mut().unwrap();
            let mut uplink = slots.sealed_by(toy, |_| {});
            uplink.compose(4, |room| room.copy_from_slice(b"pong"));
        }
        self.received.push(packet.to_vec());
    }

    fn handle_timeout(&mut self, _: Instant) {
        assert!(!self.panics, "asked to");
    }

    fn handle_event(&mut self, _: Instant, event: &'static str, news: &mut Vec<&'static str>) {
        news.push(event);
    }

    fn egress(&mut self, _: Instant, slots: Slots<'_>, _: &mut Wakers) -> Packets {
        let Self { toy: Some(toy), to_send, .. } = self else { return Packets::default() };
        let mut uplink = slots.sealed_by(toy, |_| {});
        while uplink.has_room()
            && let Some(packet) = to_send.pop_front()
        {
            uplink.compose(packet.len(), |room| room.copy_from_slice(&packet));
        }
        Packets { more: !to_send.is_empty() && uplink.may_send().is_ok(), deadline: None }
    }

    fn poll_control(&mut self, now: Instant) -> bool {
        let Self { toy: Some(toy), control_out, .. } = self else { return false };
        toy.poll_control(now, control_out)
    }

    fn carrier_finished(&mut self) -> AfterCarrier {
        if std::mem::take(&mut self.is_followed) {
            self.toy = None;
            AfterCarrier::Another
        } else {
            AfterCarrier::Finished
        }
    }
}

/// A session of the toy
struct Toys {
    driver: Arc<DriverHandle<Self>>,
    peer: Ipv4Addr,
    call_id: OnceLock<u16>,
    turns: TurnFlags,
    span: tracing::Span,
    guarded: Mutex<Guarding>,
    /// The calls of the driver, in order
    log: Mutex<Vec<String>>,
    control: Notify,
}

impl Toys {
    fn begin(driver: &Arc<DriverHandle<Self>>, peer: Ipv4Addr) -> Arc<Self> {
        let session = Arc::new(Self {
            driver: Arc::clone(driver),
            peer,
            call_id: OnceLock::new(),
            turns: TurnFlags::new(),
            span: tracing::Span::none(),
            guarded: Mutex::new(Guarding { toy: Some(Toy::default()), ..Guarding::default() }),
            log: Mutex::default(),
            control: Notify::new(),
        });
        let call_id = driver.shared().enter(peer, &session, now()).unwrap();
        session.call_id.set(call_id).unwrap();
        session
    }

    fn say(self: &Arc<Self>, octets: &[u8]) {
        self.lock().toy.as_mut().unwrap().handle_control(now(), octets);
        self.mark_timers_due();
    }

    fn send(self: &Arc<Self>, packet: &[u8]) {
        self.lock().to_send.push_back(packet.to_vec());
        self.mark_can_send();
    }

    fn note(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn is_known(&self) -> bool {
        self.driver.shared().session(*self.call_id.get().unwrap()).is_some()
    }

    fn release(&self) {
        self.driver.shared().release(*self.call_id.get().unwrap(), now());
    }
}

impl Session for Toys {
    type Guarded = Guarding;

    fn lock(&self) -> MutexGuard<'_, Guarding> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> Option<CallEnds> {
        Some(CallEnds { peer: self.peer, local: None, call_id: *self.call_id.get()? })
    }

    fn turns(&self) -> &TurnFlags {
        &self.turns
    }

    fn span(&self) -> &tracing::Span {
        &self.span
    }

    fn driver(&self) -> &DriverShared<Self> {
        self.driver.shared()
    }

    fn follow(self: &Arc<Self>, news: Vec<&'static str>, wakes_control: bool) {
        for event in news {
            self.note(event);
        }
        if wakes_control {
            self.control.notify_one();
        }
    }

    fn finish(&self) {
        self.note("finished");
        self.release();
    }

    fn panicked(&self, message: String) {
        self.note(format!("panicked: {message}"));
        self.release();
    }

    fn driver_gone(&self) {
        self.note("driver gone");
        self.release();
    }

    fn not_sent(&self, error: &io::Error) {
        self.note(format!("not sent: {error}"));
    }
}

/// Starts the driver of one host
fn driver(network: &Network, address: Ipv4Addr) -> Arc<DriverHandle<Toys>> {
    let socket = network.host(address).open_gre();
    let runtime = runtime::Handle::current();
    let (handle, driver) = DriverHandle::new(Shard::ALL, Randomness::System, socket, runtime);
    handle.runtime().spawn(driver.run());
    handle
}

/// Two sessions that know each other's Call ID, both up
async fn pair(network: &Network) -> [Arc<Toys>; 2] {
    let north = Toys::begin(&driver(network, NORTH), SOUTH);
    let south = Toys::begin(&driver(network, SOUTH), NORTH);
    for (one, other) in [(&north, &south), (&south, &north)] {
        one.lock().toy.as_mut().unwrap().peer_call_id = *other.call_id.get().unwrap();
        one.say(b"up");
    }
    sleep(Duration::from_millis(1)).await;
    [north, south]
}

#[tokio::test(start_paused = true)]
async fn packets_pass_both_ways_and_a_reply_needs_no_turn_of_its_own() {
    let network = Network::new(1);
    let [north, south] = pair(&network).await;
    for number in 0..300_u16 {
        north.send(&number.to_be_bytes());
    }
    south.send(b"ping");
    sleep(Duration::from_secs(1)).await;
    let expected: Vec<_> = (0..300_u16).map(|number| number.to_be_bytes().to_vec()).collect();
    let received = std::mem::take(&mut south.lock().received);
    let (pong, numbers): (Vec<_>, Vec<_>) = received.into_iter().partition(|it| it == b"pong");
    assert_eq!(numbers, expected, "all of them, in their order");
    assert_eq!((pong.len(), north.lock().received.len()), (1, 1));
    assert_eq!(
        north.driver().counters().unknown_call.load(std::sync::atomic::Ordering::Relaxed),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_turn_asks_for_the_outputs_in_the_order_of_the_trait() {
    let [north, _south] = pair(&Network::new(2)).await;
    north.lock().toy.as_mut().unwrap().calls.clear();
    north.send(b"packet");
    sleep(Duration::from_secs(1)).await;
    let calls = std::mem::take(&mut north.lock().toy.as_mut().unwrap().calls);
    let expected =
        ["handle_timeout", "poll_event", "poll_frames", "seal", "poll_datagrams", "poll_control"];
    assert_eq!(calls, expected);
}

#[tokio::test(start_paused = true)]
async fn events_and_octets_for_the_control_connection_come_out_and_deadlines_strike() {
    let [north, south] = pair(&Network::new(3)).await;
    north.control.notified().await;
    assert_eq!((north.log(), &*north.lock().control_out), (vec!["up".to_owned()], &b"ok"[..]));
    let before = south.lock().toy.as_ref().unwrap().useful;
    sleep(INTERVAL * 5 + Duration::from_secs(1)).await;
    let signs = south.lock().toy.as_ref().unwrap().useful - before;
    assert_eq!(signs, 5, "one each ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_up_sends_nothing_and_is_not_turned_round_and_round() {
    let network = Network::new(4);
    let north = Toys::begin(&driver(&network, NORTH), SOUTH);
    north.send(b"early");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(north.lock().to_send.len(), 1);
    let turns = north.driver().counters().turns.load(std::sync::atomic::Ordering::Relaxed);
    assert!(turns <= 2, "{turns} turns");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_finishes_is_forgotten_and_one_with_another_carrier_is_not() {
    let network = Network::new(5);
    let [north, south] = pair(&network).await;
    north.lock().is_followed = true;
    north.say(b"bye");
    south.say(b"bye");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(south.log(), ["up", "finished"]);
    assert!(!south.is_known());
    assert_eq!(north.log(), ["up"]);
    assert!(north.is_known() && north.lock().toy.is_none(), "its control task starts another");
    north.lock().toy = Some(Toy::default());
    north.say(b"up");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(north.log(), ["up", "up"]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_panics_ends_its_session_and_no_other() {
    let network = Network::new(6);
    let handle = driver(&network, NORTH);
    let [broken, whole] = [(), ()].map(|()| Toys::begin(&handle, SOUTH));
    broken.lock().panics = true;
    broken.mark_can_send();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(broken.log(), ["panicked: asked to"]);
    assert!(!broken.is_known());
    whole.say(b"up");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(whole.log(), ["up"]);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_stopped_by_force_tells_its_sessions() {
    let network = Network::new(7);
    let socket = network.host(NORTH).open_gre();
    let runtime = runtime::Handle::current();
    let (handle, driver) = DriverHandle::new(Shard::ALL, Randomness::System, socket, runtime);
    let running = tokio::spawn(driver.run());
    let session = Toys::begin(&handle, SOUTH);
    sleep(Duration::from_secs(1)).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(session.log(), ["driver gone"]);
    assert!(!session.is_known());
}
