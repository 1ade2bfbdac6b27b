//! Connections

use super::*;

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
