//! Buildings that share their addresses, and what can be asked of them

use std::{io::ErrorKind, net::Ipv4Addr, time::Duration};

use pptp::Tunnel;
use pptp_testkit::{BLACK_HOLE, DEVICE, ROUTER, content, memory::Impairment};
use pptp_tests::{World, digest_of, get, knx_name, upload};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn two_buildings_with_one_subnet_are_never_mixed_up() {
    let world = World::new(7);
    let (north, south) = (world.building(1), world.building(2));
    let (to_north, to_south) = tokio::join!(world.connect(&north), world.connect(&south));
    assert_eq!(to_north.info().inner_address, to_south.info().inner_address, "the hard case");
    tokio::join!(ask_everything(&to_north, 1), ask_everything(&to_south, 2));
}

async fn ask_everything(tunnel: &Tunnel, building: u32) {
    let name = format!("building-{building}");
    for _ in 0..10 {
        let page = get(tunnel, "/").await.unwrap();
        assert_eq!(String::from_utf8_lossy(&page), format!("building {building}\n"));
        assert_eq!(knx_name(tunnel).await.unwrap(), name);
        assert_eq!(tunnel.lookup_txt("whoami.lan").await.unwrap(), std::slice::from_ref(&name));
        assert_eq!(tunnel.lookup_host("knx.lan").await.unwrap(), [DEVICE]);
        for host in [DEVICE, ROUTER] {
            let round_trip = tunnel.ping(host, SECOND).await.unwrap();
            assert_eq!(round_trip, Duration::from_millis(14));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sixteen_mib_each_way_through_two_tunnels_at_once() {
    let world = World::new(2);
    let (north, south) = (world.building(1), world.building(2));
    let (to_north, to_south) = tokio::join!(world.connect(&north), world.connect(&south));
    let bodies = [all(1), all(2)];
    let ((), (), north, south) = tokio::join!(
        download(&to_north, 1),
        download(&to_south, 2),
        upload(&to_north, &bodies[0]),
        upload(&to_south, &bodies[1]),
    );
    assert!(north.is_ok() && south.is_ok());
    for tunnel in [to_north, to_south] {
        assert_eq!(tunnel.stats().unsendable, 0);
    }
}

fn all(building: u32) -> Vec<u8> {
    let blocks = content::LENGTH / content::BLOCK;
    (0..blocks as u64).flat_map(|index| content::block(building, index)).collect()
}

async fn download(tunnel: &Tunnel, building: u32) {
    let body = get(tunnel, "/16M").await.unwrap();
    assert!(body == all(building), "{} octets, but others", body.len());
}

#[tokio::test(start_paused = true)]
async fn loss_disorder_and_duplicates_harm_no_octet() {
    let world = World::new(10);
    let building = world.building(3);
    let tunnel = world.connect(&building).await;
    let (jitter, loss_per_mille, duplicate_per_mille) = (Duration::from_millis(3), 10, 10);
    world.network.set_impairment(Impairment {
        jitter,
        loss_per_mille,
        duplicate_per_mille,
        ..Impairment::default()
    });
    let mut source = tunnel.tcp_connect((DEVICE, 19)).await.unwrap();
    source.write_all(b"1000000\n").await.unwrap();
    let mut body = Vec::new();
    source.read_to_end(&mut body).await.unwrap();
    assert!(body[..] == all(3)[..1_000_000], "{} octets", body.len());
}

#[tokio::test(start_paused = true)]
async fn a_put_is_digested_and_the_connection_kept() {
    let world = World::new(1);
    let building = world.building(4);
    let tunnel = world.connect(&building).await;
    let mut http = tunnel.tcp_connect((DEVICE, 80)).await.unwrap();
    for body in ["abc", "another body"] {
        let head = format!("PUT /x HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        http.write_all((head + body).as_bytes()).await.unwrap();
        let wanted = "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n".to_owned()
            + &digest_of(body.as_bytes());
        let mut answer = vec![0; wanted.len()];
        http.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_refused_or_not_found() {
    let world = World::new(1);
    let building = world.building(5);
    let tunnel = world.connect(&building).await;
    let refused = tunnel.tcp_connect((DEVICE, 81)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let unknown = tunnel.lookup_host("nobody.lan").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_nobody_has_is_unreachable_at_once() {
    let world = World::new(1);
    let building = world.building(5);
    let tunnel = world.connect(&building).await;
    let began = Instant::now();
    for nobody in [Ipv4Addr::new(192, 168, 1, 99), Ipv4Addr::new(10, 1, 2, 3)] {
        let tcp = tunnel.tcp_connect((nobody, 80)).await.unwrap_err();
        assert_eq!(tcp.kind(), ErrorKind::HostUnreachable, "{tcp}");
        let ping = tunnel.ping(nobody, SECOND).await.unwrap_err();
        assert_eq!(ping.kind(), ErrorKind::HostUnreachable, "{ping}");
        let socket = tunnel.udp_bind(0).unwrap();
        socket.connect((nobody, 9)).await.unwrap();
        socket.send(b"anyone?").await.unwrap();
        let udp = timeout(SECOND, socket.recv(&mut [0; 16])).await.unwrap().unwrap_err();
        assert_eq!(udp.kind(), ErrorKind::HostUnreachable, "{udp}");
    }
    assert_eq!(began.elapsed(), Duration::from_millis(6 * 2), "one round trip each");
    assert_eq!(building.stats().undeliverable, 0);
}

/// What has to do with time-outs is tried there
#[tokio::test(start_paused = true)]
async fn the_black_hole_swallows_everything() {
    let world = World::new(1);
    let building = world.building(5);
    let tunnel = world.connect(&building).await;
    let ping = tunnel.ping(BLACK_HOLE, SECOND).await.unwrap_err();
    assert_eq!(ping.kind(), ErrorKind::TimedOut);
    let tcp = tunnel.tcp_connect((BLACK_HOLE, 80)).await.unwrap_err();
    assert_eq!(tcp.kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_of_unreachable_addresses_in_bounds() {
    let world = World::new(1);
    let building = world.building(5);
    let (tunnel, other) = tokio::join!(world.connect(&building), world.connect(&building));
    let nobody = Ipv4Addr::new(192, 168, 1, 99);
    let pings = (0..150).map(|_| {
        let tunnel = tunnel.clone();
        tokio::spawn(async move { tunnel.ping(nobody, SECOND / 2).await.unwrap_err().kind() })
    });
    let mut told = 0;
    for ping in pings.collect::<Vec<_>>() {
        told += u32::from(ping.await.unwrap() == ErrorKind::HostUnreachable);
    }
    assert_eq!(told, 100);
    let others = other.ping(nobody, SECOND).await.unwrap_err();
    assert_eq!(others.kind(), ErrorKind::HostUnreachable, "each client has its own hundred");
    sleep(SECOND).await;
    let later = tunnel.ping(nobody, SECOND).await.unwrap_err();
    assert_eq!(later.kind(), ErrorKind::HostUnreachable);
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_long_for_udp_comes_over_tcp() {
    let world = World::new(1);
    let building = world.building(6);
    let tunnel = world.connect(&building).await;
    let big = tunnel.lookup_txt("big.lan").await.unwrap().concat();
    assert!(big.len() > 1500, "{} octets", big.len());
    assert!(big.starts_with("building-6 string 0"), "{big}");
}

#[tokio::test(start_paused = true)]
async fn a_search_by_multicast_finds_the_device() {
    let world = World::new(1);
    let building = world.building(7);
    let tunnel = world.connect(&building).await;
    let socket = tunnel.udp_bind(0).unwrap();
    let search_request = [6, 0x10, 0x02, 0x01, 0, 14, 8, 1, 0, 0, 0, 0, 0, 0];
    let group = (Ipv4Addr::new(224, 0, 23, 12), 3671);
    socket.send_to(&search_request, group).await.unwrap();
    let mut answer = [0; 512];
    let (count, from) = timeout(SECOND, socket.recv_from(&mut answer)).await.unwrap().unwrap();
    assert_eq!(from, (DEVICE, 3671).into());
    assert_eq!(answer[..14], [6, 0x10, 0x02, 0x02, 0, 76, 8, 1, 192, 168, 1, 3, 0x0E, 0x57]);
    assert!(answer[..count].windows(10).any(|name| name == b"building-7"));
}

#[tokio::test(start_paused = true)]
async fn udp_answers_find_their_sockets() {
    let world = World::new(5);
    let building = world.building(8);
    let tunnel = world.connect(&building).await;
    let tasks = (0..50_u8).map(|number| {
        let socket = tunnel.udp_bind(0).unwrap();
        tokio::spawn(async move {
            for round in 0..20 {
                let sent = [number, round].repeat(usize::from(number) * 10 + 1);
                socket.send_to(&sent, (DEVICE, 7)).await.unwrap();
                let mut answer = vec![0; 2000];
                let (count, _) = socket.recv_from(&mut answer).await.unwrap();
                assert_eq!(answer[..count], sent);
                sleep(Duration::from_millis(u64::from(number % 3))).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}
