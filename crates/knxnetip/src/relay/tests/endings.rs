//! Clients that are gone, tunnels that are lost, silence, the end

use std::time::Duration;

use super::bench::{
    Bench, DEVICE, Out, VIA, connect_request, connect_response, inner, local, request, response,
    tunnelling,
};
use crate::{Hpai, Service, description_request, relay::Endpoint};

fn disconnect(port: u16, channel: u8) -> Out {
    let octets = request(Service::DISCONNECT_REQUEST, channel, inner(port));
    Out::Device(port, DEVICE, octets)
}

#[test]
fn a_client_that_is_gone_is_disconnected_in_its_name() {
    for endpoint in [local(50_000), local(50_001)] {
        let mut bench = Bench::new(Endpoint::True);
        let wish = connect_request(Hpai::udp(local(50_000)), Hpai::udp(local(50_001)));
        bench.client(local(50_000), &wish);
        bench.device(40_000, DEVICE, &connect_response(1, Hpai::udp(DEVICE)));
        assert_eq!(bench.gone(local(50_002)), []);
        assert_eq!(bench.gone(endpoint), [disconnect(40_000, 1)]);
        assert_eq!(bench.gone(endpoint), [], "once is enough");
        // telegrams for it are dropped, and so is the device's answer
        assert_eq!(bench.device(40_000, DEVICE, &tunnelling(1, 0)), []);
        let ended = response(Service::DISCONNECT_RESPONSE, 1, 0);
        assert_eq!(bench.device(40_000, DEVICE, &ended), []);
        assert_eq!(bench.relay.counters().released, 1);
        assert!(bench.relay.is_idle());
    }
}

#[test]
fn the_device_is_told_three_times_at_most() {
    let mut bench = Bench::new(Endpoint::True);
    let port = bench.connect(local(50_000), 1);
    assert_eq!(bench.gone(local(50_000)), [disconnect(port, 1)]);
    assert_eq!(bench.pass(Duration::from_millis(1500)), [disconnect(port, 1)]);
    assert_eq!(bench.pass(Duration::from_secs(1)), [disconnect(port, 1)]);
    assert_eq!(bench.pass(Duration::from_mins(10)), []);
    assert!(bench.relay.is_idle());
}

#[test]
fn a_client_is_silent_for_two_minutes_at_most() {
    let mut bench = Bench::new(Endpoint::True);
    let port = bench.connect(local(50_000), 1);
    for _ in 0..5 {
        assert_eq!(bench.pass(Duration::from_secs(119)), []);
        let acknowledgment =
            crate::relay::tests::bench::frame(Service::TUNNELLING_ACK, &[4, 1, 0, 0]);
        assert_eq!(bench.client(local(50_000), &acknowledgment).len(), 1);
    }
    // what the device says does not count
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.device(port, DEVICE, &tunnelling(1, 0)).len(), 1);
    assert_eq!(bench.pass(Duration::from_secs(20)), [disconnect(port, 1)]);
    assert_eq!(bench.relay.connections(), 0);
}

#[test]
fn a_client_that_is_gone_before_its_connection_is_there_holds_no_place() {
    let mut bench = Bench::new(Endpoint::True);
    let own = Hpai::udp(local(50_000));
    bench.client(local(50_000), &connect_request(own, own));
    assert_eq!(bench.gone(local(50_000)), []);
    let out = bench.device(40_000, DEVICE, &connect_response(1, Hpai::udp(DEVICE)));
    assert_eq!(out, [disconnect(40_000, 1)]);
    // one that comes too late is nobody's
    let mut bench = Bench::new(Endpoint::True);
    bench.client(local(50_000), &connect_request(own, own));
    assert_eq!(bench.pass(Duration::from_secs(9)), []);
    assert_eq!(bench.relay.clients(), 1);
    assert_eq!(bench.pass(Duration::from_secs(2)), []);
    assert_eq!(bench.relay.clients(), 0);
}

#[test]
fn a_wish_that_is_repeated_is_one_wish() {
    let mut bench = Bench::new(Endpoint::True);
    let own = Hpai::udp(local(50_000));
    for _ in 0..10 {
        assert_eq!(bench.client(local(50_000), &connect_request(own, own)).len(), 1);
    }
    let out = bench.device(40_000, DEVICE, &connect_response(1, Hpai::udp(DEVICE)));
    assert_eq!(out.len(), 1);
    let out = bench.device(40_000, DEVICE, &connect_response(2, Hpai::udp(DEVICE)));
    assert_eq!(out, [disconnect(40_000, 2)]);
}

#[test]
fn a_lost_tunnel_is_told_to_each_client_at_once() {
    for (own, device) in
        [(Hpai::udp(local(50_000)), Hpai::udp(VIA)), (Hpai::ROUTE_BACK, Hpai::ROUTE_BACK)]
    {
        let mut bench = Bench::new(Endpoint::True);
        bench.client(local(50_000), &connect_request(own, own));
        bench.device(40_000, DEVICE, &connect_response(1, Hpai::udp(DEVICE)));
        let told = request(Service::DISCONNECT_REQUEST, 1, device);
        assert_eq!(bench.lose_tunnel(), [Out::Client(local(50_000), told)]);
        assert_eq!(bench.relay.counters().lost, 1);
        assert!(bench.relay.is_idle());
        // its answer has nowhere to go, and is no fault
        let ended = response(Service::DISCONNECT_RESPONSE, 1, 0);
        assert_eq!(bench.client(local(50_000), &ended), []);
        assert_eq!(bench.relay.counters().dropped(), 0);
        // and it may connect again, by the next tunnel
        bench.connect(local(50_000), 1);
    }
}

#[test]
fn a_question_alone_holds_its_socket_for_two_minutes() {
    let mut bench = Bench::new(Endpoint::True);
    bench.client(local(50_000), &description_request(Hpai::ROUTE_BACK));
    bench.pass(Duration::from_secs(119));
    assert_eq!(bench.relay.clients(), 1);
    bench.pass(Duration::from_secs(2));
    assert!(bench.relay.is_idle() && bench.sockets.is_empty());
    assert_eq!(bench.relay.poll_timeout(), None);
}

#[test]
fn the_end_tells_both_sides() {
    let mut bench = Bench::new(Endpoint::True);
    let port = bench.connect(local(50_000), 1);
    bench.client(local(50_001), &description_request(Hpai::ROUTE_BACK));
    bench.relay.close();
    let told = request(Service::DISCONNECT_REQUEST, 1, Hpai::udp(VIA));
    assert_eq!(bench.out(), [Out::Client(local(50_000), told), disconnect(port, 1)]);
    assert!(bench.relay.is_idle() && bench.sockets.is_empty());
}

#[test]
fn clients_that_are_forbidden_are_let_go() {
    let mut bench = Bench::new(Endpoint::True);
    let port = bench.connect(local(50_000), 1);
    bench.client(local(50_001), &description_request(Hpai::ROUTE_BACK));
    bench.relay.retain_clients(bench.now, |_| true);
    assert_eq!(bench.out(), []);
    bench.relay.retain_clients(bench.now, |client| !client.is_loopback());
    assert_eq!(bench.out(), [disconnect(port, 1)]);
    assert_eq!(bench.relay.clients(), 1, "until the device has answered");
    bench.pass(Duration::from_secs(5));
    assert!(bench.relay.is_idle());
}
