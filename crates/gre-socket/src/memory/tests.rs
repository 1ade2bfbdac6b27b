use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    num::NonZeroU32,
    time::Duration,
};

use nix::libc::{EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT, EPERM};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use super::{Blocked, Host, Impairment, MemoryStream, Network};
use crate::{DeliveryFailure, GreSocket, Outgoing, ReceiveBatch, SendBatch};

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const C: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const LATENCY: Duration = Duration::from_millis(20);

fn network() -> Network {
    let network = Network::new(1);
    network.set_latency(LATENCY);
    network
}

fn gre(host: &Host) -> GreSocket {
    host.open_gre().into()
}

/// A data packet's header for call 0x1234, and `number`
fn datagram(number: u32) -> Vec<u8> {
    let mut octets = vec![0x30, 0x01, 0x88, 0x0B, 0x00, 0x00, 0x12, 0x34];
    octets.extend_from_slice(&number.to_be_bytes());
    octets
}

fn push(batch: &mut SendBatch, destination: Ipv4Addr, number: u32) {
    let mut packet = batch.take_slot().unwrap();
    packet.reset(12).copy_from_slice(&datagram(number));
    batch.push(Outgoing { packet, destination, source: None, tag: number });
}

/// Sends numbers; returns the tags that failed and why
fn send(
    socket: &mut GreSocket,
    destination: Ipv4Addr,
    numbers: impl IntoIterator<Item = u32>,
) -> Vec<(u32, Option<i32>)> {
    let mut batch = SendBatch::new(8192);
    for number in numbers {
        push(&mut batch, destination, number);
    }
    let mut failed = Vec::new();
    assert!(
        socket.send(&mut batch, |tag, error| failed.push((tag, error.raw_os_error()))).unwrap()
    );
    failed
}

/// The numbers that are there, without waiting
fn take(socket: &mut GreSocket) -> Vec<u32> {
    let mut batch = ReceiveBatch::new();
    let mut numbers = Vec::new();
    while socket.receive(&mut batch).unwrap() > 0 {
        numbers.extend(batch.datagrams().map(|datagram| {
            let number = datagram.gre.last_chunk().unwrap();
            u32::from_be_bytes(*number)
        }));
    }
    numbers
}

fn failures(socket: &mut GreSocket) -> Vec<DeliveryFailure> {
    let mut failures = Vec::new();
    socket.take_failures(|failure| failures.push(failure)).unwrap();
    failures
}

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

fn at(host: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(host, port)
}

/// A connection from A to B: its ends, A's first
async fn connection(network: &Network) -> (MemoryStream, MemoryStream) {
    let listener = network.host(B).listen_tcp(1723).unwrap();
    let host = network.host(A);
    let (ours, theirs) = tokio::join!(host.connect_tcp(at(B, 1723)), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

#[tokio::test(start_paused = true)]
async fn connecting_takes_one_round_trip_and_octets_half_of_one() {
    let network = network();
    let listener = network.host(B).listen_tcp(1723).unwrap();
    let start = Instant::now();
    let mut client = network.host(A).connect_tcp(at(B, 1723)).await.unwrap();
    assert_eq!(start.elapsed(), LATENCY * 2);
    assert_eq!(client.peer_addr(), at(B, 1723));
    client.write_all(b"hello").await.unwrap();

    let (mut server, peer) = listener.accept().await.unwrap();
    assert_eq!(start.elapsed(), LATENCY * 3);
    assert_eq!((peer, server.local_addr()), (client.local_addr(), at(B, 1723)));
    assert_eq!(*peer.ip(), A);
    let mut octets = [0; 5];
    server.read_exact(&mut octets).await.unwrap();
    assert_eq!((&octets, start.elapsed()), (b"hello", LATENCY * 3));
    server.write_all(b"world").await.unwrap();
    client.read_exact(&mut octets).await.unwrap();
    assert_eq!((&octets, start.elapsed()), (b"world", LATENCY * 4));
}

#[tokio::test(start_paused = true)]
async fn connecting_fails_as_the_kernel_has_it() {
    let network = network();
    let a = network.host(A);
    drop(network.host(B).listen_tcp(1723).unwrap());
    let start = Instant::now();
    let refused = a.connect_tcp(at(B, 1723)).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(start.elapsed(), LATENCY * 2);
    let unreachable = a.connect_tcp(at(C, 1723)).await.unwrap_err();
    assert_eq!(unreachable.raw_os_error(), Some(EHOSTUNREACH));
    network.refuse(B, ENETUNREACH);
    let no_route = a.connect_tcp(at(B, 1723)).await.unwrap_err();
    assert_eq!(no_route.raw_os_error(), Some(ENETUNREACH));
    assert_eq!(start.elapsed(), LATENCY * 4, "a missing route is known at once");
}

#[tokio::test(start_paused = true)]
async fn a_listener_dropped_while_somebody_connects_refuses_him() {
    let network = network();
    let (a, listener) = (network.host(A), network.host(B).listen_tcp(1723).unwrap());
    let stop = async {
        sleep(LATENCY + LATENCY / 2).await;
        drop(listener);
    };
    let (connected, ()) = tokio::join!(a.connect_tcp(at(B, 1723)), stop);
    assert_eq!(connected.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_listener_dropped_resets_whom_it_did_not_accept() {
    let network = network();
    let (a, listener) = (network.host(A), network.host(B).listen_tcp(1723).unwrap());
    let mut stream = a.connect_tcp(at(B, 1723)).await.unwrap();
    drop(listener);
    let error = stream.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_port_has_one_listener_and_zero_takes_a_free_one() {
    let host = Network::new(1).host(B);
    let first = host.listen_tcp(1723).unwrap();
    assert_eq!(host.listen_tcp(1723).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(first);
    let again = host.listen_tcp(1723).unwrap();
    let (free, other) = (host.listen_tcp(0).unwrap(), host.listen_tcp(0).unwrap());
    assert_eq!(again.local_addr(), at(B, 1723));
    assert_ne!(free.local_addr(), other.local_addr());
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_end_of_file_after_what_was_written_and_half_closed() {
    let network = network();
    let (mut client, mut server) = connection(&network).await;
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    let error = client.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

    let mut octets = Vec::new();
    server.read_to_end(&mut octets).await.unwrap();
    assert_eq!(octets, b"last words");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    octets.clear();
    client.read_to_end(&mut octets).await.unwrap();
    assert_eq!(octets, b"answer");
}

#[tokio::test(start_paused = true)]
async fn dropping_ends_with_end_of_file_and_then_a_broken_pipe() {
    let network = network();
    let (client, mut server) = connection(&network).await;
    drop(client);
    server.write_all(b"nobody knows yet").await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    let error = server.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn dropping_with_unread_octets_is_a_reset_as_is_reset() {
    let network = network();
    for explicit in [false, true] {
        let (client, mut server) = connection(&network).await;
        if explicit {
            client.reset();
        } else {
            server.write_all(b"unread").await.unwrap();
            sleep(LATENCY).await;
            drop(client);
        }
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = server.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_window_holds_the_writer_until_the_reader_reads() {
    let network = network();
    let (mut client, mut server) = connection(&network).await;
    let octets = vec![7; 200 << 10];
    let mut written = 0;
    while let Ok(count) = timeout(LATENCY, client.write(&octets)).await {
        written += count.unwrap();
    }
    assert_eq!(written, 64 << 10);
    let write = async {
        client.write_all(&octets).await.unwrap();
        drop(client);
    };
    let mut read = Vec::new();
    let (count, ()) = tokio::join!(server.read_to_end(&mut read), write);
    assert_eq!(count.unwrap(), written + octets.len());
}

#[tokio::test(start_paused = true)]
async fn a_writer_held_by_a_full_window_is_woken_when_the_reader_goes() {
    let network = network();
    let (mut client, server) = connection(&network).await;
    let write = async {
        loop {
            if let Err(error) = client.write_all(&[0; 1024]).await {
                return error.kind();
            }
            tokio::task::yield_now().await;
            sleep(Duration::from_millis(1)).await;
        }
    };
    let leave = async {
        sleep(Duration::from_secs(1)).await;
        drop(server);
    };
    let (kind, ()) = tokio::join!(write, leave);
    assert_eq!(kind, io::ErrorKind::ConnectionReset, "it left octets unread");
}

#[tokio::test(start_paused = true)]
async fn an_octet_of_what_is_corrupted_arrives_as_another() {
    let network = network();
    network.set_impairment(Impairment { corrupt_per_mille: 100, ..Impairment::default() });
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    let sent = (0..1000).map(datagram).collect::<Vec<_>>();
    send(&mut a, B, 0..1000);
    sleep(LATENCY).await;
    let (mut batch, mut corrupted, mut index) = (ReceiveBatch::new(), 0, 0);
    while b.receive(&mut batch).unwrap() > 0 {
        for arrived in batch.datagrams() {
            let differ = arrived.gre.iter().zip(&sent[index]).filter(|(a, b)| a != b).count();
            assert!(differ <= 1 && arrived.gre.len() == sent[index].len());
            (corrupted, index) = (corrupted + differ, index + 1);
        }
    }
    assert!(index == 1000 && (60..140).contains(&corrupted), "{corrupted} of {index} at 10 %");
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_swallows_what_is_large_both_ways() {
    let network = network();
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    // an IP header and twelve octets
    for (largest, passes) in [(Some(32), true), (Some(31), false), (None, true)] {
        network.host(B).swallow_gre(largest);
        send(&mut a, B, [1]);
        send(&mut b, A, [2]);
        sleep(LATENCY).await;
        assert_eq!((take(&mut a).len() == 1, take(&mut b).len() == 1), (passes, passes));
    }
}

#[tokio::test(start_paused = true)]
async fn the_two_ways_of_a_round_trip_may_differ() {
    let network = network();
    network.host(A).delay(LATENCY);
    let start = Instant::now();
    let (mut client, mut server) = connection(&network).await;
    // there, back, and the last part of the handshake
    assert_eq!(start.elapsed(), LATENCY * 4);
    server.write_all(b"x").await.unwrap();
    client.read_u8().await.unwrap();
    assert_eq!(start.elapsed(), LATENCY * 6);
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_an_unplugged_host_and_tcp_repeats_it_later() {
    let network = network();
    let (mut a, mut b) = (gre(&network.host(A)), gre(&network.host(B)));
    let (mut client, mut server) = connection(&network).await;
    client.write_all(b"ab").await.unwrap();
    sleep(LATENCY / 2).await;
    network.host(B).unplug();
    let start = Instant::now();
    client.write_all(b"c").await.unwrap();
    client.shutdown().await.unwrap();
    send(&mut a, B, [1]);
    send(&mut b, A, [2]);
    let mut octets = Vec::new();
    let waited = timeout(Duration::from_secs(2), server.read_to_end(&mut octets)).await;
    assert!(waited.is_err() && octets.is_empty(), "also what was on its way");
    assert!(take(&mut a).is_empty() && take(&mut b).is_empty());
    network.host(B).plug_in();
    server.read_to_end(&mut octets).await.unwrap();
    // it was repeated 0.2, 0.6, 1.4 and 3 s after it had been written
    assert_eq!((&*octets, start.elapsed()), (&b"abc"[..], Duration::from_secs(3) + LATENCY));
    send(&mut a, B, [3]);
    sleep(LATENCY).await;
    assert_eq!(take(&mut b), [3]);
}

#[tokio::test(start_paused = true)]
async fn connecting_to_an_unplugged_host_repeats_its_syn() {
    let network = network();
    let _listener = network.host(B).listen_tcp(1723).unwrap();
    network.host(B).unplug();
    let plug_in = async {
        sleep(Duration::from_secs(5)).await;
        network.host(B).plug_in();
    };
    let start = Instant::now();
    let host = network.host(A);
    let (connected, ()) = tokio::join!(host.connect_tcp(at(B, 1723)), plug_in);
    connected.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(7) + LATENCY * 2, "after 0, 1, 3 and 7 s");
    network.host(B).unplug();
    let start = Instant::now();
    let error = host.connect_tcp(at(B, 1723)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_secs(127));
}

#[tokio::test(start_paused = true)]
async fn a_firewall_resets_both_ends() {
    let network = network();
    let (mut client, mut server) = connection(&network).await;
    let reset = async {
        sleep(LATENCY).await;
        network.host(A).reset_connections();
    };
    let (mut piece, mut another) = ([0; 1], [0; 1]);
    let (ours, theirs, ()) =
        tokio::join!(client.read(&mut piece), server.read(&mut another), reset);
    for error in [ours.unwrap_err(), theirs.unwrap_err(), client.write(b"x").await.unwrap_err()] {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_lost_its_power_is_silent_and_then_resets_whoever_speaks_to_it() {
    let network = network();
    for (name, unplugged) in [("gone at once and back", false), ("gone for a while", true)] {
        let (mut client, server) = connection(&network).await;
        let host = network.host(B);
        if unplugged {
            host.unplug();
        }
        host.forget_connections();
        drop(server);
        let mut piece = [0; 1];
        let silence = timeout(Duration::from_hours(1), client.read(&mut piece)).await;
        assert!(silence.is_err(), "{name}: no end of file");
        client.write_all(b"anybody there?").await.unwrap();
        if unplugged {
            let silence = timeout(Duration::from_mins(1), client.read(&mut piece)).await;
            assert!(silence.is_err(), "{name}: not even a reset");
            host.plug_in();
        }
        let error = client.read(&mut piece).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_digest_tells_runs_apart() {
    let run = async |numbers: &'static [u32], pause: Duration, text: &'static [u8]| {
        let network = network();
        network.trace();
        let mut a = gre(&network.host(A));
        send(&mut a, B, numbers.iter().copied());
        let (mut client, _server) = connection(&network).await;
        sleep(pause).await;
        client.write_all(text).await.unwrap();
        network.digest()
    };
    let one = run(&[1, 2], LATENCY, b"x").await;
    assert_eq!(one, run(&[1, 2], LATENCY, b"x").await);
    assert_ne!(one, run(&[2, 1], LATENCY, b"x").await);
    assert_ne!(one, run(&[1, 2], LATENCY * 2, b"x").await);
    assert_ne!(one, run(&[1, 2], LATENCY, b"y").await);
    let hosts = [1, 1, 2].map(|seed| Network::new(seed).host(A));
    let seeds = hosts.clone().map(|host| host.random_seed());
    assert!(seeds[0] == seeds[1] && seeds[0] != seeds[2] && hosts[0].random_seed() != seeds[0]);
}
