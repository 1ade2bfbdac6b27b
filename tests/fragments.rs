//! Datagrams larger than the tunnel's MTU, to a building and back

use std::{net::Ipv4Addr, time::Duration};

use pptp::{Tunnel, net::UdpSocket};
use pptp_testkit::{DEVICE, Server, UdpOptions, content, memory::Impairment};
use pptp_tests::{World, config, digest_of};
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Around one packet of a tunnel (1,368) and one of Ethernet (1,472), and far beyond
const SIZES: [usize; 10] = [100, 1300, 1368, 1369, 1450, 1472, 2000, 9000, 60_000, 65_507];

/// Sends a question and waits for its answer
async fn ask(socket: &UdpSocket, question: &[u8], port: u16) -> Vec<u8> {
    let sent = socket.send_to(question, (DEVICE, port)).await.expect("sent");
    assert_eq!(sent, question.len());
    let mut answer = vec![0; 65_536];
    let (count, from) = timeout(5 * SECOND, socket.recv_from(&mut answer))
        .await
        .unwrap_or_else(|_| panic!("{} octets to port {port}: no answer", question.len()))
        .expect("an answer");
    assert_eq!(from, (DEVICE, port).into());
    answer.truncate(count);
    answer
}

/// Every size in, out, and both
async fn ask_all(tunnel: &Tunnel, building: u32) {
    let socket = tunnel.udp_bind(0).expect("a socket");
    for size in SIZES {
        let datagram = content::datagram(building, size);
        let answer = ask(&socket, size.to_string().as_bytes(), 19).await;
        assert!(answer == datagram, "{size} octets in");
        let digest = ask(&socket, &datagram, 9).await;
        assert_eq!(digest, digest_of(&datagram).into_bytes(), "{size} octets out");
        let echo = ask(&socket, &datagram, 7).await;
        assert!(echo == datagram, "{size} octets each way");
    }
}

#[tokio::test(start_paused = true)]
async fn datagrams_of_any_size_pass_each_way() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    assert_eq!(tunnel.info().mtu, 1396);
    ask_all(&tunnel, 1).await;
    assert_eq!(building.stats().undeliverable, 0);
    let stack = tunnel.stats().stack.expect("it was used");
    // of ten sizes three fit one packet, and each came twice and left twice
    assert_eq!(stack.reassembled, 14, "{stack:?}");
    let fragments = |octets: usize| (octets + 8).div_ceil(1376);
    let sent: usize = SIZES[3..].iter().map(|size| 2 * fragments(*size)).sum();
    assert_eq!(stack.fragments_out, u64::try_from(sent).expect("few"), "{stack:?}");
    let lost = stack.reassembly_timeouts + stack.reassembly_conflicts + stack.reassembly_overflows;
    assert_eq!((lost, stack.malformed), (0, 0), "{stack:?}");
    assert!(tunnel.tcp_connect((DEVICE, 80)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_mtu_of_the_tunnel_decides_where_datagrams_are_cut() {
    // of 1,500 the outer headers take 41 on a path of 1,500
    for (mru, mtu) in [(576, 572), (1000, 996), (1500, 1459)] {
        let world = World::new(10);
        let building = world.serve(1, Server::builder(1).mru(mru));
        let tunnel = world.client.connect(config(building.address()).mru(mru)).await.expect("up");
        assert_eq!(tunnel.info().mtu, mtu);
        ask_all(&tunnel, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn late_and_doubled_frames_lose_no_datagram() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    world.network.set_impairment(Impairment {
        jitter: Duration::from_millis(8),
        duplicate_per_mille: 100,
        ..Impairment::default()
    });
    ask_all(&tunnel, 1).await;
}

#[tokio::test(start_paused = true)]
async fn above_65507_octets_is_too_long() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let socket = tunnel.udp_bind(0).expect("a socket");
    let error = socket.send_to(&vec![0; 65_508], (DEVICE, 7)).await.expect_err("no such datagram");
    let expected = if cfg!(target_os = "linux") { Some(90) } else { error.raw_os_error() };
    assert_eq!(error.raw_os_error(), expected, "{error}");
    // a ping tells what passes in one packet
    let mtu = usize::from(tunnel.info().mtu);
    tunnel.ping_sized(DEVICE, mtu, SECOND).await.expect("the MTU passes");
    let error = tunnel.ping_sized(DEVICE, mtu + 1, SECOND).await.expect_err("and no octet more");
    assert_eq!(error.raw_os_error().is_some(), cfg!(unix), "{error}");
}

/// The building asks, and the tunnel's user answers
#[tokio::test(start_paused = true)]
async fn a_large_question_of_the_building_is_received_whole() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let (socket, inner) = (tunnel.udp_bind(5000).expect("free"), tunnel.info().inner_address);
    let net = building.net();
    let device = net.udp_bind((DEVICE, 4000).into(), UdpOptions::default()).expect("free");
    for size in SIZES {
        let datagram = content::datagram(3, size);
        device.send_to(&datagram, (inner, 5000)).await.expect("sent");
        let mut received = vec![0; 65_536];
        let came = timeout(SECOND, socket.recv_from(&mut received)).await.expect("it comes");
        assert_eq!(came.expect("received"), (size, (DEVICE, 4000).into()));
        assert!(received[..size] == datagram);
    }
}

/// Who brings a stack of their own has its reassembly too
#[tokio::test(start_paused = true)]
async fn whoever_reads_ip_packets_gets_fragments_as_they_are() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let inner = tunnel.info().inner_address;
    let packets = tunnel.ip_packets().expect("they are free");
    let net = building.net();
    let device = net.udp_bind((DEVICE, 4000).into(), UdpOptions::default()).expect("free");
    device.send_to(&content::datagram(1, 2000), (inner, 5000)).await.expect("sent");
    let mut octets = Vec::new();
    // the device's packets of 1,500 and 548 octets; the router cuts the first
    for (length, more, place) in [(1396, true, 0), (124, true, 172), (548, false, 185)] {
        let mut packet = [0; 2000];
        let count = timeout(SECOND, packets.recv(&mut packet)).await.expect("it comes");
        let packet = &packet[..count.expect("received")];
        let word = u16::from_be_bytes([packet[6], packet[7]]);
        assert_eq!((packet.len(), word & 0x2000 > 0, word & 0x1FFF), (length, more, place));
        assert_eq!(packet[12..20], [DEVICE.octets(), inner.octets()].concat());
        octets.extend_from_slice(&packet[20..]);
    }
    assert_eq!(octets[8..], content::datagram(1, 2000));

    // and what they send in fragments arrives, once it is whole
    let question = packet(inner, DEVICE, &udp(5000, 7, &[7; 1992]));
    for (start, end) in [(1000, 2000), (0, 1000)] {
        let fragment = fragment(&question, start, end);
        packets.send(&fragment).await.expect("sent");
    }
    let mut answered = 0;
    while answered < 2000 {
        let mut answer = [0; 2000];
        let count = timeout(SECOND, packets.recv(&mut answer)).await.expect("it comes");
        answered += count.expect("received") - 20;
    }
    assert_eq!(answered, 2000, "the echo, in fragments");
}

/// Any host of the building can send fragments, and no more than four datagrams' are kept
#[tokio::test(start_paused = true)]
async fn a_flood_of_fragments_by_one_host_takes_no_datagram_from_another() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let (socket, inner) = (tunnel.udp_bind(0).expect("a socket"), tunnel.info().inner_address);
    let hostile = Ipv4Addr::new(192, 168, 1, 66);
    let whole = packet(hostile, inner, &udp(9, 9, &[7; 992]));
    let flood = async {
        for identification in 1..=u16::MAX {
            let mut first = whole.clone();
            first[4..6].copy_from_slice(&identification.to_be_bytes());
            assert!(building.forge_ip(fragment(&first, 0, 504)));
            if identification % 16 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    let asking = async {
        for size in [2000, 9000, 60_000] {
            for _ in 0..5 {
                let answer = ask(&socket, size.to_string().as_bytes(), 19).await;
                assert!(answer == content::datagram(1, size), "{size}");
            }
        }
    };
    tokio::select! {
        biased;
        () = asking => {}
        () = flood => panic!("the flood was over before"),
    }
}

/// A UDP datagram (RFC 768) without checksum
fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("it fits");
    let header = [from, to, length, 0].map(u16::to_be_bytes);
    [header.as_flattened(), payload].concat()
}

/// An IP packet of UDP, however large
fn packet(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let header = [0x45, 0, 0, 0, 0xAB, 0xCD, 0, 0, 64, 17, 0, 0];
    [&header[..], &from.octets(), &to.octets(), payload].concat()
}

/// The octets from `start` to `end` of a packet's payload as a fragment
fn fragment(packet: &[u8], start: usize, end: usize) -> Vec<u8> {
    let (header, payload) = packet.split_at(20);
    let mut fragment = [header, &payload[start..end]].concat();
    let length = u16::try_from(fragment.len()).expect("it fits");
    fragment[2..4].copy_from_slice(&length.to_be_bytes());
    let more = if end < payload.len() { 0x2000 } else { 0 };
    let place = more + u16::try_from(start / 8).expect("it fits");
    fragment[6..8].copy_from_slice(&place.to_be_bytes());
    let sum = checksum(&fragment[..20]);
    fragment[10..12].copy_from_slice(&sum);
    fragment
}

/// RFC 1071
fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    (!u16::try_from(folded).expect("folded")).to_be_bytes()
}
