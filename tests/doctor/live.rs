//! The doctor on a tunnel that is up

use std::time::Duration;

use pptp::{
    doctor::{Step, Target, Verdict},
    error::Layer,
};
use pptp_testkit::{BLACK_HOLE, DEVICE, Deafness, Faults, Muteness, ROUTER, Server};
use pptp_tests::{World, address_of, config};
use tokio::time::{Instant, timeout};

use super::{all, examine, of};

const SECOND: Duration = Duration::from_secs(1);

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_up_is_examined_inside_and_stays_up() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    for (target, verdict) in [
        (Some(target("knx:192.168.1.3")), Verdict::Passed),
        (Some(target("tcp:192.168.1.3:81")), Verdict::Failed),
        (None, Verdict::Skipped),
    ] {
        let began = Instant::now();
        let findings = all(tunnel.doctor(target)).await;
        let steps: Vec<_> = findings.iter().map(|finding| finding.step).collect();
        assert_eq!(steps, [Step::LargestPacket, Step::Target]);
        assert_eq!(findings[0].verdict, Verdict::Passed);
        let ping = "pass to 192.168.1.3 and back; the tunnel's own ping was answered";
        let router = "pass to 192.168.1.1 and back; the tunnel's own ping was answered";
        let expected = if verdict == Verdict::Skipped { router } else { ping };
        assert!(findings[0].seen.ends_with(expected), "{}", findings[0]);
        assert_eq!(findings[1].verdict, verdict, "{}", findings[1]);
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    }
    tunnel.ping(DEVICE, SECOND).await.expect("up as before");
    assert_eq!((building.stats().up, building.stats().ended.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_doctor_of_a_live_tunnel_that_is_sent_away_leaves_it_up() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let mut doctor = tunnel.doctor(target("tcp:192.168.1.254:80"));
    assert_eq!(doctor.next().await.map(|finding| finding.step), Some(Step::LargestPacket));
    assert!(timeout(SECOND, doctor.next()).await.is_err(), "the target is silent");
    drop(doctor);
    tunnel.ping(DEVICE, SECOND).await.expect("up as before");
    assert_eq!(building.stats().up, 1);
}

/// A tunnel that has died in this way is told as that: the target has no part in it
#[tokio::test(start_paused = true)]
async fn a_live_tunnel_through_which_nothing_passes_is_told_as_encryption() {
    let deaf = |deafness| Faults { deaf: Some(deafness), ..Faults::default() };
    let mute = |muteness| Faults { mute: Some(muteness), ..Faults::default() };
    let table = [
        deaf(Deafness::ResetRequests),
        deaf(Deafness::RejectsMppe),
        deaf(Deafness::RejectsRandom),
        deaf(Deafness::Silent),
        mute(Muteness::Garbled),
        mute(Muteness::Silent),
    ];
    for (faults, text) in table.iter().flat_map(|faults| {
        ["knx:192.168.1.3", "tcp:192.168.1.3:80", "udp:192.168.1.3:7"].map(|text| (faults, text))
    }) {
        let world = World::new(10);
        let building = world.building(1);
        let tunnel = world.connect(&building).await;
        tunnel.ping(ROUTER, SECOND).await.expect("a living tunnel");
        building.set_faults(*faults);
        let began = Instant::now();
        let findings = all(tunnel.doctor(target(text))).await;
        assert!(began.elapsed() < 30 * SECOND, "{:?}", began.elapsed());
        let failed: Vec<_> =
            findings.iter().filter(|finding| finding.verdict == Verdict::Failed).collect();
        let [failed] = failed[..] else { panic!("{faults:?}, {text}: {failed:?}") };
        assert_eq!((failed.step, failed.layer()), (Step::Encryption, Layer::Encryption));
        let name = failed.error.as_ref().map(pptp::TunnelError::name);
        assert!(matches!(name, Some("NothingPasses" | "WrongKey")), "{failed}");
        assert_eq!(of(&findings, Step::Target).verdict, Verdict::Skipped, "not the target's fault");
        let findings = all(tunnel.doctor(target(text))).await;
        assert_eq!(findings[0].layer(), Layer::Encryption, "a tunnel that has ended is told too");
    }
}

/// A server that is deaf from the start has never proven anything: what it says itself tells it
#[tokio::test(start_paused = true)]
async fn a_connect_to_a_deaf_server_ends_as_encryption() {
    for deafness in [Deafness::ResetRequests, Deafness::RejectsMppe, Deafness::RejectsRandom] {
        let world = World::new(10);
        let faults = Faults { deaf: Some(deafness), ..Faults::default() };
        let _building = world.serve(1, Server::builder(1).faults(faults));
        let doctor = examine(&world, config(address_of(1)));
        let findings = all(doctor.target(target("knx:192.168.1.3"))).await;
        let failed = findings.iter().find(|finding| finding.verdict == Verdict::Failed);
        let failed = failed.expect("it is found");
        assert_eq!((failed.step, failed.layer()), (Step::Encryption, Layer::Encryption));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_hung_up_meanwhile_is_told_with_its_reason() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let mut doctor = tunnel.doctor(target("tcp:192.168.1.254:80"));
    doctor.next().await.expect("the path");
    building.hang_up_all();
    let findings = all(doctor).await;
    assert_eq!((findings[0].step, findings[0].verdict), (Step::LinkControl, Verdict::Failed));
    assert!(findings[0].error.is_some());
    assert_eq!((findings[1].step, findings[1].verdict), (Step::Target, Verdict::Skipped));
    assert_eq!(findings.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn how_the_path_was_proven_is_told_where_no_ping_is_answered() {
    let silent = Faults { ignores_pings: true, ..Faults::default() };
    let hidden = Faults { hides_expired: true, ..silent };
    let table = [
        (silent, Verdict::Skipped, "a router answered the tunnel's own packet with a TTL of 1"),
        (hidden, Verdict::Warned, "the tunnel's own proofs were not answered either"),
    ];
    for (faults, verdict, words) in table {
        let world = World::new(10);
        let building = world.serve(1, Server::builder(1).faults(faults));
        let tunnel = world.connect(&building).await;
        let began = Instant::now();
        let findings = all(tunnel.doctor(None)).await;
        assert!(began.elapsed() < 25 * SECOND, "{:?}", began.elapsed());
        assert_eq!((findings[0].step, findings[0].verdict), (Step::LargestPacket, verdict));
        assert!(findings[0].seen.ends_with(words), "{}", findings[0]);
        assert!(findings[0].advice.is_some());
        // a server that has never answered a proof may be fine all the same
        tunnel.ping(DEVICE, SECOND).await.expect("up as before");
        assert!(tunnel.ping(BLACK_HOLE, SECOND).await.is_err());
    }
}
