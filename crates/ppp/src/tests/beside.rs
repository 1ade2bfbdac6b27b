//! Events beside the connect: IPv6, header compression, remarks, and frames that overtake

use std::time::Duration;

use pptp_mschap::Password;
use pptp_packet::PacketBuf;

use super::{
    connect::{client_config, server_config, wire},
    script::{LCP_REQUEST, MPPE_128, PEER_ADDRESS, Script, last_request},
    wire::Wire,
};
use crate::{
    ClientConfig, Discard, Event, Extras, Ipv6Addresses, Phase, Received, ServerConfig,
    ServerOrder, frame, wire::packet::Code,
};

const ORDERS: [ServerOrder; 3] = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];

fn run(client: ClientConfig, server: ServerConfig) -> Wire {
    let mut wire = wire(client, server);
    wire.connect().run_until_up(Duration::from_secs(5)).run(Duration::from_secs(1));
    wire
}

fn ipv6_of(events: &[(Duration, Event)]) -> Option<Ipv6Addresses> {
    events.iter().rev().find_map(|(_, event)| match event {
        Event::Up(negotiated) => Some(negotiated.ipv6),
        _ => None,
    })?
}

mod ipv6 {
    use super::*;

    fn with_ipv6(order: ServerOrder, client: bool, server: bool, mru: u16) -> Wire {
        let client = ClientConfig { ipv6: client, ..client_config() };
        let server = ServerConfig { ipv6: server, mru, ..server_config(order) };
        run(client, server)
    }

    #[test]
    fn both_ends_know_both_link_local_addresses() {
        for order in ORDERS {
            let wire = with_ipv6(order, true, true, 1400);
            println!("{order:?}\n{}", wire.ladder);
            let client = ipv6_of(&wire.client.events).expect("IPv6");
            let server = ipv6_of(&wire.server.events).expect("IPv6");
            assert_eq!(
                (client.address, client.peer_address),
                (server.peer_address, server.address)
            );
            assert_ne!(client.address, client.peer_address);
            assert!(client.address.is_unicast_link_local(), "{client:?}");
        }
    }

    /// One end that has none, and a link too narrow, are no reason for no link
    #[test]
    fn without_it_at_one_end_ipv4_comes_up_as_fast_as_ever() {
        for order in ORDERS {
            let (usual, _) = run(client_config(), server_config(order)).client.up().unwrap();
            for (client, server, mru) in
                [(true, false, 1400), (false, true, 1400), (true, true, 1283)]
            {
                let wire = with_ipv6(order, client, server, mru);
                let first = wire.client.events.iter().find(|(_, e)| matches!(e, Event::Up(_)));
                assert_eq!(first.map(|(at, _)| *at), Some(usual), "{order:?}\n{}", wire.ladder);
                assert_eq!(ipv6_of(&wire.client.events), None);
                assert_eq!(ipv6_of(&wire.server.events), None);
            }
        }
    }

    /// An IPv6 header without anything behind it
    fn packet() -> [u8; 40] {
        let mut packet = [0; 40];
        packet[0] = 0x60;
        packet[6] = 59;
        packet
    }

    fn pass(wire: &mut Wire) -> bool {
        let mut slot = PacketBuf::new();
        slot.reset(40).copy_from_slice(&packet());
        assert!(wire.client.link.seal(&mut slot));
        let arrival = pptp_mppe::Arrival { sequence: 1000, order: pptp_mppe::Order::Ahead };
        let frame = slot.as_mut_slice();
        match wire.server.link.handle_frame(wire.now, arrival, frame) {
            Received::Ip(packet_out) => {
                assert_eq!(*packet_out, packet());
                true
            }
            Received::Discarded(discard) => {
                assert_eq!(discard, Discard::InnerProtocol);
                false
            }
            Received::Control | Received::Proof => panic!("no control frame"),
        }
    }

    #[test]
    fn its_packets_pass_where_both_want_it_and_nowhere_else() {
        assert!(pass(&mut with_ipv6(ServerOrder::Pppd, true, true, 1400)));
        assert!(!pass(&mut with_ipv6(ServerOrder::Pppd, true, false, 1400)));
    }

    #[test]
    fn a_server_that_has_never_heard_of_it_ends_it_and_nothing_else() {
        let config = ClientConfig { ipv6: true, ..script_config() };
        let mut script = Script::with(config);
        script.open_lcp();
        script.authenticate();
        script.open_network();
        assert!(script.link.is_up());
        script.send(frame::LCP, Code::ProtocolReject, 1, &[0x80, 0x57, 1, 1, 0, 4]);
        script.sent();
        script.wait(Duration::from_secs(20));
        assert!(script.link.is_up());
        assert_eq!(script.sent(), [], "it is not asked again");
    }

    /// Ours is sent until it is given up; the link does not care
    #[test]
    fn a_server_that_says_nothing_to_it_is_not_asked_for_ever() {
        let echo = crate::EchoPolicy { silence: Duration::ZERO, ..Default::default() };
        let mut script = Script::with(ClientConfig { ipv6: true, echo, ..script_config() });
        script.open_lcp();
        script.authenticate();
        script.open_network();
        script.wait(Duration::from_mins(2));
        assert!(script.link.is_up());
        assert!(script.sent().iter().filter(|it| it.protocol == frame::IPV6CP).count() <= 10);
        assert_eq!(script.link.poll_timeout().map(|(_, timer)| timer), None);
    }

    /// It comes later than IPv4, and goes again
    #[test]
    fn what_changes_while_the_link_is_up_is_told() {
        let mut script = Script::with(ClientConfig { ipv6: true, ..script_config() });
        script.open_lcp();
        script.authenticate();
        script.open_network();
        script.events();
        let identifier = [1, 10, 0, 0, 0, 0, 0, 0, 0, 9];
        script.send(frame::IPV6CP, Code::ConfigureRequest, 1, &identifier);
        let sent = script.sent();
        let request = last_request(&sent, frame::IPV6CP).clone();
        script.send(frame::IPV6CP, Code::ConfigureAck, request.id, &request.data);
        let [Event::Up(negotiated)] = &script.events()[..] else { panic!() };
        let addresses = negotiated.ipv6.expect("IPv6");
        assert_eq!(addresses.peer_address.to_string(), "fe80::9");
        script.send(frame::IPV6CP, Code::TerminateRequest, 2, &[]);
        let [Event::Up(negotiated)] = &script.events()[..] else { panic!() };
        assert_eq!(negotiated.ipv6, None);
        assert!(script.link.is_up());
    }
}

fn script_config() -> ClientConfig {
    ClientConfig::new("User", Password::new("clientPass"))
}

#[test]
fn headers_are_compressed_where_we_ask_for_it_and_all_forms_are_taken() {
    for (wanted, header) in [(true, &[0xFD, 0x90][..]), (false, &[0xFF, 0x03, 0x00, 0xFD])] {
        let client = ClientConfig { header_compression: wanted, ..client_config() };
        let mut wire = run(client, server_config(ServerOrder::AccelPpp));
        let mut packet = PacketBuf::new();
        let inner = *b"\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";
        packet.reset(20).copy_from_slice(&inner);
        assert!(wire.server.link.seal(&mut packet));
        assert!(packet.as_slice().starts_with(header), "{:02x?}", packet.as_slice());
        let arrival = pptp_mppe::Arrival { sequence: 1000, order: pptp_mppe::Order::Ahead };
        let received = wire.client.link.handle_frame(wire.now, arrival, packet.as_mut_slice());
        assert_eq!(received, Received::Ip(&mut inner.clone()));
    }
}

/// `MikroTik` rejects both, and more
#[test]
fn what_a_server_rejects_in_lcp_is_not_asked_for_again() {
    let mut script = Script::with(ClientConfig { header_compression: true, ..script_config() });
    let sent = script.sent();
    let request = last_request(&sent, frame::LCP);
    assert_eq!(request.data[10..], [7, 2, 8, 2]);
    script.send(frame::LCP, Code::ConfigureReject, request.id, &[7, 2, 8, 2]);
    assert_eq!(last_request(&script.sent(), frame::LCP).data.len(), 10);
}

#[test]
fn a_server_without_a_magic_number_that_asks_for_everything_is_lived_with() {
    for order in ORDERS {
        let extras = Extras {
            // callback, MRRU, endpoint discriminator, link discriminator, LQR, compound frames
            link_options: vec![
                (13, vec![6]),
                (17, vec![6, 0x4E]),
                (19, vec![1; 21]),
                (23, vec![0, 1]),
                (4, vec![0xC0, 0x25, 0, 0, 0, 1]),
                (15, vec![]),
            ],
            // VJ, the old addresses, a subnet mask
            address_options: vec![
                (2, vec![0, 0x2D, 15, 1]),
                (1, vec![0; 8]),
                (144, vec![255, 255, 255, 0]),
            ],
            hides_address: true,
            rejects_magic: true,
            ..Extras::default()
        };
        let wire = run(client_config(), ServerConfig { extras, ..server_config(order) });
        let (at, negotiated) = wire.client.up().unwrap_or_else(|| panic!("{}", wire.ladder));
        assert!(at < Duration::from_secs(1), "{}", wire.ladder);
        assert_eq!((negotiated.magic, negotiated.peer_magic), (None, None));
        assert_eq!(negotiated.peer_address, None);
    }
}

#[test]
fn rfc1570_what_a_peer_says_is_told_and_bounded() {
    let extras = Extras {
        identification: Some("MSRASV5.20".to_owned()),
        seconds_remaining: Some(600),
        ..Extras::default()
    };
    let server = ServerConfig { extras, ..server_config(ServerOrder::Pppd) };
    let wire = run(client_config(), server);
    let told: Vec<_> = wire.client.events.iter().map(|(_, event)| event).collect();
    assert!(told.contains(&&Event::Identification("MSRASV5.20".to_owned())));
    let left = Duration::from_mins(10);
    assert!(told.contains(&&Event::TimeRemaining { left, message: String::new() }));

    let mut script = Script::up();
    script.events();
    for length in 0..8 {
        script.send(frame::LCP, Code::TimeRemaining, 1, &[0; 8][..length]);
    }
    script.send(frame::LCP, Code::Identification, 1, &[0; 3]);
    assert_eq!(script.events(), [], "too short to say anything");
    script.send(frame::LCP, Code::TimeRemaining, 1, b"\0\0\0\0\xFF\xFF\xFF\xFFstay");
    let forever = Event::TimeRemaining { left: Duration::MAX, message: "stay".to_owned() };
    assert_eq!(script.events(), [forever]);
    for _ in 0..1000 {
        script.send(frame::LCP, Code::Identification, 1, &[b'x'; 1000]);
    }
    let told = script.events();
    assert!(
        told.len() <= 4 && matches!(&told[0], Event::Identification(text) if text.len() == 256)
    );
}

mod overtaken {
    use super::*;

    /// Both requests of the network phase overtake the Success that begins it
    #[test]
    fn the_requests_that_overtake_a_success_are_answered_when_it_is_there() {
        let mut script = Script::at_authentication();
        script.challenge(1);
        let (success, _) = script.success();
        for (protocol, request) in [(frame::CCP, MPPE_128), (frame::IPCP, PEER_ADDRESS)] {
            let early = script.try_receive(protocol, 1, 7, request);
            assert_eq!(early, Err(Discard::OutOfPhase));
            script.try_receive(protocol, 1, 7, request).unwrap_err();
        }
        script.sent();
        script.receive(frame::CHAP, 3, 1, success.as_bytes());
        let sent = script.sent();
        for protocol in [frame::CCP, frame::IPCP] {
            let acks = sent.iter().filter(|it| (it.protocol, it.code, it.id) == (protocol, 2, 7));
            assert_eq!(acks.count(), 1, "{protocol:04x}: {sent:?}");
        }
    }

    #[test]
    fn a_challenge_that_overtakes_lcps_last_frame_is_answered_when_it_is_there() {
        let mut script = Script::new();
        let sent = script.sent();
        script.send(frame::LCP, Code::ConfigureRequest, 0, LCP_REQUEST);
        script.sent();
        let challenge = [&[16][..], &[0x5B; 16], b"server"].concat();
        let early = script.try_receive(frame::CHAP, 1, 1, &challenge);
        assert_eq!(early, Err(Discard::OutOfPhase));
        script.acknowledge_in(&sent, frame::LCP);
        assert_eq!(script.link.phase(), Phase::Authentication);
        let sent = script.sent();
        assert!(sent.iter().any(|it| (it.protocol, it.code) == (frame::CHAP, 2)), "{sent:?}");
    }

    #[test]
    fn little_is_kept_and_not_longer_than_the_negotiation_lasts() {
        let mut script = Script::at_authentication();
        for id in 0..20 {
            script.try_receive(frame::IPCP, 1, id, PEER_ADDRESS).unwrap_err();
        }
        script.try_receive(frame::CCP, 1, 1, &[0; 400]).unwrap_err();
        script.send(frame::LCP, Code::ConfigureRequest, 9, LCP_REQUEST);
        script.acknowledge(frame::LCP);
        script.authenticate();
        let sent = script.sent();
        assert!(!sent.iter().any(|it| it.code == 2), "of the negotiation before: {sent:?}");
    }
}
