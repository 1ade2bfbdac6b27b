//! Servers that refuse, break off or speak otherwise, each by its profile: the failure at its time,
//! with an advice that can be followed

use std::time::Duration;

use pptp::{
    TunnelError,
    config::AuthenticationProtocol::{self, EapMethod},
    error::{Class, Failure, LinkFailure, Phase, RasCode, Retry, TunnelFailure},
    info::Redial,
};
use pptp_testkit::{
    Closes, Extras, GRE_ELSEWHERE, Profile, Protocol, Server, ServerAuthentication, ServerBuilder,
};
use pptp_tests::{World, address_of, config};
use tokio::time::Instant;

const BUILDING: u8 = 3;
const TLS: AuthenticationProtocol = EapMethod(13);

fn profile(profile: Profile) -> ServerBuilder {
    Server::builder(BUILDING.into()).profile(profile)
}

/// A connect in a world of 10 ms one way: how it fails, and how long that takes
async fn fails(builder: ServerBuilder) -> (TunnelError, Duration) {
    let world = World::new(10);
    let server = world.serve(BUILDING, builder);
    let began = Instant::now();
    let error = world.client.connect(config(server.address())).await.expect_err("no tunnel");
    (error, began.elapsed())
}

fn refused(offered: AuthenticationProtocol) -> Failure {
    LinkFailure::AuthProtocolRefused { offered: Some(offered) }.into()
}

fn assert_told(error: &TunnelError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}

const QUICK: std::ops::Range<Duration> = Duration::ZERO..Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_login_refused_by_a_code_of_windows_in_lcp_is_a_refused_login() {
    let (error, took) =
        fails(profile(Profile::RrasRefusesInLcp).secret("testuser", "not what the client has"))
            .await;
    assert_eq!((error.name(), error.phase), ("AuthFailed", Phase::Authentication), "{error}");
    assert_eq!(error.ras_code, Some(RasCode(691)));
    assert_eq!((error.class(), error.retry()), (Class::Credentials, Retry::Later));
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert!(QUICK.contains(&took), "{took:?}");
    assert_told(&error, &["error 691", "an earlier session of this user may still be alive"]);
}

/// The right password gets through the same server
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_in_lcp_takes_the_right_password() {
    let world = World::new(10);
    let server = world.serve(BUILDING, profile(Profile::RrasRefusesInLcp));
    world.connect(&server).await.close().await;
}

/// RRAS without the encryption that the client wants ends CCP, and then LCP
#[tokio::test(start_paused = true)]
async fn ccp_and_lcp_ended_by_codes_of_windows_are_about_encryption() {
    let terminate_requests = vec![(Protocol::Ccp, RasCode(732)), (Protocol::Lcp, RasCode(742))];
    let extras = Extras { terminate_requests, ..Extras::default() };
    let (error, took) = fails(profile(Profile::Rras).extras(extras)).await;
    assert_eq!((error.name(), error.class()), ("EncryptionUnavailable", Class::Operator));
    assert_eq!((error.phase, error.ras_code), (Phase::Network, Some(RasCode(732))), "{error}");
    assert!(QUICK.contains(&took), "{took:?}");
    assert_told(&error, &["error 732", "does not converge"]);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_ended_by_a_code_of_windows_tells_number_and_meaning() {
    for (code, name, class, meaning) in [
        (0, "TerminatedByPeer", Class::Network, "the peer wished to end it"),
        (721, "TerminatedByPeer", Class::Network, "the remote computer does not answer"),
        (649, "AuthFailed", Class::Credentials, "the account may not dial in"),
        (738, "NoAddress", Class::Busy, "the server did not assign an address"),
        (828, "TerminatedByPeer", Class::Network, "a code without a meaning here"),
    ] {
        let world = World::new(10);
        let server = world.serve(BUILDING, profile(Profile::Rras));
        let tunnel = world.connect(&server).await;
        server.terminate_all(code);
        let error = tunnel.closed().await;
        assert_eq!((error.name(), error.class()), (name, class), "{error}");
        assert_eq!(error.ras_code, Some(RasCode(code)));
        assert_told(&error, &[&format!("error {code}"), meaning]);
        server.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_with_eap_tls_first_is_dialled_again_without_eap_and_comes_up() {
    let world = World::new(10);
    let server = world.serve(BUILDING, profile(Profile::EapFirst));
    let mut connecting = world.dial(&server);
    let began = Instant::now();
    let tunnel = (&mut connecting).await.expect("a tunnel");
    assert_eq!(connecting.redials(), [Redial::WithoutEap { offered: TLS }]);
    assert_eq!(server.stats().connections_ever, 2);
    assert_eq!(tunnel.info().authentication, AuthenticationProtocol::MsChapV2);
    assert!(QUICK.contains(&began.elapsed()), "{:?}", began.elapsed());
    tunnel.close().await;
}

/// It was asked for MS-CHAPv2 without EAP before it is blamed, and is told by its method all the same
#[tokio::test(start_paused = true)]
async fn a_server_with_eap_tls_only_is_told_by_that_with_an_advice_that_can_be_followed() {
    let (error, took) = fails(profile(Profile::EapTlsOnly)).await;
    assert_eq!((&error.failure, error.class()), (&refused(TLS), Class::Operator));
    assert!(QUICK.contains(&took), "{took:?}");
    assert_told(&error, &["it offered EAP-TLS", "add MS-CHAPv2 to the server's"]);
    assert!(!error.advice().contains("option"), "there is none for it: {}", error.advice());
}

/// MS-CHAPv2 in EAP is there, behind a method that is refused: one dial is enough
#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_refusal_within_eap_is_not_dialled_again() {
    let world = World::new(10);
    let authentication = ServerAuthentication {
        eap_proposals: vec![13],
        ..ServerAuthentication::only(AuthenticationProtocol::Eap)
    };
    let builder = Server::builder(BUILDING.into()).authentication(authentication);
    let server = world.serve(BUILDING, builder);
    let tunnel = world.connect(&server).await;
    assert_eq!(tunnel.info().authentication, AuthenticationProtocol::Eap);
    assert_eq!(server.stats().connections_ever, 1);
    tunnel.close().await;
}

/// Five refusals at its own pace of one each 3 s, then as many that it does not hear
#[tokio::test(start_paused = true)]
async fn a_server_deaf_to_the_refusal_of_pap_is_told_by_pap_before_the_connect_times_out() {
    let (error, took) = fails(profile(Profile::DeafPap)).await;
    assert_eq!(error.failure, refused(AuthenticationProtocol::Pap), "{error}");
    assert_eq!(error.phase, Phase::LinkControl);
    assert!((Duration::from_secs(12)..Duration::from_secs(20)).contains(&took), "{took:?}");
    assert_told(&error, &["it offered PAP", "switch MS-CHAPv2 on"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_is_told_by_what_it_was_asked_for() {
    for (closes, phase, moment, word) in [
        (Closes::AtOnce, Phase::ControlConnection, "before it said a word", "limit of connections"),
        (
            Closes::AtStartRequest,
            Phase::ControlConnection,
            "before it said a word",
            "limit of connections",
        ),
        (Closes::AtCallRequest, Phase::Call, "when it was asked for the call", "sessions may be"),
        (
            Closes::BehindCallReply,
            Phase::LinkControl,
            "after it took the call, before PPP had begun",
            "hung up during LCP",
        ),
    ] {
        let (error, took) = fails(Server::builder(BUILDING.into()).closes(closes)).await;
        assert_eq!((error.name(), error.phase), ("ConnectionLost", phase), "{closes:?}: {error}");
        assert!(QUICK.contains(&took), "{closes:?}: {took:?}");
        assert_told(&error, &[moment, word]);
    }
    let (error, _) = fails(profile(Profile::ClosesAtOnce)).await;
    assert_told(&error, &["before it said a word"]);
}

#[tokio::test(start_paused = true)]
async fn gre_from_another_address_names_both() {
    let (error, took) = fails(profile(Profile::GreFromElsewhere)).await;
    let (from, server) = (GRE_ELSEWHERE, address_of(BUILDING));
    let expected = TunnelFailure::GreFromElsewhere { from, server };
    assert_eq!(error.failure.tunnel(), Some(&expected));
    assert_eq!((error.phase, error.class()), (Phase::LinkControl, Class::Operator));
    assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&took), "{took:?}");
    assert_told(&error, &["arrives from 10.99.0.250, not from 10.99.0.3", "two lines"]);
}

#[tokio::test(start_paused = true)]
async fn gre_with_a_checksum_is_told_by_its_header() {
    let (error, took) = fails(profile(Profile::GreChecksums)).await;
    assert!(
        matches!(
            error.failure.tunnel(),
            Some(TunnelFailure::GreUnsupported { flags, protocol: 0x880B }) if flags & 0x8000 != 0
        ),
        "{error}"
    );
    assert_eq!((error.phase, error.class()), (Phase::LinkControl, Class::Operator));
    assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&took), "{took:?}");
    assert_told(&error, &["which carry a checksum", "switch checksums of GRE off"]);
}

/// Whoever sends with our Call ID beside the server's own GRE changes nothing
#[tokio::test(start_paused = true)]
async fn strangers_do_not_disturb_a_connect() {
    let world = World::new(10);
    let server = world.serve(BUILDING, Server::builder(BUILDING.into()));
    let network = world.network.clone();
    world.network.wiretap_gre(move |from, to, gre| {
        if from == address_of(BUILDING) {
            network_forge(&network, to, gre);
        }
        Vec::new()
    });
    let tunnel = world.connect(&server).await;
    assert!(world.client.stats().unknown_call > 0, "some were seen");
    tunnel.close().await;
}

/// Later, since a tap must not call the network
fn network_forge(network: &pptp_testkit::memory::Network, to: std::net::Ipv4Addr, gre: &[u8]) {
    let (network, gre) = (network.clone(), gre.to_vec());
    tokio::spawn(async move { network.forge_gre(GRE_ELSEWHERE, to, &gre) });
}

#[tokio::test(start_paused = true)]
async fn hanging_up_is_nothing_to_dial_again_for() {
    let world = World::new(10);
    let server = world.building(BUILDING);
    let tunnel = world.connect(&server).await;
    tunnel.hang_up();
    let error = tunnel.closed().await;
    assert_eq!((error.class(), error.retry()), (Class::OwnDeed, Retry::OnRequest));
    assert_eq!(error.retry_after(), None);
}
