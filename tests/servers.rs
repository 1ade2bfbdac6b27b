//! Servers as they are met in the field, each by its name: what the client makes of it by default,
//! and what with the option that it needs

use std::time::Duration;

use pptp::{
    State, Tunnel, TunnelConfig, TunnelError,
    config::{
        AuthenticationProtocol::MsChapV2, EncryptionDemand, KeyStrength, MppeBits, StatefulReset,
    },
    error::{Failure, LinkFailure, TunnelFailure},
    info::Redial,
    quirks::Quirks,
    record::{Record, RecordKind},
};
use pptp_testkit::{
    Acknowledgments, BLACK_HOLE, Control, DEVICE, Profile, Server, ServerBuilder, ServerEncryption,
    content, memory::Impairment,
};
use pptp_tests::{World, config, get, upload};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

/// Octets of a transfer in each direction
const LENGTH: usize = 512 << 10;

const BUILDING: u8 = 7;

fn builder(profile: Profile) -> ServerBuilder {
    Server::builder(BUILDING.into()).profile(profile)
}

fn serve(world: &World, profile: Profile) -> Server {
    world.serve(BUILDING, builder(profile))
}

/// With room for the whole connect in the flight record
fn recording(server: &Server) -> TunnelConfig {
    config(server.address()).flight_recorder(16 << 10)
}

/// The testkit's own, whose window is the client's: 64
fn plain() -> ServerBuilder {
    Server::builder(BUILDING.into())
}

async fn up(world: &World, config: TunnelConfig) -> Tunnel {
    world.client.connect(config).await.expect("a tunnel")
}

async fn refused(world: &World, config: TunnelConfig) -> TunnelError {
    world.client.connect(config).await.expect_err("no tunnel")
}

/// What the server says to a wrong password
async fn words_of_refusal(world: &World, server: &Server) -> (u32, bool, String) {
    let wrong = TunnelConfig::new(server.address().to_string(), "testuser", "wrong");
    match refused(world, wrong).await.failure {
        Failure::Tunnel(TunnelFailure::Link(LinkFailure::AuthFailed { code, retry, message })) => {
            (code, retry, message)
        }
        other => panic!("{other}"),
    }
}

fn unavailable(offered: MppeBits) -> Failure {
    LinkFailure::EncryptionUnavailable { offered: Some(offered) }.into()
}

/// 128-bit stateless MPPE after MS-CHAPv2: the one way that is taken by default
fn assert_safe(tunnel: &Tunnel) {
    let info = tunnel.info();
    let encryption = info.encryption.expect("encrypted");
    assert_eq!((encryption.strength, encryption.stateful), (KeyStrength::Bits128, false));
    assert_eq!((info.authentication, info.mtu), (MsChapV2, 1396));
}

/// So many octets of the building's source, to the last one
async fn download(tunnel: &Tunnel, length: usize) -> Vec<u8> {
    let mut source = tunnel.tcp_connect((DEVICE, 19)).await.expect("a connection");
    source.write_all(format!("{length}\n").as_bytes()).await.expect("taken");
    let mut octets = Vec::new();
    source.read_to_end(&mut octets).await.expect("the end");
    octets
}

fn contents(length: usize) -> Vec<u8> {
    let blocks = (0..).flat_map(|index| content::block(BUILDING.into(), index));
    blocks.take(length).collect()
}

/// [`LENGTH`] each way, intact
async fn assert_moves_data(tunnel: &Tunnel) {
    let expected = contents(LENGTH);
    assert!(download(tunnel, LENGTH).await == expected, "the building's octets, each once");
    upload(tunnel, &expected).await.expect("sent");
}

/// Hangs up, which the server takes for a proper end, without waiting out a time limit
async fn assert_ends_cleanly(tunnel: &Tunnel, server: &Server) {
    let began = Instant::now();
    tunnel.close().await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    server.idle().await;
    let stats = server.stats();
    assert!(stats.ended.last().expect("ended").is_clean(), "{:?}", stats.ended);
}

fn records(tunnel: &Tunnel, kind: RecordKind) -> Vec<Record> {
    let record = tunnel.flight_record();
    record.records().iter().filter(|record| record.kind == kind).cloned().collect()
}

/// Acknowledgments of our GRE datagrams so far
fn acknowledgments(tunnel: &Tunnel) -> u32 {
    tunnel.stats().tunnel.gre.acknowledgments_taken
}

/// Whether a packet that nobody answers is acknowledged nevertheless, half a second later at most
async fn acknowledges_alone(tunnel: &Tunnel) -> bool {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = acknowledgments(tunnel);
    let socket = tunnel.udp_bind(0).expect("a socket");
    socket.send_to(b"?", (BLACK_HOLE, 9)).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(500)).await;
    acknowledgments(tunnel) > before
}

/// Whether a PPP frame of the server had these octets in it
fn has_received(tunnel: &Tunnel, octets: &[u8]) -> bool {
    let frames = records(tunnel, RecordKind::FrameReceived);
    frames.iter().any(|it| it.octets.windows(octets.len()).any(|window| window == octets))
}

/// Messages of the control connection of this type (RFC 2637 §1.4)
fn messages(tunnel: &Tunnel, kind: RecordKind, control_type: u8) -> Vec<Vec<u8>> {
    let mut octets: Vec<u8> = Vec::new();
    for record in records(tunnel, kind) {
        octets.extend(record.octets);
    }
    let header = [0x1A, 0x2B, 0x3C, 0x4D, 0, control_type];
    let starts = octets.windows(6).enumerate().filter(|(_, window)| *window == header);
    starts.map(|(at, _)| octets[at - 4..].to_vec()).collect()
}

#[tokio::test(start_paused = true)]
async fn rras() {
    let world = World::new(20);
    let server = serve(&world, Profile::Rras);
    let tunnel = up(&world, recording(&server)).await;
    assert_safe(&tunnel);
    assert_eq!(tunnel.peer().expect("told").vendor, "Microsoft");
    let first = &records(&tunnel, RecordKind::FrameReceived)[0];
    assert_eq!(first.sequence, Some(0));
    assert_eq!(first.octets[2..6], [0xC0, 0x21, 1, 0], "LCP with identifier 0");
    assert!(has_received(&tunnel, &[3, 4, 0xC2, 0x27]), "EAP is asked for");
    assert!(has_received(&tunnel, &[3, 5, 0xC2, 0x23, 0x81]), "and then MS-CHAPv2");
    assert!(has_received(&tunnel, &[18, 6, 1, 0, 0, 0xE1]), "+H+M+S+L+C is offered");
    assert!(has_received(&tunnel, &[18, 6, 1, 0, 0, 0x40]), "and then +H+S");
    assert_eq!(messages(&tunnel, RecordKind::ControlReceived, 15).len(), 1, "Set-Link-Info");
    assert_moves_data(&tunnel).await;
    assert!(acknowledges_alone(&tunnel).await);
    assert_ends_cleanly(&tunnel, &server).await;
    assert_eq!(words_of_refusal(&world, &server).await, (691, true, String::new()));
}

/// Whether CCP had a Configure-Reject of our 128-bit stateless MPPE
fn has_rejected_mppe(tunnel: &Tunnel) -> bool {
    records(tunnel, RecordKind::FrameReceived).iter().any(|it| {
        it.octets[2..5] == [0x80, 0xFD, 4] && it.octets.ends_with(&[18, 6, 1, 0, 0, 0x40])
    })
}

#[tokio::test(start_paused = true)]
async fn rras_with_encryption_off() {
    let world = World::new(20);
    let server = serve(&world, Profile::RrasWithoutEncryption);
    let error = refused(&world, config(server.address())).await;
    assert_eq!(error.failure, unavailable(MppeBits::MPPC), "{error}");
    for demand in [EncryptionDemand::InsecurePrefer, EncryptionDemand::InsecureAllow] {
        let tunnel = up(&world, recording(&server).insecure_encryption(demand)).await;
        assert_eq!(tunnel.info().encryption, None);
        assert!(has_received(&tunnel, &[18, 6, 1, 0, 0, 1]), "+H+C is offered");
        assert!(has_rejected_mppe(&tunnel), "whatever the client would like");
        assert_moves_data(&tunnel).await;
        assert_ends_cleanly(&tunnel, &server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn mikrotik() {
    let world = World::new(20);
    let server = serve(&world, Profile::MikroTik);
    for compressed in [false, true] {
        let tunnel = up(&world, recording(&server).header_compression(compressed)).await;
        assert_safe(&tunnel);
        let challenge = records(&tunnel, RecordKind::FrameReceived)
            .into_iter()
            .find(|it| it.octets.windows(3).any(|octets| octets == [0xC2, 0x23, 1]))
            .expect("a Challenge");
        assert_eq!(challenge.octets[5], 1, "its identifier");
        assert!(challenge.octets.ends_with(b"MikroTik"), "{challenge:?}");
        let rejects = has_received(&tunnel, &[0, 8, 7, 2, 8, 2]);
        assert_eq!(rejects, compressed, "PFC and ACFC are rejected where they are asked for");
        assert!(has_received(&tunnel, &[18, 6, 1, 0, 0, 0x60]), "128 and 40 bit are offered");
        assert_moves_data(&tunnel).await;
        assert_ends_cleanly(&tunnel, &server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn accel_ppp() {
    let world = World::new(20);
    let server = serve(&world, Profile::AccelPpp);
    let tunnel = up(&world, recording(&server)).await;
    assert_safe(&tunnel);
    assert_eq!(tunnel.peer().expect("told").vendor, "accel-ppp");
    assert_eq!(records(&tunnel, RecordKind::FrameReceived)[0].sequence, Some(1));
    let request = [1, 4, 0x05, 0x9C, 5, 6];
    assert!(has_received(&tunnel, &request), "MRU 1436, and a Magic-Number next");
    assert_moves_data(&tunnel).await;
    assert!(acknowledgments(&tunnel) > 0, "they ride along with TCP's");
    assert!(!acknowledges_alone(&tunnel).await, "and only so");
    assert_ends_cleanly(&tunnel, &server).await;
    let [notify] = &messages(&tunnel, RecordKind::ControlReceived, 13)[..] else {
        panic!("one Call-Disconnect-Notify");
    };
    let [request] = &messages(&tunnel, RecordKind::ControlSent, 7)[..] else {
        panic!("one Outgoing-Call-Request");
    };
    assert_eq!(notify[12..14], request[12..14], "the client's Call ID");
    let words = words_of_refusal(&world, &server).await;
    assert_eq!(words, (691, false, "Authentication failure".to_owned()));
}

/// Whose keys after a loss are in either reading; the client is told which by its caller
#[tokio::test(start_paused = true)]
async fn an_old_router_with_stateful_encryption_only() {
    for reset in [StatefulReset::Linux, StatefulReset::Rfc] {
        let world = World::new(20);
        let encryption = ServerEncryption::Mppe128Stateful(reset);
        let builder = builder(Profile::StatefulRouter).encryption(encryption);
        let server = world.serve(BUILDING, builder);
        let error = refused(&world, config(server.address())).await;
        assert_eq!(error.failure, unavailable(MppeBits(0x40)), "{error}");
        let tunnel = up(&world, recording(&server).insecure_stateful_mppe(reset)).await;
        let encryption = tunnel.info().encryption.expect("encrypted");
        assert_eq!((encryption.strength, encryption.stateful), (KeyStrength::Bits128, true));
        assert_moves_data(&tunnel).await;
        world.network.set_impairment(Impairment { loss_per_mille: 20, ..Impairment::default() });
        assert_moves_data(&tunnel).await;
        let resets = tunnel.stats().tunnel.link.reset_requests;
        assert!(resets > 0, "the server lost its way after losses, and was told a new beginning");
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_with_40_bit_only() {
    let world = World::new(20);
    let server = serve(&world, Profile::FortyBitRouter);
    for config in
        [config(server.address()), config(server.address()).insecure_least_key(KeyStrength::Bits56)]
    {
        let error = refused(&world, config).await;
        assert_eq!(error.failure, unavailable(MppeBits(0x0100_0020)), "{error}");
    }
    let weak = config(server.address()).insecure_least_key(KeyStrength::Bits40);
    let tunnel = up(&world, weak).await;
    let encryption = tunnel.info().encryption.expect("encrypted");
    assert_eq!((encryption.strength, encryption.stateful), (KeyStrength::Bits40, false));
    assert_moves_data(&tunnel).await;
    assert_ends_cleanly(&tunnel, &server).await;
}

#[tokio::test(start_paused = true)]
async fn orckit() {
    let world = World::new(20);
    let server = serve(&world, Profile::Orckit);
    let connecting = world.dial(&server);
    let mut state = connecting.state();
    let watching = tokio::spawn(async move {
        let is_told = |state: &State| matches!(state, State::Redialling { .. } | State::Up);
        state.wait_for(is_told).await.expect("a state").clone()
    });
    let tunnel = connecting.await.expect("a tunnel");
    let why = watching.await.expect("a state");
    assert!(
        matches!(&why, State::Redialling { why: Redial::Recognized { kind } } if kind == "Orckit"),
        "{why:?}"
    );
    assert_safe(&tunnel);
    assert_moves_data(&tunnel).await;
    assert_ends_cleanly(&tunnel, &server).await;
    assert_eq!(server.stats().connections_ever, 2);

    let disguised = Control { insists_on: Quirks::ORCKIT.control, ..Control::default() };
    let other = world.serve(8, builder(Profile::Orckit).control(disguised));
    let error = refused(&world, config(other.address())).await;
    assert_eq!(error.name(), "ControlRefused", "{error}");
    let tunnel = up(&world, config(other.address()).quirks(Quirks::ORCKIT)).await;
    assert_moves_data(&tunnel).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_sends_gre() {
    let world = World::new(20);
    let server = serve(&world, Profile::NeverSendsGre);
    let began = Instant::now();
    let error = refused(&world, config(server.address())).await;
    let after = Duration::from_secs(10);
    let blocked = TunnelFailure::GreBlocked { after, heard: false, send_error: None };
    assert_eq!(error.failure.tunnel(), Some(&blocked), "{error}");
    // before the wait: the TCP connection, the control connection, the call
    let in_all = after + 3 * Duration::from_millis(40);
    assert!((in_all..in_all + Duration::from_millis(100)).contains(&began.elapsed()));
    server.mute_gre(false);
    world.client.wait_idle().await;
    let tunnel = up(&world, config(server.address())).await;
    assert_moves_data(&tunnel).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_acknowledges() {
    let octets = contents(8 << 20);
    let silent = builder(Profile::NeverAcknowledges);
    let prompt = silent.clone().acknowledgments(Acknowledgments::Prompt);
    let mut took = Vec::new();
    for (builder, is_silent) in [(silent, true), (prompt, false), (plain(), false)] {
        let world = World::new(20);
        let server = world.serve(BUILDING, builder);
        let tunnel = world.connect(&server).await;
        assert_safe(&tunnel);
        assert_moves_data(&tunnel).await;
        took.push(upload(&tunnel, &octets).await.expect("sent"));
        assert_eq!(acknowledgments(&tunnel) == 0, is_silent);
    }
    let [silent, prompt, plain] = took[..] else { unreachable!("three uploads") };
    println!("8 MiB in {silent:?}; acknowledged in {prompt:?}, with a window of 64 in {plain:?}");
    assert!(silent.mul_f64(0.9) <= prompt.min(plain));
}

#[tokio::test(start_paused = true)]
async fn one_that_sends_everything_twice() {
    let world = World::new(20);
    let server = serve(&world, Profile::SaysEverythingTwice);
    let tunnel = up(&world, recording(&server)).await;
    assert_safe(&tunnel);
    for control_type in [2, 8] {
        let replies = messages(&tunnel, RecordKind::ControlReceived, control_type);
        assert_eq!(replies.len(), 2, "message {control_type}");
    }
    let plain = world.connect(&world.building(8)).await;
    assert_eq!(tunnel.info().round_trips, plain.info().round_trips, "{}", tunnel.info().timeline);
    assert_moves_data(&tunnel).await;
    assert_eq!(get(&tunnel, "/").await.expect("a page"), b"building 7\n");

    let socket = tunnel.udp_bind(0).expect("a socket");
    let mut datagram = [0; 16];
    for number in 0..20_u8 {
        socket.send_to(&[number; 5], (DEVICE, 7)).await.expect("sent");
        let length = socket.recv(&mut datagram).await.expect("an echo");
        assert_eq!(datagram[..length], [number; 5]);
    }
    let again = timeout(Duration::from_secs(5), socket.recv(&mut datagram)).await;
    assert!(again.is_err(), "nothing is delivered twice");
    let stats = tunnel.stats().tunnel;
    let (committed, duplicates) = (stats.gre.committed, u64::from(stats.gre.duplicates));
    assert!(committed > 300 && duplicates == committed, "{committed}, {duplicates}");
    // the number of a packet proves nothing: that it is a duplicate is for MPPE to say
    assert_eq!((stats.link.renegotiations, stats.link.undecryptable), (0, stats.mppe.late));
    assert_ends_cleanly(&tunnel, &server).await;
}
