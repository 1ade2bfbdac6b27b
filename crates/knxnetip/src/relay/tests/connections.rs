//! Connections: endpoints, ETS's three ports, a data port of the device's own, channels

use std::net::{Ipv4Addr, SocketAddrV4};

use super::bench::{
    Bench, DEVICE, Out, VIA, connect_request, connect_response, inner, local, request, response,
    tunnelling,
};
use crate::{Hpai, Service, relay::Endpoint};

#[test]
fn telegrams_go_between_data_endpoints_and_the_rest_between_control_endpoints() {
    let mut bench = Bench::new(Endpoint::True);
    let (control, data) = (local(50_000), local(50_001));
    let device_data = SocketAddrV4::new(*DEVICE.ip(), 50_100);
    let wish = connect_request(Hpai::udp(control), Hpai::udp(data));
    bench.client(control, &wish);
    bench.device(40_000, DEVICE, &connect_response(21, Hpai::udp(device_data)));
    // a telegram each way, and its acknowledgment
    let telegram = tunnelling(21, 0);
    let out = bench.client(data, &telegram);
    assert_eq!(out, [Out::Device(40_000, device_data, telegram.clone())]);
    let out = bench.device(40_000, device_data, &telegram);
    assert_eq!(out, [Out::Client(data, telegram)]);
    // the heartbeat
    let beat = request(Service::CONNECTIONSTATE_REQUEST, 21, Hpai::udp(control));
    let out = bench.client(control, &beat);
    let expected = request(Service::CONNECTIONSTATE_REQUEST, 21, inner(40_000));
    assert_eq!(out, [Out::Device(40_000, DEVICE, expected)]);
    let alive = response(Service::CONNECTIONSTATE_RESPONSE, 21, 0);
    assert_eq!(bench.device(40_000, DEVICE, &alive), [Out::Client(control, alive)]);
}

/// ETS sends control from one port and telegrams from another, and a later request from a third
#[test]
fn a_request_from_a_third_port_belongs_to_its_channel_and_is_answered_there() {
    let mut bench = Bench::new(Endpoint::True);
    let (control, data, third) = (local(50_000), local(50_001), local(50_002));
    bench.client(control, &connect_request(Hpai::udp(control), Hpai::udp(data)));
    bench.device(40_000, DEVICE, &connect_response(21, Hpai::udp(DEVICE)));
    let alive = response(Service::CONNECTIONSTATE_RESPONSE, 21, 0);
    for (told, answered) in
        [(Hpai::udp(third), third), (Hpai::udp(control), control), (Hpai::ROUTE_BACK, third)]
    {
        let beat = request(Service::CONNECTIONSTATE_REQUEST, 21, told);
        let out = bench.client(third, &beat);
        let expected = request(Service::CONNECTIONSTATE_REQUEST, 21, inner(40_000));
        assert_eq!(out, [Out::Device(40_000, DEVICE, expected)]);
        assert_eq!(bench.device(40_000, DEVICE, &alive), [Out::Client(answered, alive.clone())]);
    }
    let end = request(Service::DISCONNECT_REQUEST, 21, Hpai::udp(third));
    assert_eq!(bench.client(third, &end).len(), 1);
    let ended = response(Service::DISCONNECT_RESPONSE, 21, 0);
    assert_eq!(bench.device(40_000, DEVICE, &ended), [Out::Client(third, ended)]);
    assert!(bench.relay.is_idle(), "the socket is closed with its connection");
}

#[test]
fn a_device_is_believed_the_port_of_its_data_endpoint_and_no_more() {
    let elsewhere = Ipv4Addr::new(192, 168, 99, 99);
    for (told, expected) in [
        (Hpai::udp(SocketAddrV4::new(elsewhere, 50_100)), 50_100),
        (Hpai::udp(SocketAddrV4::new(*DEVICE.ip(), 50_100)), 50_100),
        (Hpai::ROUTE_BACK, 3671),
        (Hpai::udp(SocketAddrV4::new(*DEVICE.ip(), 0)), 3671),
    ] {
        let mut bench = Bench::new(Endpoint::True);
        let own = Hpai::udp(local(50_000));
        bench.client(local(50_000), &connect_request(own, own));
        bench.device(40_000, DEVICE, &connect_response(1, told));
        let to = SocketAddrV4::new(*DEVICE.ip(), expected);
        let telegram = tunnelling(1, 0);
        let out = bench.client(local(50_000), &telegram);
        assert_eq!(out, [Out::Device(40_000, to, telegram)], "{told:?}");
    }
}

#[test]
fn two_clients_of_one_address_are_told_apart_by_their_channels() {
    let mut bench = Bench::new(Endpoint::True);
    let one = bench.connect(local(50_000), 1);
    let two = bench.connect(local(50_001), 2);
    assert_ne!(one, two);
    for (port, client, channel) in [(one, local(50_000), 1), (two, local(50_001), 2)] {
        let telegram = tunnelling(channel, 0);
        assert_eq!(bench.device(port, DEVICE, &telegram), [Out::Client(client, telegram)]);
    }
    // the other's channel at this socket is nobody's
    assert_eq!(bench.device(one, DEVICE, &tunnelling(2, 0)), []);
    assert_eq!(bench.relay.counters().no_connection, 1);
}

#[test]
fn a_channel_of_another_address_is_refused_at_once() {
    let mut bench = Bench::new(Endpoint::True);
    bench.connect(local(50_000), 1);
    let thief = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 50_000);
    assert_eq!(bench.client(thief, &tunnelling(1, 0)), []);
    for (asked, answered) in [
        (Service::CONNECTIONSTATE_REQUEST, Service::CONNECTIONSTATE_RESPONSE),
        (Service::DISCONNECT_REQUEST, Service::DISCONNECT_RESPONSE),
    ] {
        for (client, channel) in [(thief, 1), (local(50_000), 2)] {
            let out = bench.client(client, &request(asked, channel, Hpai::udp(client)));
            assert_eq!(out, [Out::Client(client, response(answered, channel, 0x21))]);
        }
    }
    assert_eq!(bench.relay.connections(), 1);
}

#[test]
fn a_device_ends_a_connection() {
    let mut bench = Bench::new(Endpoint::True);
    let port = bench.connect(local(50_000), 1);
    let end = request(Service::DISCONNECT_REQUEST, 1, Hpai::udp(DEVICE));
    let expected = request(Service::DISCONNECT_REQUEST, 1, Hpai::udp(VIA));
    assert_eq!(bench.device(port, DEVICE, &end), [Out::Client(local(50_000), expected)]);
    let ended = response(Service::DISCONNECT_RESPONSE, 1, 0);
    let out = bench.client(local(50_000), &ended);
    assert_eq!(out, [Out::Device(port, DEVICE, ended)]);
    assert!(bench.relay.is_idle());
}

#[test]
fn a_channel_that_the_device_gives_to_another_client_is_over_for_the_first() {
    let mut bench = Bench::new(Endpoint::True);
    bench.connect(local(50_000), 1);
    let own = Hpai::udp(local(50_001));
    bench.client(local(50_001), &connect_request(own, own));
    let out = bench.device(40_001, DEVICE, &connect_response(1, Hpai::udp(DEVICE)));
    let told = request(Service::DISCONNECT_REQUEST, 1, Hpai::udp(VIA));
    let given = connect_response(1, Hpai::udp(VIA));
    assert_eq!(out, [Out::Client(local(50_000), told), Out::Client(local(50_001), given)]);
    assert_eq!((bench.relay.connections(), bench.relay.clients()), (1, 1));
}

/// After `E_CONNECTION_ID` the device may give the channel to anybody: nothing is said about it any more
#[test]
fn a_connection_that_the_device_does_not_know_is_forgotten() {
    let mut bench = Bench::new(Endpoint::True);
    let port = bench.connect(local(50_000), 1);
    bench.client(local(50_000), &request(Service::CONNECTIONSTATE_REQUEST, 1, Hpai::ROUTE_BACK));
    let unknown = response(Service::CONNECTIONSTATE_RESPONSE, 1, 0x21);
    let out = bench.device(port, DEVICE, &unknown);
    assert_eq!(out, [Out::Client(local(50_000), unknown)]);
    assert!(bench.relay.is_idle());
}

#[test]
fn an_answer_that_nobody_waits_for_gives_its_place_back() {
    let mut bench = Bench::new(Endpoint::True);
    let port = bench.connect(local(50_000), 1);
    let out = bench.device(port, DEVICE, &connect_response(2, Hpai::udp(DEVICE)));
    let end = request(Service::DISCONNECT_REQUEST, 2, inner(port));
    assert_eq!(out, [Out::Device(port, DEVICE, end)]);
    assert_eq!(bench.relay.connections(), 1);
}
