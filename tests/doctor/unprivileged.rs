//! A doctor that may not open a raw socket

use pptp::{
    Client, doctor,
    doctor::{Doctor, Step, Verdict},
    error::Layer,
};
use pptp_testkit::Server;
use pptp_tests::{CLIENT, World, address_of, config};

use super::{all, of};

/// On a host whose programs lack `CAP_NET_RAW`
fn unprivileged(world: &World) -> Doctor {
    let host = world.network.host(CLIENT);
    host.forbid_gre();
    doctor(config(address_of(1)))
        .client_options(Client::builder().memory(host))
        .host_root("/nowhere")
}

#[tokio::test(start_paused = true)]
async fn everything_that_needs_no_raw_socket_is_examined() {
    let world = World::new(20);
    let building = world.building(1);
    let findings = all(unprivileged(&world)).await;
    let steps: Vec<_> = findings.iter().map(|finding| finding.step).collect();
    assert_eq!(steps, Step::ALL);
    let socket = of(&findings, Step::RawSocket);
    assert_eq!((socket.verdict, socket.layer().exit_code()), (Verdict::Failed, 10));
    assert!(socket.seen.contains("CAP_NET_RAW"), "{socket}");
    for step in [Step::Name, Step::Tcp, Step::ControlConnection, Step::Call] {
        assert_eq!(of(&findings, step).verdict, Verdict::Passed, "{step}");
    }
    let control = of(&findings, Step::ControlConnection);
    assert!(control.seen.contains("vendor \"linux\""), "{control}");
    for finding in findings.iter().filter(|finding| finding.step > Step::Call) {
        assert_eq!(finding.verdict, Verdict::Skipped, "{finding}");
        assert_eq!(finding.seen, "needs the raw socket");
    }
    building.idle().await;
    assert_eq!(building.stats().connections, 0, "hung up");
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_gre_is_named_without_a_raw_socket_too() {
    let failed = |findings: &[doctor::Finding]| {
        let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Failed);
        failed.map(|finding| (finding.step, finding.layer())).collect::<Vec<_>>()
    };
    let socket = (Step::RawSocket, Layer::Host);
    let world = World::new(10);
    drop(world.network.host(address_of(1)));
    let findings = all(unprivileged(&world)).await;
    assert_eq!(failed(&findings), [socket, (Step::Tcp, Layer::Tcp)]);
    assert_eq!(findings.len(), Step::ALL.len());

    let world = World::new(10);
    let _building = world.serve(1, Server::builder(1).sessions(0));
    let findings = all(unprivileged(&world)).await;
    assert_eq!(failed(&findings), [socket, (Step::Call, Layer::Call)]);
    assert_eq!(findings.len(), Step::ALL.len());
}
