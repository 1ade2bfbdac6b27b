//! The doctor names the layer at fault, whatever is wrong

#[path = "doctor/knx.rs"]
mod knx;
#[path = "doctor/live.rs"]
mod live;
#[path = "doctor/stream.rs"]
mod stream;
#[path = "doctor/times.rs"]
mod times;
#[path = "doctor/unprivileged.rs"]
mod unprivileged;

use std::{net::Ipv4Addr, time::Duration};

use pptp::{
    TunnelConfig, doctor,
    doctor::{Doctor, Finding, Step, Target, Verdict},
    error::Layer,
};
use pptp_testkit::{Profile, Server, ServerEncryption, ServerOrder, memory::Blocked};
use pptp_tests::{CLIENT, World, address_of, config};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

/// A doctor for this configuration, on a machine of which nothing is known
fn examine(world: &World, config: TunnelConfig) -> Doctor {
    doctor(config).client(world.client.clone()).host_root("/nowhere")
}

async fn all(mut doctor: Doctor) -> Vec<Finding> {
    let mut findings = Vec::new();
    while let Some(finding) = doctor.next().await {
        println!("{finding}");
        findings.push(finding);
    }
    findings
}

/// The finding of this step
fn of(findings: &[Finding], step: Step) -> &Finding {
    findings.iter().find(|finding| finding.step == step).expect("every step is told of")
}

/// Asserts that this step failed, with all before it passed and all behind it skipped, and gives it
fn failed(findings: &[Finding], step: Step, layer: Layer) -> &Finding {
    for finding in findings.iter().filter(|finding| finding.step.layer() != Layer::Host) {
        let expected = match finding.step {
            other if other < step => Verdict::Passed,
            other if other > step => Verdict::Skipped,
            _ => Verdict::Failed,
        };
        assert_eq!(finding.verdict, expected, "{finding}");
    }
    let failed = of(findings, step);
    assert_eq!(failed.layer(), layer);
    assert!(failed.advice.is_some(), "{failed}");
    failed
}

#[tokio::test(start_paused = true)]
async fn a_server_that_works_passes_every_step_in_order() {
    for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
        let world = World::new(20);
        let building = world.serve(1, Server::builder(1).order(order));
        let target = "knx:192.168.1.3".parse().unwrap();
        let findings = all(examine(&world, config(address_of(1))).target(target)).await;
        let steps: Vec<_> = findings.iter().map(|finding| finding.step).collect();
        assert_eq!(steps, Step::ALL);
        for finding in findings.iter().filter(|finding| finding.step.layer() != Layer::Host) {
            assert_eq!(finding.verdict, Verdict::Passed, "{finding}");
        }
        let seen = |step| of(&findings, step).seen.as_str();
        assert!(seen(Step::Tcp).contains("10.99.0.1:1723"));
        assert!(seen(Step::Authentication).ends_with("chosen MS-CHAPv2"));
        assert!(seen(Step::Encryption).ends_with("chosen +H+S (128 bits, stateless)"));
        assert!(seen(Step::Addresses).contains("192.168.1.20"));
        assert!(seen(Step::LargestPacket).starts_with("1396 octets"));
        assert!(seen(Step::Target).ends_with("is the KNXnet/IP device \"building-1\""));
        let round_trip = Duration::from_millis(40);
        for step in [Step::Tcp, Step::ControlConnection, Step::Call] {
            assert_eq!(of(&findings, step).took, round_trip, "{step}, {order:?}");
        }
        building.idle().await;
        assert!(building.stats().ended[0].is_clean(), "{:?}", building.stats().ended);
    }
}

#[tokio::test(start_paused = true)]
async fn who_the_server_is_and_how_much_gre_passed_is_told() {
    let world = World::new(10);
    let _building = world.building(1);
    let findings = all(examine(&world, config(address_of(1)))).await;
    let control = &of(&findings, Step::ControlConnection).seen;
    assert!(control.contains("vendor \"linux\", host name \"local\""), "{control}");
    for step in [Step::GreOut, Step::GreIn] {
        let seen = &of(&findings, step).seen;
        let count: u32 = seen.split(' ').next().unwrap().parse().unwrap();
        assert!(count >= 2, "{seen}");
    }
    let target = of(&findings, Step::Target);
    assert_eq!((target.verdict, &*target.seen), (Verdict::Skipped, "none was named"));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_cannot_be_dialled_is_told_before_anything_else() {
    let world = World::new(10);
    let findings = all(examine(&world, TunnelConfig::new("server", "", "secret"))).await;
    let finding = failed(&findings, Step::Configuration, Layer::Configuration);
    assert_eq!(finding.layer().exit_code(), 2);
    assert!(findings[1..].iter().all(|finding| finding.verdict == Verdict::Skipped));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_is_the_names_fault() {
    let world = World::new(10);
    let findings = all(examine(&world, TunnelConfig::new("no.such.host", "u", "p"))).await;
    failed(&findings, Step::Name, Layer::Name);
}

#[tokio::test(start_paused = true)]
async fn a_closed_port_and_a_host_that_is_not_there_are_tcps() {
    let world = World::new(10);
    let findings = all(examine(&world, config(address_of(9)))).await;
    assert!(failed(&findings, Step::Tcp, Layer::Tcp).seen.starts_with("TcpFailed"));
    drop(world.network.host(address_of(9)));
    let findings = all(examine(&world, config(address_of(9)))).await;
    assert!(failed(&findings, Step::Tcp, Layer::Tcp).seen.starts_with("TcpRefused"));
}

#[tokio::test(start_paused = true)]
async fn a_web_server_and_a_silent_one_are_no_control_connection() {
    let world = World::new(10);
    let listener = world.network.host(address_of(9)).listen_tcp(1723).unwrap();
    let servers = tokio::spawn(async move {
        let (mut web, _) = listener.accept().await.unwrap();
        web.read_exact(&mut [0; 16]).await.unwrap();
        web.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let silent = listener.accept().await;
        sleep(Duration::from_mins(1)).await;
        drop((web, silent));
    });
    let findings = all(examine(&world, config(address_of(9)))).await;
    let web = failed(&findings, Step::ControlConnection, Layer::ControlConnection);
    assert!(web.seen.contains("HTTP/1.1"), "{web}");
    let findings = all(examine(&world, config(address_of(9)))).await;
    let silent = failed(&findings, Step::ControlConnection, Layer::ControlConnection);
    assert!(silent.seen.starts_with("NoControlReply"), "{silent}");
    servers.abort();
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_the_calls_fault_with_its_codes() {
    let world = World::new(10);
    let _building = world.serve(1, Server::builder(1).sessions(0));
    let findings = all(examine(&world, config(address_of(1)))).await;
    let finding = failed(&findings, Step::Call, Layer::Call);
    let codes = finding.error.as_ref().unwrap().codes();
    assert_eq!((codes[0].number, &*codes[0].name), (4, "Busy"), "{codes:?}");
}

#[tokio::test(start_paused = true)]
async fn gre_that_is_lost_is_told_by_its_direction() {
    let world = World::new(10);
    let building = world.building(1);
    let host = world.network.host(CLIENT);
    host.block_gre(Blocked::Inbound);
    let findings = all(examine(&world, config(address_of(1)))).await;
    let inbound = failed(&findings, Step::GreIn, Layer::Gre);
    assert!(inbound.seen.contains("5 datagrams sent, 0 datagrams received"), "{inbound}");
    assert_eq!(inbound.took, Duration::from_secs(10));
    building.idle().await;

    host.block_gre(Blocked::Outbound);
    let findings = all(examine(&world, config(address_of(1)))).await;
    let outbound = of(&findings, Step::GreOut);
    assert_eq!((outbound.verdict, outbound.layer()), (Verdict::Failed, Layer::Gre), "{outbound}");
    assert_eq!(of(&findings, Step::GreIn).verdict, Verdict::Passed);
    assert_eq!(of(&findings, Step::LinkControl).verdict, Verdict::Skipped);
}

/// Neither the advice for a blocked protocol 47 nor that for a NAT that changes Call IDs
#[tokio::test(start_paused = true)]
async fn gre_that_is_not_the_servers_or_not_pptps_is_told_as_what_it_is() {
    for (profile, seen, advice) in [
        (
            Profile::GreFromElsewhere,
            "GreFromElsewhere: GRE of this call arrives from 10.99.0.250, not from 10.99.0.1",
            "two lines",
        ),
        (Profile::GreChecksums, "which carry a checksum", "switch checksums of GRE off"),
    ] {
        let world = World::new(10);
        let _building = world.serve(1, Server::builder(1).profile(profile));
        let findings = all(examine(&world, config(address_of(1)))).await;
        let inbound = failed(&findings, Step::GreIn, Layer::Gre);
        assert!(inbound.seen.contains(seen), "{inbound}");
        assert!(inbound.advice.as_deref().is_some_and(|it| it.contains(advice)), "{inbound}");
        assert!(!inbound.to_string().contains("NAT"), "{inbound}");
        assert_eq!(of(&findings, Step::GreOut).verdict, Verdict::Passed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_without_eap_is_told_with_the_method_that_was_refused() {
    let world = World::new(10);
    let _building = world.serve(1, Server::builder(1).profile(Profile::EapFirst));
    let findings = all(examine(&world, config(address_of(1)))).await;
    let authentication = of(&findings, Step::Authentication);
    assert_eq!(authentication.verdict, Verdict::Passed, "{authentication}");
    let again = "dialled again without EAP, where it wanted EAP-TLS";
    assert!(authentication.seen.contains(again), "{authentication}");
}

/// The findings come as they happen: in time to change what is to be found
#[tokio::test(start_paused = true)]
async fn a_packet_filter_on_this_machine_is_named() {
    let world = World::new(10);
    let _building = world.building(1);
    let mut doctor = examine(&world, config(address_of(1)));
    let mut findings = Vec::new();
    while let Some(finding) = doctor.next().await {
        if finding.step == Step::ControlConnection {
            world.network.refuse(address_of(1), EPERM);
        }
        findings.push(finding);
    }
    let out = of(&findings, Step::GreOut);
    assert_eq!((out.verdict, out.layer()), (Verdict::Failed, Layer::Gre), "{out}");
    let advice = out.advice.as_deref().unwrap();
    assert!(advice.contains("this machine's own packet filter"), "{advice}");
    assert_eq!(of(&findings, Step::LinkControl).verdict, Verdict::Skipped);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_authentications_with_its_three_causes() {
    let world = World::new(10);
    let building = world.building(1);
    let wrong = TunnelConfig::new(address_of(1).to_string(), "testuser", "hunter2");
    let findings = all(examine(&world, wrong)).await;
    let finding = failed(&findings, Step::Authentication, Layer::Authentication);
    assert!(finding.seen.contains("691") && finding.seen.contains("offered MS-CHAPv2"));
    assert!(finding.advice.as_deref().is_some_and(|advice| advice.contains("one of three")));
    for finding in &findings {
        assert!(!format!("{finding} {finding:?}").contains("hunter2"), "the password is told");
    }
    building.idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_encrypt_is_encryptions() {
    for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
        let world = World::new(10);
        let builder = Server::builder(1).order(order).encryption(ServerEncryption::None);
        let _building = world.serve(1, builder);
        let findings = all(examine(&world, config(address_of(1)))).await;
        failed(&findings, Step::Encryption, Layer::Encryption);
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_swallows_large_packets_is_found_to_the_octet() {
    let world = World::new(10);
    let _building = world.building(1);
    world.network.host(CLIENT).drop_large_gre(Some(1000));
    let began = Instant::now();
    let findings = all(examine(&world, config(address_of(1)))).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let finding = failed(&findings[..17], Step::LargestPacket, Layer::Path);
    // IP 20, GRE 16 with an acknowledgment, PPP 4, MPPE 2, inner protocol 2
    assert!(finding.seen.starts_with("956 octets pass"), "{finding}");
    assert!(finding.advice.as_deref().is_some_and(|it| it.ends_with("set the MRU to 960")));
    let narrower = config(address_of(1)).mru(960);
    let findings = all(examine(&world, narrower)).await;
    assert_eq!(of(&findings, Step::LargestPacket).verdict, Verdict::Passed, "as it advised");
}

#[tokio::test(start_paused = true)]
async fn targets_that_cannot_be_reached_are_told_apart() {
    let world = World::new(10);
    let _building = world.building(1);
    let targets = [
        ("tcp:192.168.1.3:80", Verdict::Passed, "accepts"),
        ("tcp:knx.lan:80", Verdict::Passed, "accepts"),
        ("tcp:192.168.1.3:81", Verdict::Failed, "connection refused"),
        ("tcp:192.168.1.77:80", Verdict::Failed, "no route to host"),
        ("tcp:192.168.1.254:80", Verdict::Failed, "timed out"),
        ("tcp:no.such.lan:80", Verdict::Failed, "no.such.lan"),
        ("udp:192.168.1.3:7=hello", Verdict::Passed, "answers with 5 octets"),
        ("udp:192.168.1.3:19=9000", Verdict::Passed, "answers with 9000 octets"),
        ("udp:192.168.1.3:8=hello", Verdict::Failed, "connection refused"),
        ("udp:192.168.1.254:7=hello", Verdict::Failed, "timed out"),
        ("udp:192.168.1.254:7", Verdict::Warned, "which UDP is free to do"),
        ("ping:192.168.1.3", Verdict::Passed, "answers after 20 ms"),
        ("ping:knx.lan", Verdict::Passed, "answers after 20 ms"),
        ("ping:192.168.1.77", Verdict::Failed, "no route to host"),
        ("knx:192.168.1.3", Verdict::Passed, "answers to our inner address"),
        ("knx:192.168.1.254", Verdict::Failed, "timed out"),
        ("knx:192.168.1.3:7", Verdict::Failed, "no KNXnet/IP"),
    ];
    for (text, verdict, seen) in targets {
        let target: Target = text.parse().unwrap();
        let began = Instant::now();
        let findings = all(examine(&world, config(address_of(1))).target(target)).await;
        let finding = of(&findings, Step::Target);
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.seen.contains(seen), "{finding}");
        assert_eq!(finding.advice.is_some(), verdict != Verdict::Passed, "{finding}");
        assert_eq!(finding.layer().exit_code(), 21);
        assert!(began.elapsed() < Duration::from_secs(25), "{text}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_lost_on_the_way_is_told_as_that() {
    let world = World::new(10);
    let building = world.building(1);
    let target = "tcp:192.168.1.254:80".parse().unwrap();
    let mut doctor = examine(&world, config(address_of(1))).target(target);
    let mut findings = Vec::new();
    while let Some(finding) = doctor.next().await {
        if finding.step == Step::LargestPacket {
            building.hang_up_all();
        }
        findings.push(finding);
    }
    let lost = findings.iter().find(|finding| finding.verdict == Verdict::Failed).unwrap();
    assert_eq!((lost.step, lost.layer()), (Step::LinkControl, Layer::Link), "{lost}");
    assert_eq!(of(&findings, Step::Target).verdict, Verdict::Skipped);
}

#[tokio::test(start_paused = true)]
async fn a_doctor_that_is_sent_away_hangs_up() {
    for step in [Step::Call, Step::LinkControl, Step::Authentication, Step::LargestPacket] {
        let world = World::new(20);
        let building = world.building(1);
        let mut doctor = examine(&world, config(address_of(1)));
        while doctor.next().await.is_some_and(|finding| finding.step != step) {}
        drop(doctor);
        world.client.wait_idle().await;
        building.idle().await;
        assert_eq!(building.stats().connections, 0, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_tunnels_of_the_client_are_neither_waited_for_nor_ended() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let findings = all(examine(&world, config(address_of(1)))).await;
    assert_eq!(of(&findings, Step::LargestPacket).verdict, Verdict::Passed);
    let wrong = TunnelConfig::new(address_of(1).to_string(), "testuser", "wrong");
    failed(&all(examine(&world, wrong)).await, Step::Authentication, Layer::Authentication);
    tunnel.ping(Ipv4Addr::new(192, 168, 1, 3), Duration::from_secs(1)).await.unwrap();
}

/// What a packet filter that refuses has a send fail with
const EPERM: i32 = 1;

/// The device cuts its answer in two and the router the first of them again: 1396, 124 and 548 octets
///
/// The first is too large for the path, the others pass. The question is asked twice.
#[tokio::test(start_paused = true)]
async fn an_answer_of_which_fragments_are_lost_is_told_as_that() {
    let world = World::new(10);
    let _building = world.building(1);
    world.network.host(CLIENT).drop_large_gre(Some(1000));
    let target = "udp:192.168.1.3:19=2000".parse().unwrap();
    let findings = all(examine(&world, config(address_of(1))).target(target)).await;
    let finding = of(&findings, Step::Target);
    assert_eq!(finding.verdict, Verdict::Failed);
    let words = "timed out; 4 fragments came, but no whole answer";
    assert!(finding.seen.ends_with(words), "{finding}");
    let advice = finding.advice.as_deref().unwrap();
    assert!(advice.contains("larger than the tunnel's MTU"), "{advice}");
}
