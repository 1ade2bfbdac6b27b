//! Datagrams

use super::*;

#[tokio::test(start_paused = true)]
async fn a_datagram_takes_one_latency_and_names_its_source() {
    let network = network();
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    let start = Instant::now();
    send(&mut a, B, [7]);
    assert_eq!(take(&mut b), [], "not there yet");
    b.readable().await.unwrap();
    assert_eq!(start.elapsed(), LATENCY);
    let mut batch = ReceiveBatch::new();
    assert_eq!(b.receive(&mut batch).unwrap(), 1);
    let datagram = batch.datagrams().next().unwrap();
    assert_eq!((datagram.source, datagram.destination), (A, B));
    assert_eq!(datagram.gre, &self::datagram(7)[..]);
}

#[tokio::test(start_paused = true)]
async fn readable_wakes_for_what_is_sent_while_it_waits() {
    let network = network();
    let (mut a, b) = (gre(&network.host(A)), gre(&network.host(B)));
    let start = Instant::now();
    let sender = async {
        sleep(Duration::from_secs(1)).await;
        send(&mut a, B, [1]);
    };
    let (woken, ()) = tokio::join!(b.readable(), sender);
    woken.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1) + LATENCY);
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_without_jitter_and_more_than_a_batch_arrives() {
    let network = network();
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    send(&mut a, B, 0..200);
    sleep(LATENCY).await;
    assert_eq!(take(&mut b), (0..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_exceeds_the_queue_is_dropped_and_counted() {
    let network = network();
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    send(&mut a, B, 0..5000);
    sleep(LATENCY).await;
    assert_eq!(take(&mut b), (0..4096).collect::<Vec<_>>());
    assert_eq!(b.kernel_drops(), Some(5000 - 4096));
}

#[tokio::test(start_paused = true)]
async fn every_socket_of_a_host_receives_its_gre() {
    let network = network();
    let host = network.host(B);
    let (mut a, mut first, mut second) = (gre(&network.host(A)), gre(&host), gre(&host));
    send(&mut a, B, [1]);
    drop(gre(&host));
    sleep(LATENCY).await;
    assert_eq!((take(&mut first), take(&mut second)), (vec![1], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_destination_fails_under_its_tag_and_the_others_arrive() {
    let network = network();
    let (mut a, mut b, mut c) =
        (gre(&network.host(A)), gre(&network.host(B)), gre(&network.host(C)));
    network.refuse(B, EPERM);
    let mut batch = SendBatch::new(100);
    for number in 0..100 {
        push(&mut batch, if number % 10 == 3 { B } else { C }, number);
    }
    let mut failed = Vec::new();
    a.send(&mut batch, |tag, error| failed.push((tag, error.raw_os_error().unwrap()))).unwrap();
    assert_eq!(failed, (0..10).map(|n| (n * 10 + 3, EPERM)).collect::<Vec<_>>());
    sleep(LATENCY).await;
    assert_eq!(take(&mut c), (0..100).filter(|n| n % 10 != 3).collect::<Vec<_>>());

    network.allow(B);
    assert_eq!(send(&mut a, B, [1]), []);
    sleep(LATENCY).await;
    assert_eq!(take(&mut b), [1]);
}

#[tokio::test]
async fn a_source_that_is_not_the_hosts_is_unreachable() {
    let network = network();
    let mut a = gre(&network.host(A));
    let mut batch = SendBatch::new(2);
    for (tag, source) in [(1, A), (2, C)] {
        let packet = batch.take_slot().unwrap();
        batch.push(Outgoing { packet, destination: B, source: Some(source), tag });
    }
    let mut failed = Vec::new();
    a.send(&mut batch, |tag, error| failed.push((tag, error.raw_os_error()))).unwrap();
    assert_eq!(failed, [(2, Some(ENETUNREACH))]);
}

#[tokio::test(start_paused = true)]
async fn blocked_gre_vanishes_in_the_direction_said() {
    let network = network();
    let host = network.host(A);
    let (mut a, mut b) = (gre(&host), gre(&network.host(B)));
    for (blocked, out, back) in [
        (Blocked::Inbound, true, false),
        (Blocked::Outbound, false, true),
        (Blocked::Both, false, false),
        (Blocked::Nothing, true, true),
    ] {
        host.block_gre(blocked);
        assert_eq!((send(&mut a, B, [1]), send(&mut b, A, [2])), (vec![], vec![]));
        sleep(LATENCY).await;
        assert_eq!((take(&mut b).len() == 1, take(&mut a).len() == 1), (out, back), "{blocked:?}");
        assert!(failures(&mut a).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_no_gre_is_reported_after_a_round_trip() {
    let network = network();
    network.host(B);
    let mut a = gre(&network.host(A));
    let start = Instant::now();
    send(&mut a, B, [1]);
    send(&mut a, C, [2]);
    assert!(failures(&mut a).is_empty());
    a.readable().await.unwrap();
    assert_eq!(start.elapsed(), LATENCY * 2);
    let reports: Vec<_> = failures(&mut a)
        .into_iter()
        .map(|f| (f.destination, f.peer_call_id, f.icmp, f.error.raw_os_error()))
        .collect();
    assert_eq!(
        reports,
        [
            (B, Some(0x1234), (3, 2), Some(ENOPROTOOPT)),
            (C, Some(0x1234), (3, 1), Some(EHOSTUNREACH))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stalled_socket_keeps_its_datagrams_in_order() {
    let network = network();
    let host = network.host(A);
    let (mut a, mut b) = (gre(&host), gre(&network.host(B)));
    host.stall_gre(true);
    let mut batch = SendBatch::new(3);
    (0..3).for_each(|number| push(&mut batch, B, number));
    assert!(!a.send(&mut batch, |_, _| panic!("nothing failed")).unwrap());
    assert_eq!((batch.len(), batch.has_room()), (3, false));
    assert!(timeout(LATENCY, a.writable()).await.is_err());
    let lift = async {
        sleep(LATENCY).await;
        host.stall_gre(false);
    };
    tokio::join!(a.writable(), lift).0.unwrap();
    assert!(a.send(&mut batch, |_, _| panic!("nothing failed")).unwrap());
    sleep(LATENCY).await;
    assert_eq!(take(&mut b), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_line_sends_at_its_rate_and_takes_a_batch_ahead() {
    let network = network();
    let host = network.host(A);
    // ten datagrams of 12 octets and their IP headers in a millisecond
    host.limit_gre(NonZeroU32::new(320_000));
    let (mut a, mut b) = (gre(&host), gre(&network.host(B)));
    let start = Instant::now();
    let mut batch = SendBatch::new(4096);
    (0..4096).for_each(|number| push(&mut batch, B, number));
    assert!(!a.send(&mut batch, |_, _| panic!("nothing failed")).unwrap());
    assert_eq!(batch.len(), 4096 - 3000, "64 datagrams of 1500 octets are 3000 of 32");
    a.writable().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(150), "when half of it has left");
    sleep(LATENCY).await;
    assert_eq!(take(&mut b), (0..1500).collect::<Vec<_>>());
    assert!(a.send(&mut batch, |_, _| panic!("nothing failed")).unwrap());
    host.limit_gre(None);
    send(&mut a, B, [9999]);
    sleep(LATENCY).await;
    assert!(take(&mut b).contains(&9999), "the line is no more");
}

#[tokio::test(start_paused = true)]
async fn a_router_loses_what_its_queue_has_no_room_for() {
    let network = network();
    let host = network.host(A);
    // a datagram of 12 octets and its IP header in a millisecond
    host.route_gre(NonZeroU32::new(32_000).unwrap(), Duration::from_millis(100));
    let (mut a, mut b) = (gre(&host), gre(&network.host(B)));
    send(&mut a, B, 0..1000);
    sleep(LATENCY + Duration::from_millis(200)).await;
    assert_eq!(take(&mut b), (0..=100).collect::<Vec<_>>(), "one on the line, 100 ms behind it");
    send(&mut a, B, [1000]);
    sleep(LATENCY + Duration::from_millis(1)).await;
    assert_eq!(take(&mut b), [1000], "the queue is empty again");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_up_is_overtaken_and_arrives() {
    let network = network();
    let hold = (Duration::from_millis(1), Duration::from_millis(3));
    network.set_impairment(Impairment { held_per_mille: 20, hold, ..Impairment::default() });
    let host = network.host(A);
    host.limit_gre(NonZeroU32::new(64_000));
    let (mut a, mut b) = (gre(&host), gre(&network.host(B)));
    send(&mut a, B, 0..1000);
    sleep(LATENCY + Duration::from_millis(503)).await;
    let arrived = take(&mut b);
    let late = arrived.iter().zip(0..).filter(|(number, at)| **number < *at).count();
    // one datagram in half a millisecond
    let farthest = arrived.iter().zip(0_u32..).map(|(number, at)| at.saturating_sub(*number)).max();
    assert_eq!(arrived.len(), 1000);
    assert!((10..40).contains(&late), "{late} of 1000 late at 2 %");
    assert!(farthest.is_some_and(|positions| (2..=7).contains(&positions)), "{farthest:?}");
}

async fn impaired(seed: u64) -> Vec<u32> {
    let network = Network::new(seed);
    network.set_latency(LATENCY);
    let jitter = Duration::from_millis(5);
    network.set_impairment(Impairment {
        jitter,
        loss_per_mille: 100,
        duplicate_per_mille: 50,
        ..Impairment::default()
    });
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    send(&mut a, B, 0..1000);
    sleep(LATENCY + jitter).await;
    take(&mut b)
}

#[tokio::test(start_paused = true)]
async fn impairment_loses_doubles_and_reorders_as_the_seed_says() {
    let arrived = impaired(1).await;
    let distinct = arrived.iter().collect::<std::collections::BTreeSet<_>>().len();
    assert!((850..950).contains(&distinct), "{distinct} of 1000 at 10 % loss");
    let doubled = arrived.len() - distinct;
    assert!((20..80).contains(&doubled), "{doubled} doubled");
    assert!(!arrived.is_sorted());
    assert_eq!(arrived, impaired(1).await);
    assert_ne!(arrived, impaired(2).await);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_in_a_pause_is_there_afterwards() {
    let network = network();
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    b.pause();
    send(&mut a, B, 0..3);
    assert!(timeout(Duration::from_secs(1), b.readable()).await.is_err());
    assert_eq!(take(&mut b), []);
    send(&mut b, A, [9]);
    sleep(LATENCY).await;
    assert_eq!(take(&mut a), [9], "sending goes on");
    b.resume().unwrap();
    b.readable().await.unwrap();
    assert_eq!(take(&mut b), [0, 1, 2]);
}
