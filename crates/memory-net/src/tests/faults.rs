//! Faults of a network, its datagrams and its connections

use super::*;

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
        network.host(B).drop_large_gre(largest);
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
