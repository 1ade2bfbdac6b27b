//! Into a client from its building, and past its stack

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use pptp::State;
use pptp_testkit::{DEVICE, ROUTER, TcpOptions, UdpOptions};
use pptp_tests::{World, client_at, config, get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_building_connects_to_a_listener_in_the_client() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let listener = tunnel.tcp_listen(8080, 4).unwrap();
    let client = SocketAddr::from((tunnel.info().inner_address, 8080));
    let served = tokio::spawn(async move {
        let (mut stream, from) = listener.accept().await.unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).await.unwrap();
        stream.write_all(request.to_uppercase().as_bytes()).await.unwrap();
        from
    });
    let mut stream = building.net().tcp_connect(client, TcpOptions::default()).await.unwrap();
    stream.write_all(b"from the building").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "FROM THE BUILDING");
    assert_eq!(served.await.unwrap().ip(), ROUTER);
}

#[tokio::test(start_paused = true)]
async fn a_listener_gives_its_options_to_what_it_accepts() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let keepalive = Some(Duration::from_secs(77));
    let options = TcpOptions::default().keepalive(keepalive).nodelay(true);
    let listener = tunnel.tcp_listen_with(8080, 4, options).unwrap();
    let client = (tunnel.info().inner_address, 8080);
    let net = building.net();
    let connect = net.tcp_connect(client, TcpOptions::default());
    let (_connected, accepted) = tokio::join!(connect, listener.accept());
    let (stream, _) = accepted.unwrap();
    assert_eq!((stream.keepalive().unwrap(), stream.nodelay().unwrap()), (keepalive, true));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_asked_of_the_buildings_own_dns_server() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    for address in ["knx.lan:80", "192.168.1.3:80"] {
        let stream = tunnel.tcp_connect(address).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), (DEVICE, 80).into());
    }
    let options = TcpOptions::default();
    let error = tunnel.tcp_connect_with("nobody.lan:80", options).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let socket = tunnel.udp_bind(0).unwrap();
    socket.connect("knx.lan:3671").await.unwrap();
    assert_eq!(socket.local_addr().unwrap().ip(), tunnel.info().inner_address);
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_building_have_addresses_of_their_own() {
    let world = World::new(10);
    let building = world.building(1);
    let other_client = client_at(&world.network, Ipv4Addr::new(10, 99, 1, 2));
    let (first, second, third) =
        tokio::join!(world.connect(&building), world.connect(&building), async {
            other_client.connect(config(building.address())).await.unwrap()
        },);
    let tunnels = [first, second, third];
    for tunnel in &tunnels {
        let address = tunnel.info().inner_address;
        let same = tunnels.iter().filter(|other| other.info().inner_address == address).count();
        assert_eq!(same, 1, "{address} was given twice");
        assert_eq!(get(tunnel, "/").await.unwrap(), b"building 1\n");
        building.net().ping(address, SECOND).await.expect("an answer from the client");
    }
    assert_eq!(building.stats().up, 3);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_of_the_building_reaches_every_client() {
    let world = World::new(10);
    let building = world.building(1);
    let mut clients = Vec::new();
    // more than leave in one batch
    for _ in 0..100 {
        let tunnel = world.connect(&building).await;
        clients.push(tunnel.udp_bind(3671).unwrap());
    }
    let options = UdpOptions::default().broadcast(true);
    let sender = building.net().udp_bind((ROUTER, 5000).into(), options).unwrap();
    for to in [Ipv4Addr::BROADCAST, Ipv4Addr::new(192, 168, 1, 255)] {
        for round in 0..3_u8 {
            sender.send_to(&[round, to.octets()[0]], (to, 3671)).await.unwrap();
        }
        for round in 0..3_u8 {
            for client in &clients {
                let mut datagram = [0; 16];
                let received = timeout(SECOND, client.recv_from(&mut datagram)).await;
                assert_eq!(received.expect("it comes").unwrap(), (2, (ROUTER, 5000).into()));
                assert_eq!(datagram[..2], [round, to.octets()[0]], "in order, and once");
            }
        }
    }
    assert_eq!(building.stats().undeliverable, 0);
}

#[tokio::test(start_paused = true)]
async fn a_multicast_of_the_building_reaches_those_who_joined_the_group() {
    let group = Ipv4Addr::new(224, 0, 23, 12);
    let world = World::new(10);
    let building = world.building(1);
    let (first, second) = tokio::join!(world.connect(&building), world.connect(&building));
    let (member, stranger) = (first.udp_bind(3671).unwrap(), second.udp_bind(3671).unwrap());
    let beside = first.udp_bind(3672).unwrap();
    member.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    let sender = building.net().udp_bind((DEVICE, 5000).into(), UdpOptions::default()).unwrap();
    let mut datagram = [0; 16];

    sender.send_to(b"to the group", (group, 3671)).await.unwrap();
    let received = timeout(SECOND, member.recv_from(&mut datagram)).await.expect("it comes");
    assert_eq!(received.unwrap(), (12, (DEVICE, 5000).into()));
    assert_eq!(&datagram[..12], b"to the group");
    for other in [&stranger, &beside] {
        let received = timeout(SECOND, other.recv_from(&mut datagram)).await;
        assert!(received.is_err(), "who has not joined it gets nothing: {received:?}");
    }

    member.leave_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    sender.send_to(b"once more", (group, 3671)).await.unwrap();
    assert!(timeout(SECOND, member.recv_from(&mut datagram)).await.is_err(), "it has left");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_to_nobody_and_one_too_large_harm_nothing() {
    let world = World::new(10);
    let building = world.building(1);
    let options = UdpOptions::default().broadcast(true);
    let sender = building.net().udp_bind((ROUTER, 5000).into(), options).unwrap();
    sender.send_to(b"nobody", (Ipv4Addr::BROADCAST, 9)).await.unwrap();
    let tunnel = world.connect(&building).await;
    sender.send_to(&[0; 1450], (Ipv4Addr::BROADCAST, 9)).await.unwrap();
    building.until(|stats| stats.undeliverable == 1).await;
    assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
}

#[tokio::test(start_paused = true)]
async fn an_echo_request_made_by_hand_is_answered() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    drop(tunnel.ip_packets().unwrap());
    let packets = tunnel.ip_packets().expect("they were given back");
    assert!(tunnel.ip_packets().is_err(), "they are given out to one");
    assert!(tunnel.tcp_connect((DEVICE, 80)).await.is_err(), "and the stack is no more");
    let request = echo_request(tunnel.info().inner_address, DEVICE);
    packets.send(&request).await.unwrap();
    let mut reply = [0; 2000];
    let count = timeout(SECOND, packets.recv(&mut reply)).await.unwrap().unwrap();
    let reply = &reply[..count];
    assert_eq!(reply[12..16], DEVICE.octets());
    assert_eq!(reply[16..20], tunnel.info().inner_address.octets());
    assert_eq!(reply[20], 0, "an echo reply");
    assert_eq!(reply[24..], request[24..], "identifier, sequence number and data come back");
}

/// RFC 791 and RFC 792, by hand
fn echo_request(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    icmp.extend(b"by hand!");
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    let mut packet = vec![0x45, 0, 0, 36, 0, 1, 0, 0, 64, 1, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(icmp);
    packet
}

fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    (!u16::try_from(folded).unwrap()).to_be_bytes()
}

/// The link is negotiated anew under them, and they notice a pause
#[tokio::test(start_paused = true)]
async fn sockets_outlive_a_renegotiation_that_keeps_the_address() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let before = tunnel.info();
    let mut echo = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
    let datagrams = tunnel.udp_bind(0).unwrap();
    let mut states = tunnel.state();

    for round in 0..3_u8 {
        building.renegotiate_all();
        states.wait_for(|state| matches!(state, State::Renegotiating)).await.unwrap();
        // written while nothing passes
        echo.write_all(&vec![round; 20_000]).await.unwrap();
        states.wait_for(|state| matches!(state, State::Up)).await.unwrap();
        let mut answer = vec![0; 20_000];
        echo.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, vec![round; 20_000]);
        datagrams.send_to(&[round], (DEVICE, 7)).await.unwrap();
        let mut answer = [0; 2];
        assert_eq!(datagrams.recv_from(&mut answer).await.unwrap().0, 1);
        assert_eq!(answer[0], round);
    }
    assert_eq!(tunnel.info().inner_address, before.inner_address);
    tunnel.close().await;
    building.idle().await;
    assert!(building.stats().ended[0].is_clean());
}
