//! Servers that are special in their GRE

use std::time::Duration;

use pptp_testkit::{Control, Server, ServerBuilder};
use pptp_tests::{World, upload};

/// Octets of an upload
const UPLOAD: usize = 50_000_000;

async fn upload_to(builder: ServerBuilder, octets: &[u8]) -> (Duration, pptp::Stats) {
    let world = World::new(10);
    let building = world.serve(1, builder);
    let tunnel = world.connect(&building).await;
    let took = upload(&tunnel, octets).await.expect("sent");
    (took, tunnel.stats())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_acknowledges_does_not_slow_an_upload() {
    let octets: Vec<u8> = (0..UPLOAD).map(|i| u8::try_from(i % 251).expect("below 256")).collect();
    // less than TCP's window of 46 packets, so that it is GRE's that matters
    let control = Control { receive_window: Some(16), ..Control::default() };
    let builder = Server::builder(1).control(control);
    let (acknowledged, with) = upload_to(builder.clone(), &octets).await;
    let (silent, without) = upload_to(builder.never_acknowledges(), &octets).await;
    println!("50 MB in {acknowledged:?}; never acknowledged in {silent:?}");
    assert!(with.tunnel.gre.acknowledgments_taken > 500);
    assert_eq!(without.tunnel.gre.acknowledgments_taken, 0, "it is never acknowledged");
    assert!(silent.mul_f64(0.9) <= acknowledged, "{silent:?} against {acknowledged:?}");
}
