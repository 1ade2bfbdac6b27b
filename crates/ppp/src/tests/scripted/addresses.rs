//! IPCP: addresses and DNS servers

use super::*;

fn nak(options: &[u8]) -> Option<Failure> {
    let mut script = Script::at_network();
    let id = last_request(&script.sent(), frame::IPCP).id;
    script.send(frame::IPCP, Code::ConfigureNak, id, options);
    if script.link.phase() == Phase::Network {
        script.acknowledge(frame::IPCP);
    }
    script.failure()
}

#[test]
fn an_address_that_no_host_can_have_is_none() {
    for octets in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        let options = [&[3, 6][..], &octets].concat();
        assert_eq!(nak(&options), Some(Failure::NoAddress), "{octets:?}");
    }
    assert_eq!(nak(ADDRESSES), None);
}

#[test]
fn the_server_may_reject_dns_or_lack_an_address() {
    let mut script = Script::at_network();
    let sent = script.sent();
    let request = last_request(&sent, frame::IPCP);
    script.send(frame::IPCP, Code::ConfigureReject, request.id, &request.data[6..]);
    script.acknowledge_in(&sent, frame::CCP);
    script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
    script.send(frame::IPCP, Code::ConfigureRequest, 1, &[3, 6, 0, 0, 0, 0]);
    let sent = script.sent();
    assert!(sent.iter().any(|it| it.code == 4 && it.data == [3, 6, 0, 0, 0, 0]));
    script.send(frame::IPCP, Code::ConfigureRequest, 2, &[]);
    let id = last_request(&sent, frame::IPCP).id;
    script.send(frame::IPCP, Code::ConfigureNak, id, &ADDRESSES[..6]);
    script.acknowledge(frame::IPCP);
    let events = script.events();
    let Some(Event::Up(negotiated)) = events.last() else { panic!("{events:?}") };
    assert_eq!(negotiated.inner_address, Ipv4Addr::new(192, 168, 1, 200));
    assert_eq!((negotiated.peer_address, &*negotiated.dns), (None, &[][..]));
}

#[test]
fn a_server_that_rejects_or_ends_ipcp_is_left() {
    let mut script = Script::at_network();
    script.send(frame::LCP, Code::ProtocolReject, 1, &[0x80, 0x21]);
    let rejected = Failure::RejectedProtocol { protocol: Protocol::Ipcp };
    assert_eq!(script.failure(), Some(rejected));

    let mut script = Script::at_network();
    script.send(frame::IPCP, Code::TerminateRequest, 1, b"no address for you");
    let (protocol, message) = (Protocol::Ipcp, "no address for you".to_owned());
    assert_eq!(script.failure(), Some(Failure::TerminatedByPeer { protocol, message }));
}

#[test]
fn an_address_that_changes_later_is_told() {
    let password = Password::new("clientPass");
    let config = ClientConfig::new("User", password);
    let mut script = Script::up_with(ClientConfig { address_may_change: true, ..config });
    script.receive_ip().unwrap();
    script.events();
    script.send(frame::IPCP, Code::ConfigureRequest, 9, PEER_ADDRESS);
    assert!(!script.link.is_up());
    let sent = script.sent();
    let request = last_request(&sent, frame::IPCP);
    assert_eq!(request.data[..6], ADDRESSES[..6], "the address it had is asked for");
    script.send(frame::IPCP, Code::ConfigureNak, request.id, &[3, 6, 10, 0, 0, 9]);
    script.acknowledge(frame::IPCP);
    let events = script.events();
    assert!(events.contains(&Event::Renegotiating));
    let Some(Event::Up(negotiated)) = events.last() else { panic!("{events:?}") };
    assert_eq!(negotiated.inner_address, Ipv4Addr::new(10, 0, 0, 9));
    script.receive_ip().expect("the keys are still the same");
}
