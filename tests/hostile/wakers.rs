//! Wakers are their users' code: they may panic, call back into the library, or be the last to hold a socket

use std::{
    any::Any,
    mem,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use pptp::{State, Tunnel, net::UdpSocket};
use pptp_testkit::DEVICE;
use pptp_tests::World;
use tokio::{
    io::{AsyncRead, ReadBuf},
    runtime,
    time::{sleep, timeout},
};

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a user's waker");
    }
}

#[derive(Default)]
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An executor that is shutting down, or a channel whose receiver is gone
#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_ends_no_other_tunnel() {
    let world = World::new(5);
    let (one, two) = (world.building(1), world.building(2));
    let (first, second) = (world.connect(&one).await, world.connect(&two).await);
    let socket = first.udp_bind(0).unwrap();
    socket.send_to(b"x", (DEVICE, 7)).await.unwrap();
    // one that panics, and one behind it that waits for the same datagram
    let panics = Waker::from(Arc::new(Panics));
    let (mut buffer, mut other) = ([0; 16], [0; 16]);
    let mut read = ReadBuf::new(&mut buffer);
    assert!(socket.poll_recv_from(&mut Context::from_waker(&panics), &mut read).is_pending());
    let counts = Arc::new(Counts::default());
    let waker = Waker::from(Arc::clone(&counts));
    let mut reading = pin!(socket.recv_from(&mut other));
    assert!(reading.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    sleep(Duration::from_millis(500)).await;
    for tunnel in [&first, &second] {
        assert!(matches!(*tunnel.state().borrow(), State::Up), "{tunnel:?}");
    }
    assert_eq!(counts.0.load(Ordering::Relaxed), 1, "the one behind it is woken");
    let stats = world.client.stats();
    assert_eq!((stats.wake_panics, stats.panics), (1, 0));
    second.ping(DEVICE, Duration::from_secs(2)).await.unwrap();
}

/// Those who watch the state, who wait for the end, and who wait for a client to be idle
#[tokio::test(start_paused = true)]
async fn a_watcher_that_panics_ends_no_other_tunnel() {
    let world = World::new(5);
    let (one, two) = (world.building(1), world.building(2));
    let (first, second) = (world.connect(&one).await, world.connect(&two).await);
    let panics = Waker::from(Arc::new(Panics));
    let mut context = Context::from_waker(&panics);
    let mut state = first.state();
    let (mut changed, mut closed) = (Box::pin(state.changed()), Box::pin(first.closed()));
    let mut idle = Box::pin(world.client.wait_idle());
    assert!(changed.as_mut().poll(&mut context).is_pending());
    assert!(closed.as_mut().poll(&mut context).is_pending());
    assert!(idle.as_mut().poll(&mut context).is_pending());
    first.hang_up();
    sleep(Duration::from_secs(10)).await;
    assert!(first.state().borrow().is_down(), "{first:?}");
    assert!(matches!(*second.state().borrow(), State::Up), "{second:?}");
    assert_eq!(world.client.stats().panics, 0);
    assert!(world.client.stats().wake_panics >= 2);
    second.ping(DEVICE, Duration::from_secs(2)).await.unwrap();
}

/// Asks the tunnel when it is woken, which takes the tunnel's lock
struct Asks(Tunnel, AtomicUsize);

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        let _ = (self.0.info(), self.0.stats());
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_watcher_may_ask_the_tunnel_when_it_is_woken() {
    within_seconds("states are told without the lock", || {
        runtime().block_on(async {
            let world = World::new(1);
            let server = world.building(1);
            let tunnel = world.connect(&server).await;
            let asks = Arc::new(Asks(tunnel.clone(), AtomicUsize::new(0)));
            let waker = Waker::from(Arc::clone(&asks));
            let mut state = tunnel.state();
            let mut changed = Box::pin(state.changed());
            assert!(changed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            server.renegotiate_all();
            let renegotiated = async {
                while asks.1.load(Ordering::Relaxed) == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(Duration::from_secs(5), renegotiated).await.expect("the watcher is woken");
        });
    });
}

/// Runs `f` on a thread of its own, so that a lock that is never given back fails a test
fn within_seconds(what: &str, f: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        f();
        let _ = done.send(());
    });
    match is_done.recv_timeout(Duration::from_secs(20)) {
        Ok(()) => thread.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what}: {:?}", thread.join()),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: a thread is locked for ever"),
    }
}

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The last to hold a socket, which takes the tunnel's lock when it is dropped
struct Holds(#[expect(dead_code, reason = "what counts is when it is dropped")] Mutex<UdpSocket>);

impl Wake for Holds {
    fn wake(self: Arc<Self>) {}
}

/// `park` leaves the last clone of the waker with something that `finish` gets rid of: by then no lock
/// may be held
fn last_holder<T: Any + Send>(
    what: &'static str,
    park: impl FnOnce(&Tunnel, &Waker) -> T + Send + 'static,
    finish: impl FnOnce(&Tunnel, T) + Send + 'static,
) {
    within_seconds(what, move || {
        runtime().block_on(async {
            let world = World::new(1);
            let (one, two) = (world.building(1), world.building(2));
            let (first, second) = (world.connect(&one).await, world.connect(&two).await);
            let socket = first.udp_bind(0).unwrap();
            let waker = Waker::from(Arc::new(Holds(Mutex::new(socket))));
            let parked = park(&first, &waker);
            drop(waker);
            finish(&first, parked);
            second.ping(DEVICE, Duration::from_secs(5)).await.expect("the other tunnel's ping");
            first.ping(DEVICE, Duration::from_secs(5)).await.ok();
        });
    });
}

/// Reads all there is, until the reader has to wait
fn read_until_it_waits(capture: &mut pptp::record::Capture, waker: &Waker) {
    let mut buffer = [0; 4096];
    let mut context = Context::from_waker(waker);
    let mut is_ready = || {
        Pin::new(&mut *capture).poll_read(&mut context, &mut ReadBuf::new(&mut buffer)).is_ready()
    };
    while is_ready() {}
}

fn capturing(tunnel: &Tunnel, waker: &Waker) -> pptp::record::Capture {
    let mut capture = tunnel.capture();
    read_until_it_waits(&mut capture, waker);
    capture
}

#[test]
fn a_capture_that_is_dropped_drops_its_waker_unlocked() {
    last_holder("dropped", capturing, |_, capture| drop(capture));
}

#[test]
fn a_capture_that_is_stopped_drops_its_waker_unlocked() {
    last_holder("stopped", capturing, |_, mut capture| capture.stop());
}

#[test]
fn a_capture_that_another_task_reads_drops_the_first_waker_unlocked() {
    last_holder("read by another", capturing, |_, mut capture| {
        read_until_it_waits(&mut capture, Waker::noop());
    });
}

#[test]
fn a_capture_whose_tunnel_ends_drops_its_waker_unlocked() {
    last_holder("ended", capturing, |tunnel, capture| {
        tunnel.hang_up();
        thread::sleep(Duration::from_millis(200));
        drop(capture);
    });
}

/// Waits for a packet, and leaks the future that would take its waker along
fn receiving(tunnel: &Tunnel, waker: &Waker) -> pptp::IpPackets {
    let packets = tunnel.ip_packets().unwrap();
    let mut buffer = [0; 2000];
    let mut receive = Box::pin(packets.recv(&mut buffer));
    assert!(receive.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    mem::forget(receive);
    packets
}

#[test]
fn ip_packets_that_are_dropped_drop_their_wakers_unlocked() {
    last_holder("dropped", receiving, |_, packets| drop(packets));
}

#[test]
fn a_read_of_ip_packets_by_another_task_drops_the_first_waker_unlocked() {
    last_holder(
        "read by another",
        |tunnel, waker| (tunnel.ip_packets().unwrap(), waker.clone()),
        |_, (packets, waker)| {
            let mut buffer = [0; 2000];
            let mut receive = pin!(packets.recv(&mut buffer));
            assert!(receive.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            drop(waker);
            assert!(receive.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        },
    );
}

#[test]
fn a_socket_that_another_task_reads_drops_the_first_waker_unlocked() {
    let read = |socket: &UdpSocket, waker: &Waker| {
        let mut buffer = [0; 16];
        let mut read = ReadBuf::new(&mut buffer);
        let mut context = Context::from_waker(waker);
        assert!(socket.poll_recv_from(&mut context, &mut read).is_pending());
    };
    last_holder(
        "read by another",
        move |tunnel, waker| {
            let socket = tunnel.udp_bind(0).unwrap();
            read(&socket, waker);
            socket
        },
        move |_, socket| read(&socket, Waker::noop()),
    );
}

/// Each in a task of its own, as a time limit does it
#[tokio::test(start_paused = true)]
async fn reads_of_ip_packets_that_were_given_up_leave_nothing() {
    let world = World::new(1);
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    let packets = tunnel.ip_packets().unwrap();
    let mut buffer = [0; 2000];
    let mut tasks = Vec::new();
    for _ in 0..2_000 {
        let task = Arc::new(Counts::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut receive = Box::pin(packets.recv(&mut buffer));
        assert!(receive.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop((receive, waker));
        tasks.push(task);
    }
    // the same for room to send: the first 64 packets have it
    let packet = [0x45; 20];
    for _ in 0..2_000 {
        let task = Arc::new(Counts::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut send = Box::pin(packets.send(&packet));
        let _ = send.as_mut().poll(&mut Context::from_waker(&waker));
        drop((send, waker));
        tasks.push(task);
    }
    let left = tasks.iter().filter(|task| Arc::strong_count(task) > 1).count();
    assert_eq!(left, 0, "of {} calls that were given up", tasks.len());
}
