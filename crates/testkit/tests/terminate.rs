//! A server that ends its clients' links with a code: no packet follows, as in the Closing state of RFC 1661

use std::{net::Ipv4Addr, time::Duration};

use pptp::{Client, TunnelConfig};
use pptp_testkit::{DEVICE, Server, memory};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep},
};

#[tokio::test(start_paused = true)]
async fn a_client_is_told_the_code_whatever_it_was_doing() {
    let cases = [0, 20, 60, 500].into_iter().flat_map(|wait| {
        [false, true]
            .into_iter()
            .flat_map(move |proves| [false, true].map(|writes| (wait, proves, writes)))
    });
    for (wait, proves, writes) in cases {
        let network = memory::Network::new(0);
        network.set_latency(Duration::from_millis(20));
        let host = network.host(Ipv4Addr::new(10, 99, 1, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let server =
            Server::builder(1).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 1)).unwrap();
        let config = TunnelConfig::new("10.99.0.1", "testuser", "test123").path_proof(proves);
        let tunnel = client.connect(config).await.unwrap();
        let mut stream = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
        sleep(Duration::from_millis(wait)).await;
        let begun = Instant::now();
        server.terminate_all(691);
        if writes {
            stream.write_all(b"x").await.unwrap();
        }
        let reason = tunnel.closed().await;
        let took = begun.elapsed();
        assert_eq!(reason.name(), "AuthFailed", "{wait} ms, {proves}, {writes}: {reason}");
        assert!(took < Duration::from_secs(2), "{wait} ms, {proves}, {writes}: {took:?}");
    }
}
