//! What `Debug` tells of handles, and how long that takes

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use pptp::{Client, TunnelConfig, config::EncryptionDemand};
use pptp_testkit::{DEVICE, Server, ServerAuthentication, ServerEncryption};
use pptp_tests::{CLIENT, World, config};
use tokio::time::{Instant, sleep};

use crate::attacker::Seen;

/// Octets that a handle may tell
const MOST: usize = 500;

/// One line, and short, in both forms; and fast, though a thousand tunnels are busy beside it
fn assert_short(handle: &dyn Debug) {
    let (plain, pretty) = (format!("{handle:?}"), format!("{handle:#?}"));
    assert!(plain.len() <= MOST && plain.lines().count() == 1, "{plain}");
    assert!(pretty.len() <= 2 * MOST && pretty.lines().count() <= 40, "{pretty}");
}

/// All are in the ready queue when they hang up together
#[tokio::test(start_paused = true)]
async fn a_handle_tells_one_line_beside_a_thousand_busy_tunnels() {
    let world = World::new(1);
    let servers: Vec<_> = (1..=6).map(|number| world.building(number)).collect();
    let mut dials = Vec::new();
    for index in 0..1_000 {
        dials.push(world.dial(&servers[index % servers.len()]));
    }
    let mut tunnels = Vec::new();
    for dial in dials {
        tunnels.push(dial.await.expect("a tunnel"));
    }
    let tunnel = &tunnels[0];
    let long_name = "\u{1F600}\"\n".repeat(1_000);
    let named = config(servers[0].address()).name(long_name).connect_timeout(Duration::MAX);
    let connecting = world.client.connect(named);
    let stream = tunnel.tcp_connect((DEVICE, 80)).await.unwrap();
    let listener = tunnel.tcp_listen(0, 4).unwrap();
    let socket = tunnel.udp_bind(0).unwrap();
    let (capture, record) = (tunnel.capture(), tunnel.flight_record());
    let packets = tunnels[1].ip_packets().unwrap();
    tunnels.iter().for_each(pptp::Tunnel::hang_up);
    let began = std::time::Instant::now();
    let handles: [&dyn Debug; 13] = [
        tunnel,
        &world.client,
        &world.network,
        &world,
        &packets,
        &connecting,
        &stream,
        &listener,
        &socket,
        &capture,
        &record,
        &pptp::doctor(config(servers[0].address())),
        &Client::builder().memory(world.network.host(CLIENT)),
    ];
    handles.into_iter().for_each(assert_short);
    let (mut read, mut write) = stream.into_split();
    assert_short(&read);
    assert_short(&write);
    let mut stream = read.reunite(write).unwrap();
    let (borrowed, other) = stream.split();
    assert_short(&borrowed);
    assert_short(&other);
    (read, write) = stream.into_split();
    assert_short(&pptp::net::ReuniteError(read, write));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // what it tells
    let told = format!("{tunnel:?}");
    let (server, inner) = (servers[0].address(), tunnel.info().inner_address);
    for part in
        [&format!("{:?}", tunnel.name()), "Up", &format!("{server}:1723"), &inner.to_string()]
    {
        assert!(told.contains(part), "{told} lacks {part}");
    }
    for other in &tunnels[1..] {
        other.closed().await;
    }
    tunnel.closed().await;
    assert!(format!("{tunnel:?}").contains("Down(Closed)"), "{tunnel:?}");
    assert_short(tunnel);
}

/// Eight octets in a row as `Debug` may write them: as a list or in hexadecimal, without white space
fn written(octets: &[u8]) -> [String; 3] {
    let decimal = octets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let hexadecimal = octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>();
    [decimal, hexadecimal.join(","), hexadecimal.concat()]
}

const PASSWORD: &str = "correct horse";

/// The handles of a connect, of its tunnel, and of what they record, while somebody logs in by this
/// protocol, and logs in anew
async fn debug_tells_nothing_of(protocol: pptp::config::AuthenticationProtocol) {
    let world = World::new(10);
    let builder = Server::builder(1)
        .secret("testuser", PASSWORD)
        .authentication(ServerAuthentication::only(protocol))
        .encryption(ServerEncryption::None);
    let server = world.serve(1, builder);
    let allowed = TunnelConfig::new(server.address().to_string(), "testuser", PASSWORD)
        .flight_recorder(65_536)
        .eap(true)
        .insecure_pap()
        .insecure_chap_md5()
        .insecure_mschap_v1()
        .insecure_encryption(EncryptionDemand::InsecureAllow);
    let mut told = BTreeSet::from([format!("{allowed:?} {allowed:#?}")]);
    let (tell, mut seen) = tokio::sync::mpsc::unbounded_channel();
    world.network.wiretap_gre(move |_, _, gre| {
        if let Some(Seen { frame, .. }) = Seen::parse(gre)
            && matches!(frame[..], [0xFF, 3, 0xC0 | 0xC2, 0x23 | 0x27, ..])
        {
            // behind the header of PPP, the packet's, and the length in front of a value
            let _ = tell.send(frame.get(9..).unwrap_or_default().to_vec());
        }
        Vec::new()
    });
    let mut connecting = world.client.connect(allowed);
    let mut look = |parts: &[&dyn Debug]| {
        for part in parts {
            told.insert(format!("{part:?} {part:#?}"));
        }
    };
    let began = Instant::now();
    let tunnel = loop {
        let record = connecting.flight_record();
        look(&[&connecting, &record, &record.records(), &server, &world.client, &world.network]);
        tokio::select! {
            biased;
            connected = &mut connecting => break connected.expect("a tunnel"),
            () = sleep(Duration::from_millis(1)) => {}
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{protocol:?}: {connecting:?}");
    };
    server.renegotiate_all();
    for _ in 0..200 {
        let record = tunnel.flight_record();
        look(&[&tunnel, &record, &record.records(), &server, &tunnel.info(), &tunnel.state()]);
        sleep(Duration::from_millis(1)).await;
    }
    let mut login = vec![PASSWORD.as_bytes().to_vec()];
    while let Ok(octets) = seen.try_recv() {
        login.push(octets);
    }
    assert!(login.len() >= 3, "{protocol:?}: the login was not seen twice");
    // names are no secret
    let mut wanted = BTreeSet::new();
    for octets in &login {
        let octets = octets.strip_suffix(b"testuser").unwrap_or(octets);
        let parts = octets.chunks_exact(8).filter(|part| !b"testuser".starts_with(part));
        wanted.extend(parts.flat_map(written));
    }
    for told in &told {
        assert!(!told.contains(PASSWORD), "{protocol:?} tells the password: {told}");
        let dense = told.split_whitespace().collect::<String>();
        let tells = wanted.iter().find(|wanted| dense.contains(*wanted));
        assert!(tells.is_none(), "{protocol:?} tells {tells:?}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn debug_tells_no_octet_of_a_login() {
    use pptp::config::AuthenticationProtocol::{ChapMd5, Eap, MsChapV1, MsChapV2, Pap};
    for protocol in [Pap, ChapMd5, MsChapV1, MsChapV2, Eap] {
        debug_tells_nothing_of(protocol).await;
    }
}
