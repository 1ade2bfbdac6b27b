//! The form of our endpoint: the question with the true address, and with zeros after two seconds

use std::time::Duration;

use super::bench::{Bench, DEVICE, Out, connect_request, endpoints, frame, inner, local};
use crate::{Hpai, Service, description_request, relay::Endpoint};

const CLIENT: u16 = 40_000;
const WITH_TRUE: u16 = 40_001;
const WITH_ZERO: u16 = 40_002;

fn wish() -> Vec<u8> {
    let own = Hpai::udp(local(50_000));
    connect_request(own, own)
}

fn question(port: u16, endpoint: Hpai) -> Out {
    Out::Device(port, DEVICE, description_request(endpoint).to_vec())
}

fn description() -> Vec<u8> {
    frame(Service::DESCRIPTION_RESPONSE, &[54, 1])
}

#[test]
fn a_device_that_answers_to_the_true_endpoint_gets_it() {
    let mut bench = Bench::new(Endpoint::Auto);
    assert_eq!(bench.client(local(50_000), &wish()), [question(WITH_TRUE, inner(WITH_TRUE))]);
    let out = bench.device(WITH_TRUE, DEVICE, &description());
    let sent = connect_request(inner(CLIENT), inner(CLIENT));
    assert_eq!(out, [Out::Device(CLIENT, DEVICE, sent)]);
    assert_eq!(bench.sockets.len(), 1, "the question's socket is closed");
    // it holds for this tunnel
    let out = bench.client(local(50_001), &wish());
    assert!(matches!(out[..], [Out::Device(WITH_ZERO, ..)]), "{out:?}");
}

#[test]
fn a_device_that_is_silent_is_asked_with_zeros_after_two_seconds() {
    let mut bench = Bench::new(Endpoint::Auto);
    bench.client(local(50_000), &wish());
    assert_eq!(bench.pass(Duration::from_millis(1999)), []);
    let out = bench.pass(Duration::from_millis(1));
    assert_eq!(out, [question(WITH_ZERO, Hpai::ROUTE_BACK)]);
    let out = bench.device(WITH_ZERO, DEVICE, &description());
    let [Out::Device(CLIENT, DEVICE, octets)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(endpoints(octets), [Hpai::ROUTE_BACK; 2]);
}

#[test]
fn a_late_answer_is_not_taken_for_the_others() {
    let mut bench = Bench::new(Endpoint::Auto);
    bench.client(local(50_000), &wish());
    bench.pass(Duration::from_secs(3));
    let out = bench.device(WITH_TRUE, DEVICE, &description());
    let [Out::Device(CLIENT, DEVICE, octets)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(endpoints(octets), [inner(CLIENT); 2]);
    assert_eq!(bench.sockets.len(), 1);
}

#[test]
fn a_device_that_answers_to_neither_gets_the_true_endpoint_and_is_asked_again_later() {
    let mut bench = Bench::new(Endpoint::Auto);
    bench.client(local(50_000), &wish());
    let out = bench.pass(Duration::from_secs(4));
    let sent = connect_request(inner(CLIENT), inner(CLIENT));
    assert_eq!(out[1..], [Out::Device(CLIENT, DEVICE, sent)]);
    // a further one waits for nothing
    let out = bench.client(local(50_000), &wish());
    assert!(matches!(out[..], [Out::Device(CLIENT, ..)]), "{out:?}");
    bench.pass(Duration::from_secs(31));
    let out = bench.client(local(50_003), &wish());
    let [Out::Device(port, ..)] = out[..] else { panic!("{out:?}") };
    assert_eq!(out, [question(port, inner(port))]);
}

#[test]
fn another_tunnel_is_asked_again() {
    let mut bench = Bench::new(Endpoint::Auto);
    bench.client(local(50_000), &wish());
    bench.device(WITH_TRUE, DEVICE, &description());
    bench.lose_tunnel();
    let out = bench.client(local(50_000), &wish());
    let [Out::Device(port, ..)] = out[..] else { panic!("{out:?}") };
    assert_eq!(out, [question(port, inner(port))]);
    // also if nobody had a socket in the one before
    bench.device(port, DEVICE, &description());
    bench.relay.handle_new_tunnel(bench.now);
    let out = bench.client(local(50_000), &wish());
    let [Out::Device(port, ..)] = out[..] else { panic!("{out:?}") };
    assert_eq!(out, [question(port, inner(port))]);
    // also if the tunnel is lost while the question is under way
    bench.lose_tunnel();
    assert!(bench.relay.is_idle());
    assert_eq!(bench.client(local(50_000), &wish()).len(), 1);
}

#[test]
fn only_a_description_is_an_answer_and_only_the_devices() {
    let mut bench = Bench::new(Endpoint::Auto);
    bench.client(local(50_000), &wish());
    let other = frame(Service::SEARCH_RESPONSE, &Hpai::udp(DEVICE).emit());
    assert_eq!(bench.device(WITH_TRUE, DEVICE, &other), []);
    assert_eq!(bench.device(WITH_TRUE, local(3671), &description()), []);
    assert_eq!(bench.device(WITH_TRUE, DEVICE, &description()).len(), 1);
}

#[test]
fn a_question_without_a_socket_does_not_hold_the_client_up() {
    let mut bench = Bench::new(Endpoint::Auto).hold();
    bench.client(local(50_000), &wish());
    let client = *bench.sockets.keys().next().unwrap();
    let address = *inner(CLIENT).address.ip();
    let socket = std::net::SocketAddrV4::new(address, CLIENT);
    bench.relay.handle_opened(bench.now, client, socket, DEVICE);
    assert_eq!(bench.out(), []);
    let asked = *bench.sockets.keys().last().unwrap();
    bench.relay.handle_not_opened(bench.now, asked);
    let out = bench.out();
    assert!(matches!(out[..], [Out::Device(CLIENT, ..)]), "{out:?}");
}
