//! What comes together is dealt with together

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use pptp::{Tunnel, net::TcpStream};
use pptp_testkit::{DEVICE, TcpOptions};
use pptp_tests::World;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::sleep,
};

/// A waker that counts
struct Counting {
    task: Waker,
    wakes: Arc<AtomicU32>,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

/// Reads to the end and counts how often it is woken
async fn read(mut stream: TcpStream, wakes: Arc<AtomicU32>) {
    let mut octets = vec![0; 64 << 10];
    loop {
        let mut buffer = ReadBuf::new(&mut octets);
        let read = poll_fn(|cx| {
            let (task, wakes) = (cx.waker().clone(), Arc::clone(&wakes));
            let waker = Arc::new(Counting { task, wakes }).into();
            Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut buffer)
        });
        if read.await.is_err() || buffer.filled().is_empty() {
            return;
        }
    }
}

/// GRE datagrams that the client has sent
fn sent(tunnel: &Tunnel) -> u64 {
    let gre = tunnel.stats().tunnel.gre;
    gre.sealed + u64::from(gre.acknowledgments_sent)
}

#[tokio::test(start_paused = true)]
async fn eight_segments_are_one_wake_and_one_acknowledgment() {
    const BATCHES: u32 = 20;
    let world = World::new(10);
    let building = world.building(1);
    let listener =
        building.net().tcp_listen((DEVICE, 1000).into(), 1, TcpOptions::default()).unwrap();
    let tunnel = world.connect(&building).await;
    let stream = tunnel.tcp_connect((DEVICE, 1000)).await.unwrap();
    let (mut source, _) = listener.accept().await.unwrap();
    let wakes = Arc::new(AtomicU32::new(0));
    tokio::spawn(read(stream, Arc::clone(&wakes)));
    // until the sender's window is open
    source.write_all(&vec![0; 1 << 20]).await.unwrap();
    sleep(Duration::from_secs(1)).await;

    let eight = vec![0; 8 * (usize::from(tunnel.info().mtu) - 40)];
    let (woken, before) = (wakes.load(Ordering::Relaxed), tunnel.stats().tunnel);
    let sent_before = sent(&tunnel);
    for _ in 0..BATCHES {
        source.write_all(&eight).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(tunnel.stats().tunnel.ip_received - before.ip_received, u64::from(8 * BATCHES));
    assert_eq!(wakes.load(Ordering::Relaxed) - woken, BATCHES);
    assert_eq!(sent(&tunnel) - sent_before, u64::from(BATCHES));
}

#[tokio::test(start_paused = true)]
async fn what_is_written_at_once_leaves_in_one_turn() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let stream = tunnel.tcp_connect((DEVICE, 9)).await.unwrap();
    let before = sent(&tunnel);
    // less than a segment in all, with Nagle's algorithm off: one by one they were ten
    stream.set_nodelay(true).unwrap();
    for number in 0..10 {
        assert_eq!(stream.try_write(&[number; 100]).unwrap(), 100);
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sent(&tunnel) - before, 1);
}
