//! Raw sockets that were opened before the client
//!
//! Needs root, `unshare` and `PPTP_INTEROP=1`: a network namespace of the test's own.

#![cfg(target_os = "linux")]

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use pptp::{Client, ClientBuilder, Tunnel};
use pptp_testkit::Server;
use pptp_tests::{config, get, namespace::in_namespace};
use tokio::time::timeout;

const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

#[test]
fn each_socket_that_was_handed_over_carries_tunnels_of_its_own() {
    const TEST: &str = "each_socket_that_was_handed_over_carries_tunnels_of_its_own";
    in_namespace(TEST, "true", async {
        let builder = Client::builder().local_address(CLIENT);
        let sockets = (0..3).map(|_| builder.open_raw_socket().expect("root")).collect::<Vec<_>>();
        let client = sockets.into_iter().fold(builder, ClientBuilder::raw_socket);
        let client = client.build().expect("three drivers");
        let server = Server::builder(1).serve(SERVER).await.expect("a server");
        let mut calls = BTreeSet::new();
        let mut tunnels = Vec::new();
        for _ in 0..9 {
            let tunnel = client.connect(config(SERVER)).await.expect("a tunnel");
            assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
            calls.insert(call_id(&tunnel) % 3);
            tunnels.push(tunnel);
        }
        assert_eq!(calls, BTreeSet::from([0, 1, 2]), "each driver has some");
        timeout(Duration::from_secs(5), client.beat()).await.expect("all three").unwrap();
        timeout(Duration::from_secs(11), client.close()).await.expect("the bound");
        timeout(Duration::from_secs(5), server.idle()).await.expect("nothing is left there");
    });
}

/// Our Call ID, from our Outgoing-Call-Request (RFC 2637 §2.7)
fn call_id(tunnel: &Tunnel) -> u16 {
    let record = tunnel.flight_record();
    let ours = record.records().iter().find(|it| it.octets.get(8..10) == Some(&[0, 7]));
    let octets = &ours.expect("it is on record").octets;
    u16::from_be_bytes([octets[12], octets[13]])
}
