//! Requests without an answer, and the end

use super::*;

#[test]
fn rfc1661_section_4_6_ten_requests_three_seconds_apart() {
    let mut script = Script::new();
    script.wait(29 * SECOND);
    assert_eq!(script.sent().len(), 10);
    assert_eq!(script.failure(), None);
    script.wait(SECOND);
    let expected = Failure::NegotiationTimeout { protocol: Protocol::Lcp };
    assert_eq!(script.failure(), Some(expected));
}

#[test]
fn each_protocol_is_waited_for_and_named() {
    let mut script = Script::at_authentication();
    script.wait(61 * SECOND);
    let chap = Failure::NegotiationTimeout { protocol: Protocol::Chap };
    assert_eq!(script.failure(), Some(chap));

    let mut script = Script::at_network();
    script.wait(31 * SECOND);
    let ccp = Failure::NegotiationTimeout { protocol: Protocol::Ccp };
    assert_eq!(script.failure(), Some(ccp));

    let mut script = Script::at_network();
    script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
    script.acknowledge(frame::CCP);
    script.wait(31 * SECOND);
    let ipcp = Failure::NegotiationTimeout { protocol: Protocol::Ipcp };
    assert_eq!(script.failure(), Some(ipcp));
}

/// CCP gives up at the moment at which the last Echo-Request is due
#[test]
fn nothing_is_told_or_asked_behind_the_end() {
    let policy = crate::EchoPolicy { silence: 20 * SECOND, interval: 4 * SECOND, unanswered: 3 };
    let config = ClientConfig::new("User", Password::new("clientPass"));
    let mut script = Script::with(ClientConfig { echo: policy, ..config });
    script.open_lcp();
    script.authenticate();
    script.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
    let sent = script.sent();
    let Sent { id, .. } = *last_request(&sent, frame::IPCP);
    script.send(frame::IPCP, Code::ConfigureNak, id, ADDRESSES);
    script.acknowledge(frame::IPCP);
    script.wait(27 * SECOND);
    script.events();
    script.sent();
    script.wait(SECOND);
    let failure = Failure::NegotiationTimeout { protocol: Protocol::Ccp };
    let down = Event::Down { phase: Phase::Network, failure };
    assert_eq!(script.events(), [down]);
    let codes: Vec<_> = script.sent().iter().map(|it| (it.protocol, it.code)).collect();
    assert_eq!(codes, [(frame::LCP, Code::TerminateRequest.into())]);
}

#[test]
fn a_link_never_opened_does_nothing() {
    let config = ClientConfig::new("u", Password::new("p"));
    let mut link = Link::client(config, [0; 32]);
    let now = super::super::epoch();
    let arrival = Arrival { sequence: 0, order: Order::Ahead };
    let mut frame = [0xC0, 0x21, 1, 1, 0, 4];
    let received = link.handle_frame(now, arrival, &mut frame);
    assert_eq!(received, Received::Discarded(Discard::Dead));
    link.close(now);
    assert_eq!((link.poll_event(), link.poll_timeout()), (None, None));
    assert_eq!(link.poll_frame(), None);
}
