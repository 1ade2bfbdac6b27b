//! What comes together is dealt with together

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pptp::Tunnel;
use pptp_test_support::wakes;
use pptp_testkit::{DEVICE, TcpOptions};
use pptp_tests::World;
use tokio::{io::AsyncWriteExt, time::sleep};

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
    let woken = Arc::new(AtomicU32::new(0));
    tokio::spawn(wakes::read(stream, Arc::clone(&woken)));
    // until the sender's window is open
    source.write_all(&vec![0; 1 << 20]).await.unwrap();
    sleep(Duration::from_secs(1)).await;

    let eight = vec![0; 8 * (usize::from(tunnel.info().mtu) - 40)];
    let (woken_before, before) = (woken.load(Ordering::Relaxed), tunnel.stats().tunnel);
    let sent_before = sent(&tunnel);
    for _ in 0..BATCHES {
        source.write_all(&eight).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(tunnel.stats().tunnel.ip_received - before.ip_received, u64::from(8 * BATCHES));
    assert_eq!(woken.load(Ordering::Relaxed) - woken_before, BATCHES);
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
