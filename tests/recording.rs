//! The flight recorder's file, and captures of the inside

use std::{net::Ipv4Addr, time::Duration};

use pptp::{State, Tunnel, TunnelConfig, record::CaptureOptions};
use pptp_testkit::DEVICE;
use pptp_tests::{CLIENT, World, address_of, config, get, pcapng::File};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// GRE's Call ID and sequence number in a datagram of the outside
fn call_and_sequence(datagram: &[u8]) -> Option<(u16, u32)> {
    let gre = datagram.get(20..).filter(|_| datagram[9] == 47)?;
    let call_id = u16::from_be_bytes(gre[6..8].try_into().unwrap());
    Some((call_id, u32::from_be_bytes(gre[8..12].try_into().unwrap())))
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_on_record_in_order_and_between_the_real_addresses() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.client.connect(config(building.address()).name("b1")).await.unwrap();
    let record = tunnel.flight_record();
    assert!(matches!(record.state(), State::Up));
    let file = File::read(&record.pcapng());
    assert!(file.comment.contains("tunnel b1") && file.comment.contains("up"), "{}", file.comment);
    assert_eq!((file.interface.as_str(), file.address), ("b1", Some(CLIENT)));
    assert_eq!(record.forgotten(), 0, "a whole connect fits");
    assert_eq!(file.packets.len(), record.records().len(), "a message comes in one piece here");
    assert!(file.packets.is_sorted_by_key(|packet| packet.at));
    let since_1970 = record.began().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(file.packets[0].at.abs_diff(since_1970) < Duration::from_secs(1));
    let ends = [CLIENT.octets(), address_of(1).octets()];
    for packet in &file.packets {
        let [from, to] = [&packet.octets[12..16], &packet.octets[16..20]];
        let [here, there] = if packet.is_outbound { [from, to] } else { [to, from] };
        assert_eq!([here, there], [&ends[0][..], &ends[1]]);
        assert_eq!(packet.length, packet.octets.len());
    }
    for is_outbound in [true, false] {
        let sent = file.packets.iter().filter(|packet| packet.is_outbound == is_outbound);
        let numbers: Vec<_> = sent.filter_map(|it| call_and_sequence(&it.octets)).collect();
        assert!(numbers.len() > 5, "{numbers:?}");
        assert!(numbers.is_sorted_by(|a, b| a.0 == b.0 && a.1 < b.1), "{numbers:?}");
    }
    let redacted = file.packets.iter().filter(|packet| !packet.comment.is_empty());
    assert_eq!(redacted.count(), 1, "our Response, and nothing else");
}

/// The last thing that a server hears from us is on record when it says no
#[tokio::test(start_paused = true)]
async fn a_failed_login_is_on_record_without_anything_that_its_password_made() {
    let world = World::new(5);
    let building = world.building(1);
    let server = building.address().to_string();
    let mut connecting = world.client.connect(TunnelConfig::new(server, "testuser", "open sesame"));
    let error = (&mut connecting).await.unwrap_err();
    assert_eq!(error.name(), "AuthFailed");
    let record = connecting.flight_record();
    let file = File::read(&record.pcapng());
    assert!(file.comment.contains("AuthFailed") && file.comment.contains("691"));
    assert!(file.shows(false, b"E=691"), "what the server said");
    let response = file.packets.iter().find(|packet| packet.comment.contains("secret")).unwrap();
    let (head, value) = response.octets.split_at(20 + 12 + 2 + 2 + 4);
    assert!(head.ends_with(&[0xC2, 0x23, 2, head[37], 0, 62]), "CHAP, Response: {head:02x?}");
    assert_eq!(value, [0; 58], "value size, value and name");
    let octets = record.pcapng();
    let utf_16: Vec<u8> = "open sesame".bytes().flat_map(|octet| [octet, 0]).collect();
    for secret in [&b"open sesame"[..], &utf_16] {
        assert!(!octets.windows(secret.len()).any(|some| some == secret));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_got_nowhere_has_a_record_without_packets() {
    let world = World::new(5);
    let mut connecting = world.client.connect(config(address_of(9)).name("nowhere"));
    (&mut connecting).await.unwrap_err();
    let file = File::read(&connecting.flight_record().pcapng());
    assert!(file.comment.contains("TcpFailed"), "{}", file.comment);
    assert!(file.packets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_recorder_has_the_size_that_was_asked_for() {
    let world = World::new(5);
    let building = world.building(1);
    let mut counts = Vec::new();
    for octets in [0, 200, 65_536] {
        let config = config(building.address()).flight_recorder(octets);
        let tunnel = world.client.connect(config).await.unwrap();
        let record = tunnel.flight_record();
        counts.push((record.records().len() as u64, record.forgotten()));
        File::read(&record.pcapng());
        tunnel.close().await;
    }
    assert_eq!(counts[0].0, 0);
    assert!(counts[0].1 > 10 && counts[1].0 > 1 && counts[1].1 > 1, "{counts:?}");
    assert_eq!(counts[2], (counts[0].1, 0), "all that the first had no room for");
}

/// Everything until the end of the capture
async fn rest(mut capture: pptp::record::Capture) -> Vec<u8> {
    let mut octets = Vec::new();
    let reading = capture.read_to_end(&mut octets);
    timeout(Duration::from_mins(1), reading).await.expect("an end").unwrap();
    octets
}

#[tokio::test(start_paused = true)]
async fn a_capture_shows_both_ways_in_the_clear_until_the_tunnel_ends() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let capture = tunnel.capture();
    let reading = tokio::spawn(rest(capture));
    get(&tunnel, "/").await.unwrap();
    let address = tunnel.info().inner_address;
    tunnel.close().await;
    let file = File::read(&reading.await.unwrap());
    assert_eq!(file.address, Some(address));
    assert!(file.shows(true, b"GET / HTTP/1.0\r\n") && !file.shows(false, b"GET /"));
    assert!(file.shows(false, b"building 1\n") && !file.shows(true, b"building 1\n"));
    for packet in &file.packets {
        let source = if packet.is_outbound { address } else { DEVICE };
        assert_eq!(packet.octets[12..16], source.octets());
    }
    // SYN and SYN+ACK are a round trip apart
    assert_eq!(file.packets[1].at.abs_diff(file.packets[0].at), Duration::from_millis(40));
    let counted = file.statistics.expect("the last block");
    assert_eq!((counted.received, counted.dropped), (file.packets.len() as u64, 0));
    assert!(counted.comment.contains("Closed"), "{}", counted.comment);
    let passed = tunnel.stats().tunnel;
    assert_eq!(passed.ip_received + passed.ip_sent, counted.received, "every packet");
}

#[tokio::test(start_paused = true)]
async fn captures_have_bounds_of_their_own() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let options = CaptureOptions::default();
    let whole = tunnel.capture();
    let mut short = tunnel.capture_with(options.snap_length(40));
    let small = tunnel.capture_with(options.buffer(10_000));
    let none = tunnel.capture_with(options.buffer(0));
    drop(tunnel.capture());
    download(&tunnel, 300_000).await;
    short.stop();
    let of_short = File::read(&rest(short).await);
    get(&tunnel, "/").await.unwrap();
    assert!(small.dropped() > 100 && whole.dropped() == 0);
    tunnel.close().await;
    let of_whole = File::read(&rest(whole).await);
    let passed = of_whole.statistics.as_ref().unwrap().received;
    assert_eq!(of_whole.packets.len() as u64, passed);
    assert!(of_whole.packets.iter().map(|it| it.length).sum::<usize>() > 300_000);

    let counted = of_short.statistics.as_ref().unwrap();
    assert_eq!((counted.comment.as_str(), counted.dropped), ("stopped", 0));
    assert!(counted.received < passed, "it was stopped before the end");
    assert!(of_short.packets.iter().all(|it| it.octets.len() <= 40));
    let lengths = |file: &File| file.packets.iter().map(|it| it.length).collect::<Vec<_>>();
    assert!(lengths(&of_whole).starts_with(&lengths(&of_short)), "the lengths are the real ones");

    for (capture, packets) in [(small, 6..), (none, 0..)] {
        let octets = rest(capture).await;
        assert!(octets.len() < 10_000 + 1000, "{} octets", octets.len());
        let file = File::read(&octets);
        let counted = file.statistics.unwrap();
        assert_eq!(
            (counted.received, counted.received - counted.dropped),
            (passed, file.packets.len() as u64)
        );
        assert!(packets.contains(&file.packets.len()), "{}", file.packets.len());
    }
}

async fn download(tunnel: &Tunnel, octets: usize) {
    let mut stream = tunnel.tcp_connect((DEVICE, 19)).await.unwrap();
    stream.write_all(format!("{octets}\n").as_bytes()).await.unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), octets);
}

#[tokio::test(start_paused = true)]
async fn blocks_come_whole_and_a_read_that_is_given_up_loses_none() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let mut capture = tunnel.capture();
    let mut octets = capture.next().await.unwrap().to_vec();
    assert!(File::read(&octets).packets.is_empty(), "what a file begins with");
    for sequence in 1..=3 {
        assert!(timeout(Duration::from_secs(1), capture.next()).await.is_err(), "nothing passes");
        tunnel.ping(DEVICE, Duration::from_secs(1)).await.unwrap();
        assert!(timeout(Duration::ZERO, capture.next()).await.is_ok_and(|blocks| {
            octets.extend(blocks.unwrap());
            true
        }));
        assert_eq!(File::read(&octets).packets.len(), 2 * sequence, "whole blocks");
    }
    capture.stop();
    capture.stop();
    octets.extend(capture.next().await.expect("the last block"));
    assert!(capture.next().await.is_none() && capture.next().await.is_none());
    assert_eq!(File::read(&octets).statistics.unwrap().received, 6);
}

#[tokio::test(start_paused = true)]
async fn a_capture_does_not_keep_a_tunnel_up_and_one_of_an_ended_tunnel_ends() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let capture = tunnel.capture();
    let ended = tunnel.clone();
    drop(tunnel);
    ended.close().await;
    assert!(File::read(&rest(capture).await).statistics.is_some());
    let late = File::read(&rest(ended.capture()).await);
    assert!(late.packets.is_empty() && late.statistics.unwrap().comment.contains("Closed"));

    let tunnel = world.connect(&building).await;
    let capture = tunnel.capture();
    drop(tunnel);
    building.idle().await;
    assert!(File::read(&rest(capture).await).statistics.is_some(), "the tunnel was hung up");
}

/// A caller's own packets are captured as those of the sockets are
#[tokio::test(start_paused = true)]
async fn packets_without_a_stack_are_captured_too() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let packets = tunnel.ip_packets().unwrap();
    let mut capture = tunnel.capture();
    let request = echo_request(tunnel.info().inner_address, DEVICE);
    packets.send(&request).await.unwrap();
    let mut reply = [0; 100];
    let length = packets.recv(&mut reply).await.unwrap();
    capture.stop();
    let file = File::read(&rest(capture).await);
    let seen: Vec<_> = file.packets.iter().map(|it| (it.is_outbound, &it.octets[..])).collect();
    assert_eq!(seen, [(true, &request[..]), (false, &reply[..length])]);
}

/// An ICMP echo request without data in an IPv4 packet
fn echo_request(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 1, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([8, 0, 0xF7, 0xFF, 0, 0, 0, 0]);
    let sum = packet[..20].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum = sum.sum::<u32>();
    let sum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}
