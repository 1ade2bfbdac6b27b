//! Answers that are old, doubled or wrong

use super::*;

#[test]
fn stale_and_doubled_answers_are_ignored() {
    let mut script = Script::at_network();
    let sent = script.sent();
    let request = last_request(&sent, frame::IPCP).clone();
    let (id, data) = (request.id, request.data);
    script.send(frame::IPCP, Code::ConfigureNak, id, ADDRESSES);
    script.sent();
    for code in [Code::ConfigureAck, Code::ConfigureNak, Code::ConfigureReject] {
        script.send(frame::IPCP, code, id, &data);
        script.send(frame::IPCP, code, id.wrapping_add(9), &data);
    }
    assert_eq!(script.link.stats().stale_answers, 6);
    assert_eq!(script.sent(), []);

    script.acknowledge_in(&sent, frame::CCP);
    script.acknowledge_in(&sent, frame::CCP);
    assert_eq!(script.link.stats().stale_answers, 7);
    assert_eq!(script.sent(), []);
}

#[test]
fn an_ack_of_something_else_is_malformed() {
    let mut script = Script::new();
    let sent = script.sent();
    let id = last_request(&sent, frame::LCP).id;
    let discard = script.try_receive(frame::LCP, 2, id, &[1, 4, 9, 9]);
    assert_eq!(discard, Err(Discard::Malformed));
    script.acknowledge_in(&sent, frame::LCP);
}

#[test]
fn a_terminate_ack_from_before_the_peer_was_open_is_old_news() {
    let mut script = Script::at_network();
    let sent = script.sent();
    let request = last_request(&sent, frame::IPCP).clone();
    script.send(frame::IPCP, Code::ConfigureNak, request.id, ADDRESSES);
    let sent = script.sent();
    script.acknowledge_in(&sent, frame::IPCP);
    let id = last_request(&sent, frame::IPCP).id;
    script.send(frame::IPCP, Code::TerminateAck, id, &[]);
    script.wait(4 * SECOND);
    let again = script.sent().into_iter().find(|it| it.protocol == frame::IPCP);
    let again = again.unwrap();
    assert_eq!((again.code, again.id), (1, id.wrapping_add(1)), "only because theirs is missing");
}

#[test]
fn a_control_frame_that_comes_twice_is_dropped() {
    let mut script = Script::up();
    script.send(frame::LCP, Code::EchoRequest, 1, &[0; 4]);
    script.sequence -= 1;
    let again = script.try_receive(frame::LCP, 9, 1, &[0; 4]);
    assert_eq!(again, Err(Discard::Duplicate));
    assert_eq!(script.sent().len(), 1);
}

#[test]
fn ours_goes_out_again_before_the_ack_when_the_peer_shows_up_late() {
    let mut script = Script::new();
    let first = script.sent();
    script.send(frame::LCP, Code::ConfigureRequest, 0, LCP_REQUEST);
    let sent = script.sent();
    assert_eq!(codes(&sent), [(frame::LCP, 1), (frame::LCP, 2)]);
    assert_eq!(sent[0], first[0], "the same request with the same identifier");
}

#[test]
fn ipcp_goes_out_with_ccp_and_again_when_ccp_opens() {
    let mut script = Script::at_network();
    assert_eq!(codes(&script.sent()), [(frame::CCP, 1), (frame::IPCP, 1)]);
    script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
    assert_eq!(codes(&script.sent()), [(frame::CCP, 2), (frame::IPCP, 1)]);
    script.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
    assert_eq!(codes(&script.sent()), [(frame::IPCP, 1), (frame::IPCP, 2)]);
}
