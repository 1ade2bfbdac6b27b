//! How a client begins: sockets, endpoints of both sides, bounds

use std::net::{Ipv4Addr, SocketAddrV4};

use super::bench::{
    Bench, DEVICE, Out, VIA, connect_request, connect_response, endpoints, frame, inner, local,
    response,
};
use crate::{
    Hpai, Protocol, Service, description_request,
    relay::{Endpoint, Options},
};

#[test]
fn each_client_has_a_socket_of_its_own_and_our_true_endpoint_in_its_frames() {
    let mut bench = Bench::new(Endpoint::True);
    for (number, port) in [(1, 40_000), (2, 40_001)] {
        let client = local(50_000 + number);
        let question = description_request(Hpai::udp(client));
        let expected = description_request(inner(port)).to_vec();
        assert_eq!(bench.client(client, &question), [Out::Device(port, DEVICE, expected)]);
        let answer = frame(Service::DESCRIPTION_RESPONSE, &[54, 1]);
        let out = bench.device(port, DEVICE, &answer);
        assert_eq!(out, [Out::Client(client, answer)]);
    }
    assert_eq!(bench.relay.clients(), 2);
}

#[test]
fn both_endpoints_of_a_connect_are_our_inner_socket() {
    let mut bench = Bench::new(Endpoint::True);
    let wish = connect_request(Hpai::udp(local(50_000)), Hpai::udp(local(50_001)));
    let out = bench.client(local(50_000), &wish);
    assert_eq!(out, [Out::Device(40_000, DEVICE, connect_request(inner(40_000), inner(40_000)))]);
    let mut bench = Bench::new(Endpoint::Zero);
    let out = bench.client(local(50_000), &wish);
    let zeros = connect_request(Hpai::ROUTE_BACK, Hpai::ROUTE_BACK);
    assert_eq!(out, [Out::Device(40_000, DEVICE, zeros)]);
}

/// The device's endpoint as a client gets it: the address to which it sends, or zeros if it used zeros
#[test]
fn the_devices_endpoint_is_ours_for_a_client_and_zero_for_one_that_used_zeros() {
    let elsewhere = Hpai::udp(SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 3), 50_100));
    for (own, expected) in
        [(Hpai::udp(local(50_000)), Hpai::udp(VIA)), (Hpai::ROUTE_BACK, Hpai::ROUTE_BACK)]
    {
        let mut bench = Bench::new(Endpoint::True);
        bench.client(local(50_000), &connect_request(own, own));
        let out = bench.device(40_000, DEVICE, &connect_response(7, elsewhere));
        assert_eq!(out, [Out::Client(local(50_000), connect_response(7, expected))]);
        for (question, answer) in [
            (Service::SEARCH_REQUEST, Service::SEARCH_RESPONSE),
            (Service::SEARCH_REQUEST_EXTENDED, Service::SEARCH_RESPONSE_EXTENDED),
        ] {
            bench.client(local(50_000), &frame(question, &own.emit()));
            let answer = frame(answer, &[&elsewhere.emit()[..], &[54, 1]].concat());
            let out = bench.device(40_000, DEVICE, &answer);
            let [Out::Client(to, octets)] = &out[..] else { panic!("{out:?}") };
            assert_eq!((*to, endpoints(octets)), (local(50_000), vec![expected]));
        }
    }
}

/// Of an HPAI no more than the port is believed, and the port only if it names the source's address
#[test]
fn nobodys_answers_can_be_pointed_at_a_third_host() {
    let (source, third) = (local(50_000), Ipv4Addr::new(10, 0, 0, 9));
    for (told, expected) in [
        (Hpai::udp(local(50_001)), local(50_001)),
        (Hpai::udp(SocketAddrV4::new(third, 50_001)), source),
        (Hpai::udp(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 50_001)), source),
        (Hpai::udp(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)), source),
        (Hpai::ROUTE_BACK, source),
    ] {
        let mut bench = Bench::new(Endpoint::True);
        bench.client(source, &description_request(told));
        let answer = frame(Service::DESCRIPTION_RESPONSE, &[]);
        let out = bench.device(40_000, DEVICE, &answer);
        assert_eq!(out, [Out::Client(expected, answer)], "{told:?}");
    }
}

#[test]
fn a_refused_connect_of_eight_octets_passes() {
    let mut bench = Bench::new(Endpoint::True);
    let own = Hpai::udp(local(50_000));
    bench.client(local(50_000), &connect_request(own, own));
    let refused = response(Service::CONNECT_RESPONSE, 0, 0x24);
    let out = bench.device(40_000, DEVICE, &refused);
    assert_eq!(out, [Out::Client(local(50_000), refused)]);
    assert_eq!((bench.relay.connections(), bench.relay.clients()), (0, 0));
}

#[test]
fn unknown_services_and_encrypted_frames_pass_unchanged_both_ways() {
    let mut bench = Bench::new(Endpoint::True);
    let client = local(50_000);
    for service in [Service::SECURE_WRAPPER, Service::ROUTING_INDICATION, Service(0x0960)] {
        let octets = frame(service, &Hpai::udp(client).emit());
        let out = bench.client(client, &octets);
        assert_eq!(out, [Out::Device(40_000, DEVICE, octets.clone())]);
        assert_eq!(bench.device(40_000, DEVICE, &octets), [Out::Client(client, octets)]);
    }
    // the begin of a session tells where its answers go: by TCP, nowhere
    let tcp = Hpai { protocol: Protocol::Tcp, ..Hpai::ROUTE_BACK };
    let octets = frame(Service::SESSION_REQUEST, &[&tcp.emit()[..], &[7; 32]].concat());
    assert_eq!(bench.client(client, &octets), [Out::Device(40_000, DEVICE, octets)]);
}

#[test]
fn remote_configuration_is_dropped_and_counted_unless_it_is_allowed() {
    let own = Hpai::udp(local(50_000));
    let change = frame(Service::REMOTE_BASIC_CONFIGURATION_REQUEST, &own.emit());
    let reset = frame(Service::REMOTE_RESET_REQUEST, &[2, 1, 1, 0]);
    let mut bench = Bench::new(Endpoint::True);
    assert_eq!(bench.client(local(50_000), &change), []);
    assert_eq!(bench.client(local(50_000), &reset), []);
    assert_eq!(bench.relay.counters().remote_configuration, 2);
    assert!(bench.sockets.is_empty(), "they do not even open a socket");
    let question = frame(Service::REMOTE_DIAGNOSTIC_REQUEST, &own.emit());
    assert_eq!(bench.client(local(50_000), &question).len(), 1, "a question changes nothing");
    let endpoint = Endpoint::True;
    let mut bench = Bench::with(Options { endpoint, remote_configuration: true, max_clients: 4 });
    let expected = frame(Service::REMOTE_BASIC_CONFIGURATION_REQUEST, &inner(40_000).emit());
    assert_eq!(bench.client(local(50_000), &change), [Out::Device(40_000, DEVICE, expected)]);
    assert_eq!(bench.client(local(50_000), &reset), [Out::Device(40_000, DEVICE, reset)]);
}

#[test]
fn a_frame_whose_endpoint_cannot_be_read_leads_nowhere() {
    let mut bench = Bench::new(Endpoint::True);
    let own = Hpai::udp(local(50_000));
    bench.client(local(50_000), &connect_request(own, own));
    let mut answer = connect_response(7, Hpai::udp(DEVICE));
    answer[9] = 9;
    assert_eq!(bench.device(40_000, DEVICE, &answer), []);
    let mut question = description_request(own);
    question[6] = 54;
    assert_eq!(bench.client(local(50_000), &question), []);
    assert_eq!(bench.client(local(50_000), b"no frame"), []);
    assert_eq!(bench.relay.counters().malformed, 3);
}

#[test]
fn datagrams_of_other_hosts_of_the_building_are_dropped() {
    let mut bench = Bench::new(Endpoint::True);
    bench.client(local(50_000), &description_request(Hpai::ROUTE_BACK));
    let stranger = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 4), 3671);
    let answer = frame(Service::DESCRIPTION_RESPONSE, &[]);
    assert_eq!(bench.device(40_000, stranger, &answer), []);
    assert_eq!(bench.relay.counters().strangers, 1);
    let other_port = SocketAddrV4::new(*DEVICE.ip(), 50_100);
    assert_eq!(bench.device(40_000, other_port, &answer).len(), 1);
}

#[test]
fn frames_wait_for_a_socket_within_their_bounds() {
    let mut bench = Bench::new(Endpoint::True).hold();
    for number in 0..20 {
        let octets = frame(Service(0x0960), &[number]);
        assert_eq!(bench.client(local(50_000), &octets), []);
    }
    assert_eq!(bench.relay.counters().no_room, 4);
    assert_eq!(bench.client(local(50_001), &frame(Service(0x0960), &vec![0; 20_000])), []);
    assert_eq!(bench.relay.counters().no_room, 5, "16 KiB of a client wait at most");
    assert_eq!(bench.open_all().len(), 16);
}

#[test]
fn a_socket_that_cannot_be_had_drops_what_waited() {
    let mut bench = Bench::new(Endpoint::True).hold();
    bench.client(local(50_000), &description_request(Hpai::ROUTE_BACK));
    let peer = *bench.sockets.keys().next().unwrap();
    bench.relay.handle_not_opened(bench.now, peer);
    assert_eq!(bench.relay.counters().no_room, 1);
    assert!(bench.relay.is_idle());
}

#[test]
fn a_new_client_takes_the_place_of_the_most_silent_one_without_a_connection() {
    let mut bench = Bench::new(Endpoint::True);
    bench.connect(local(50_000), 1);
    let question = description_request(Hpai::ROUTE_BACK);
    for number in 1..=3 {
        bench.pass(std::time::Duration::from_secs(1));
        bench.client(local(50_000 + number), &question);
    }
    assert_eq!(bench.relay.clients(), 4);
    assert_eq!(bench.client(local(50_009), &question).len(), 1);
    let ports: Vec<_> = bench.sockets.values().copied().collect();
    assert_eq!(ports, [40_000, 40_002, 40_003, 40_004], "the first question made way");
    for (number, channel) in [(1, 101), (2, 102), (3, 103)] {
        bench.connect(local(51_000 + number), channel);
    }
    let own = Hpai::udp(local(52_000));
    assert_eq!(bench.client(local(52_000), &connect_request(own, own)), []);
    assert_eq!(bench.relay.counters().no_room, 1, "connections make way for nobody");
    assert_eq!(bench.relay.connections(), 4);
}
