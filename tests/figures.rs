//! What a tunnel tells of itself in figures

use std::time::Duration;

use pptp::stats::RoundTripTime;
use pptp_testkit::DEVICE;
use pptp_tests::World;
use tokio::time::{Instant, sleep};

const ROUND_TRIP: Duration = Duration::from_millis(20);

fn all(times: RoundTripTime) -> [Option<Duration>; 3] {
    [times.last(), times.least(), times.smoothed()]
}

#[tokio::test(start_paused = true)]
async fn octets_packets_and_the_last_receipt_are_told() {
    let world = World::new(10);
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    tunnel.reachable().await.unwrap();
    let before = tunnel.stats();
    assert_eq!((before.tunnel.ip_octets_sent, before.tunnel.ip_octets_received), (0, 0));
    assert!(before.stack.is_none(), "nothing has used it");

    let socket = tunnel.udp_bind(0).unwrap();
    socket.send_to(&[7; 100], (DEVICE, 7)).await.unwrap();
    let (length, _) = socket.recv_from(&mut [0; 200]).await.unwrap();
    let heard = Instant::now();
    assert_eq!(length, 100, "the device sends it back");
    let stats = tunnel.stats();
    let of_tunnel = stats.tunnel;
    assert_eq!((of_tunnel.ip_sent, of_tunnel.ip_octets_sent), (1, 128), "with 28 of headers");
    assert_eq!((of_tunnel.ip_received, of_tunnel.ip_octets_received), (1, 128));
    assert_eq!(of_tunnel.last_received, Some(heard.into_std()));
    let of_stack = stats.stack.expect("it was used");
    assert_eq!((of_stack.packets_out, of_stack.packets_in), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn round_trips_of_each_kind_of_question_are_told() {
    let world = World::new(10);
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    tunnel.reachable().await.unwrap();
    let stats = tunnel.stats();
    assert_eq!(all(stats.ping()), [Some(ROUND_TRIP); 3], "the path was proven by one");
    assert_eq!(all(stats.lcp_echo()), [Some(ROUND_TRIP); 3], "one was asked for beside it");
    assert_eq!(all(stats.control_echo()), [None; 3]);

    // idle: LCP asks after 30 s of silence, the control connection after 60 s; the server's own questions end
    // a silence as well, so that not each of these times has a question of ours
    sleep(Duration::from_secs(200)).await;
    let stats = tunnel.stats();
    assert_eq!(all(stats.lcp_echo()), [Some(ROUND_TRIP); 3]);
    assert_eq!(all(stats.control_echo()), [Some(ROUND_TRIP); 3]);
}
