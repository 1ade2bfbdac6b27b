//! The effect of each control frame in the clear on a link that is up and encrypted

use std::time::Duration;

use pptp_mschap::Password;

use super::script::{LCP_REQUEST, MPPE_128, PEER_ADDRESS, Script, Sent};
use crate::{ClientConfig, Discard, Event, Failure, Phase, Protocol, frame, wire::packet::Code};

const SECOND: Duration = Duration::from_secs(1);

/// The effect of a frame near the right numbers
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// It counts at once, and changes nothing: answered, noted, or stale
    AtOnce,
    /// It is dropped for this reason
    Dropped(Discard),
    /// The peer is asked first
    Asked,
}

use Means::{Asked, AtOnce, Dropped};

/// Protocol, code, data, and whether a challenge is open when it comes
type Row = (u16, u8, &'static [u8], bool, Means);

const OUT_OF_PHASE: Means = Dropped(Discard::OutOfPhase);
const UNKNOWN: Means = Dropped(Discard::UnknownProtocol);
const WHOLE_PACKET: &[u8] = &[1, 1, 0, 4];

/// Every code of every protocol in the Opened state
const TABLE: &[Row] = &[
    (frame::LCP, 1, LCP_REQUEST, false, Asked),
    (frame::LCP, 1, &[], false, Asked),
    (frame::LCP, 2, &[], false, AtOnce),
    (frame::LCP, 3, &[1, 4, 0, 128], false, AtOnce),
    (frame::LCP, 4, &[1, 4, 0, 128], false, AtOnce),
    (frame::LCP, 5, b"bye", false, Asked),
    (frame::LCP, 6, &[], false, Asked),
    (frame::LCP, 7, WHOLE_PACKET, false, Asked),
    (frame::LCP, 7, &[9, 1, 0, 4], false, AtOnce),
    (frame::LCP, 8, &[0xC0, 0x21, 1, 1, 0, 4], false, Asked),
    (frame::LCP, 8, &[0xC0, 0x23, 1, 1, 0, 4], false, Asked),
    (frame::LCP, 8, &[0xC2, 0x23, 1, 1, 0, 4], false, Asked),
    (frame::LCP, 8, &[0xC2, 0x27, 1, 1, 0, 4], false, Asked),
    (frame::LCP, 8, &[0x80, 0xFD, 1, 1, 0, 4], false, Asked),
    (frame::LCP, 8, &[0x80, 0x21, 1, 1, 0, 4], false, Asked),
    (frame::LCP, 8, &[0x80, 0x57, 1, 1, 0, 4], false, AtOnce),
    (frame::LCP, 8, &[0x00, 0xFD, 1, 1, 0, 4], false, AtOnce),
    (frame::LCP, 8, &[0x3B, 0x12, 1, 1, 0, 4], false, AtOnce),
    (frame::LCP, 9, &[0; 4], false, AtOnce),
    (frame::LCP, 10, &[0; 4], false, AtOnce),
    (frame::LCP, 11, &[0; 4], false, AtOnce),
    (frame::LCP, 12, b"\0\0\0\0who", false, AtOnce),
    (frame::LCP, 13, &[0; 8], false, AtOnce),
    (frame::LCP, 99, &[], false, AtOnce),
    (frame::CHAP, 1, b"\x10sixteen octets!!server", false, AtOnce),
    (frame::CHAP, 2, &[], false, OUT_OF_PHASE),
    (frame::CHAP, 3, b"S=00", false, OUT_OF_PHASE),
    (frame::CHAP, 3, b"S=00", true, Asked),
    (frame::CHAP, 4, b"E=691 R=0", false, OUT_OF_PHASE),
    (frame::CHAP, 4, b"E=691 R=0", true, Asked),
    (frame::PAP, 2, &[0], false, OUT_OF_PHASE),
    (frame::PAP, 3, &[0], false, OUT_OF_PHASE),
    (frame::EAP, 3, &[], false, OUT_OF_PHASE),
    (frame::EAP, 4, &[], false, OUT_OF_PHASE),
    (frame::CCP, 1, MPPE_128, false, Asked),
    (frame::CCP, 1, &[18, 6, 0, 0, 0, 0], false, Asked),
    (frame::CCP, 2, &[], false, AtOnce),
    (frame::CCP, 3, &[18, 6, 0, 0, 0, 0], false, AtOnce),
    (frame::CCP, 4, MPPE_128, false, AtOnce),
    (frame::CCP, 5, &[], false, Asked),
    (frame::CCP, 6, &[], false, Asked),
    (frame::CCP, 7, WHOLE_PACKET, false, Asked),
    (frame::CCP, 14, &[], false, AtOnce),
    (frame::CCP, 15, &[], false, AtOnce),
    (frame::IPCP, 1, PEER_ADDRESS, false, Asked),
    (frame::IPCP, 1, &[3, 6, 6, 6, 6, 6], false, Asked),
    (frame::IPCP, 2, &[], false, AtOnce),
    (frame::IPCP, 3, &[3, 6, 6, 6, 6, 6, 129, 6, 6, 6, 6, 6], false, AtOnce),
    (frame::IPCP, 4, &[129, 6, 0, 0, 0, 0], false, AtOnce),
    (frame::IPCP, 5, &[], false, Asked),
    (frame::IPCP, 6, &[], false, Asked),
    (frame::IPCP, 7, WHOLE_PACKET, false, Asked),
    (frame::IPV6CP, 1, &[], false, UNKNOWN),
    (0xC025, 1, &[], false, UNKNOWN),
];

fn config() -> ClientConfig {
    ClientConfig::new("User", Password::new("clientPass"))
}

/// A link that is up, over which a packet has come
fn up() -> Script {
    let mut script = Script::guarded(config()).brought_up();
    script.receive_ip().unwrap();
    script.events();
    script
}

/// Makes a guarded link with a challenge that waits for the server's verdict
fn challenged() -> Script {
    let mut script = up();
    script.new_challenge();
    script.challenge(200);
    assert_eq!(script.sent().len(), 1, "it was answered");
    script
}

fn of(row: &Row) -> Script {
    if row.3 { challenged() } else { up() }
}

/// An identifier that none of the client's requests has, but for a verdict
fn give(script: &mut Script, row: &Row) -> Result<(), Discard> {
    script.try_receive(row.0, row.1, 200, row.2)
}

fn questions(sent: &[Sent]) -> Vec<Sent> {
    let is_question = |it: &&Sent| it.protocol == frame::LCP && it.code == 9;
    sent.iter().filter(is_question).cloned().collect()
}

/// The peer repeats what it was asked, under a Magic-Number of its own
fn answer(script: &mut Script, question: &Sent) {
    let data = [&[9; 4], &question.data[4..]].concat();
    script.send(frame::LCP, Code::EchoReply, question.id, &data);
}

/// Returns true if the link stands as it stood
fn is_unmoved(script: &mut Script) -> bool {
    let is_remark =
        |event: &Event| matches!(event, Event::Identification(_) | Event::TimeRemaining { .. });
    script.link.is_up() && script.events().iter().all(is_remark)
}

#[test]
fn each_code_of_each_protocol_counts_at_once_or_is_asked_about() {
    for row in TABLE {
        let mut script = of(row);
        let expected = match row.4 {
            AtOnce => Ok(()),
            Dropped(discard) => Err(discard),
            Asked => Err(Discard::Unconfirmed),
        };
        assert_eq!(give(&mut script, row), expected, "{row:02x?}");
        assert!(is_unmoved(&mut script), "{row:02x?}");
        let sent = script.sent();
        let asked = usize::from(row.4 == Asked);
        assert_eq!(questions(&sent).len(), asked, "{row:02x?}: {sent:?}");
        assert!(row.4 != Asked || sent.len() == 1, "nothing is answered yet: {row:02x?}: {sent:?}");
        script.receive_ip().expect("packets go on");
    }
}

#[test]
fn what_the_peer_did_not_send_is_dropped_when_it_answers() {
    for row in TABLE.iter().filter(|row| row.4 == Asked) {
        let mut script = of(row);
        give(&mut script, row).unwrap_err();
        let question = questions(&script.sent()).remove(0);
        answer(&mut script, &question);
        script.wait(25 * SECOND);
        assert!(is_unmoved(&mut script), "{row:02x?}");
        assert_eq!(script.sent(), [], "{row:02x?}: and it is asked no more");
        script.receive_ip().expect("packets go on");
    }
}

#[test]
fn what_the_peer_did_not_send_is_dropped_when_a_later_packet_opens() {
    for row in TABLE.iter().filter(|row| row.4 == Asked) {
        let mut script = of(row);
        give(&mut script, row).unwrap_err();
        script.receive_ip().unwrap();
        script.sent();
        script.wait(25 * SECOND);
        assert!(is_unmoved(&mut script) && script.sent().is_empty(), "{row:02x?}");
    }
}

#[test]
fn what_a_silent_peer_sent_counts_after_1500_ms() {
    for row in TABLE.iter().filter(|row| row.4 == Asked) {
        let mut script = of(row);
        give(&mut script, row).unwrap_err();
        script.wait(Duration::from_millis(1499));
        assert!(is_unmoved(&mut script), "{row:02x?}");
        assert_eq!(questions(&script.sent()).len(), 3, "{row:02x?}");
        script.wait(Duration::from_millis(1));
        assert!(!is_unmoved(&mut script), "{row:02x?}");
    }
}

#[test]
fn nothing_far_from_the_numbers_that_opened_counts() {
    for row in TABLE {
        for offset in [65_u32, 6001, 0x5EED_0000, 0x8000_0000, 0_u32.wrapping_sub(65)] {
            let mut script = of(row);
            let true_one = script.sequence;
            let opened = if row.3 { true_one - 1 } else { true_one };
            script.sequence = opened.wrapping_add(offset).wrapping_sub(1);
            assert_eq!(give(&mut script, row), Err(Discard::OutsideWindow), "{row:02x?} {offset}");
            assert!(is_unmoved(&mut script), "{row:02x?} {offset}");
            assert_eq!(script.sent(), [], "{row:02x?} {offset}");
            script.sequence = true_one;
            script.receive_ip().expect("packets go on");
        }
    }
}

#[test]
fn eight_far_frames_in_sequence_do_not_take_the_numbers_with_them() {
    let mut script = up();
    let true_one = script.sequence;
    script.sequence = 0x5EED_0000;
    for _ in 0..100 {
        let far = script.try_receive(frame::LCP, 9, 1, &[0; 4]);
        assert_eq!(far, Err(Discard::OutsideWindow));
    }
    assert_eq!(script.link.stats().outside_window, 100);
    script.sequence = true_one;
    script.send(frame::LCP, Code::EchoRequest, 1, &[0; 4]);
    assert_eq!(script.sent().len(), 1);
}

#[test]
fn the_words_of_a_terminate_request_are_the_reason_and_then_comes_the_ack() {
    let mut script = up();
    let given = script.try_receive(frame::LCP, 5, 77, b"Idle-Timeout");
    assert_eq!(given, Err(Discard::Unconfirmed));
    script.wait(2 * SECOND);
    let message = "Idle-Timeout".to_owned();
    let failure = Failure::TerminatedByPeer { protocol: Protocol::Lcp, message };
    assert_eq!(script.failure(), Some(failure));
    let ack = script.sent().pop().unwrap();
    assert_eq!((ack.protocol, ack.code, ack.id), (frame::LCP, 6, 77));
}

#[test]
fn the_control_connection_confirms_last_words_at_once() {
    let mut script = up();
    script.try_receive(frame::LCP, 5, 77, b"Idle-Timeout").unwrap_err();
    script.link.peer_hung_up(script.now);
    let message = "Idle-Timeout".to_owned();
    let failure = Failure::TerminatedByPeer { protocol: Protocol::Lcp, message };
    assert_eq!(script.failure(), Some(failure));

    // without last words it is for the owner to say what happened
    let mut script = up();
    script.try_receive(frame::LCP, 1, 77, LCP_REQUEST).unwrap_err();
    script.link.peer_hung_up(script.now);
    assert!(is_unmoved(&mut script));
    script.wait(2 * SECOND);
    assert!(is_unmoved(&mut script), "the question is over");
}

#[test]
fn a_refusal_before_the_hang_up_is_the_reason() {
    let mut script = challenged();
    script.try_receive(frame::CHAP, 4, 200, b"E=691 R=0 M=no more").unwrap_err();
    script.try_receive(frame::LCP, 5, 77, b"bye").unwrap_err();
    script.wait(2 * SECOND);
    let Some(Failure::AuthFailed { code: 691, .. }) = script.failure() else {
        panic!("the Failure came first");
    };
}

#[test]
fn a_peer_that_started_over_gets_its_negotiation() {
    let mut script = up();
    script.try_receive(frame::LCP, 1, 77, LCP_REQUEST).unwrap_err();
    script.wait(Duration::from_millis(1500));
    let events = script.events();
    assert_eq!(events, [Event::Renegotiating, Event::Phase(Phase::LinkControl)]);
    let sent = script.sent();
    let ack = sent.iter().find(|it| it.code == 2).expect("an Ack");
    assert_eq!((ack.id, &*ack.data), (77, LCP_REQUEST));
    script.acknowledge_in(&sent, frame::LCP);
    script.authenticate();
    script.open_network();
    assert!(script.link.is_up());
    script.receive_ip().unwrap();
}

#[test]
fn a_peer_that_starts_ipcp_over_gets_it_at_the_fourth_request() {
    let mut script = up();
    for round in 0..3_u8 {
        let _ = script.try_receive(frame::IPCP, 1, round, PEER_ADDRESS);
        for question in questions(&script.sent()) {
            answer(&mut script, &question);
        }
        script.wait(3 * SECOND);
        assert!(is_unmoved(&mut script), "{round}");
    }
    let _ = script.try_receive(frame::IPCP, 1, 3, PEER_ADDRESS);
    assert!(!script.link.is_up());
    let sent = script.sent();
    let ack = sent.iter().find(|it| it.protocol == frame::IPCP && it.code == 2);
    assert_eq!(ack.map(|ack| ack.id), Some(3), "its latest request is acknowledged");
}

/// A server whose IPCP left the Opened state because of a request that came late
#[test]
fn a_peer_of_which_nothing_has_opened_yet_gets_ipcp_again_at_once() {
    let mut script = Script::guarded(config()).brought_up();
    script.events();
    script.wait(3 * SECOND);
    script.sent();
    // the first may have lost our Ack, and gets it again
    script.try_receive(frame::IPCP, 1, 200, PEER_ADDRESS).unwrap();
    assert!(!script.events().contains(&Event::Renegotiating));
    script.sent();
    script.wait(3 * SECOND);
    script.try_receive(frame::IPCP, 1, 201, PEER_ADDRESS).unwrap();
    assert!(script.events().contains(&Event::Renegotiating));
    let sent = script.sent();
    let codes: Vec<_> = sent.iter().filter(|it| it.protocol == frame::IPCP).collect();
    assert_eq!(codes.iter().map(|it| it.code).collect::<Vec<_>>(), [1, 2], "a request and an Ack");
    script.acknowledge_in(&sent, frame::IPCP);
    assert!(script.link.is_up());
    // from the first packet on it is asked about
    script.receive_ip().unwrap();
    script.events();
    let _ = script.try_receive(frame::IPCP, 1, 202, PEER_ADDRESS);
    script.try_receive(frame::IPCP, 1, 203, PEER_ADDRESS).unwrap_err();
    assert!(is_unmoved(&mut script));
}

#[test]
fn a_flood_of_resets_and_rejects_ends_nothing() {
    let mut script = up();
    for number in 0..10_000_u16 {
        script.sequence = script.sequence.saturating_sub(1);
        let _ = script.try_receive(frame::CCP, 14, 1, &[]);
        script.sequence = script.sequence.saturating_sub(1);
        let rejected = number.to_be_bytes();
        let data = [&rejected[..], &[1, 1, 0, 4]].concat();
        let _ = script.try_receive(frame::LCP, 8, 1, &data);
        for question in questions(&script.sent()) {
            answer(&mut script, &question);
        }
    }
    script.wait(20 * SECOND);
    assert!(is_unmoved(&mut script));
}

/// A sender who knows the numbers puts frames where the answers will be
#[test]
fn numbers_that_a_forged_frame_has_taken_still_serve_the_peer() {
    let mut script = up();
    let true_one = script.sequence;
    for _ in 0..60 {
        script.send(frame::LCP, Code::EchoRequest, 1, &[0; 4]);
    }
    script.sent();
    script.sequence = true_one;
    script.try_receive(frame::LCP, 5, 1, b"forged").unwrap_err();
    script.sequence = true_one;
    for question in questions(&script.sent()) {
        answer(&mut script, &question);
    }
    script.wait(5 * SECOND);
    assert!(is_unmoved(&mut script));
}

#[test]
fn an_answer_counts_only_with_what_the_peer_alone_knows() {
    /// The data of an answer to a question, whether it comes before another one with all of it, and
    /// whether it counts
    type Answer = (fn(&Sent) -> Vec<u8>, bool, bool);
    let peer_magic: [u8; 4] = LCP_REQUEST[LCP_REQUEST.len() - 4..].try_into().unwrap();
    let answers: [Answer; 5] = [
        (|question| [&[9; 4], &question.data[4..]].concat(), false, true),
        (|_| LCP_REQUEST[LCP_REQUEST.len() - 4..].to_vec(), false, true),
        (|_| LCP_REQUEST[LCP_REQUEST.len() - 4..].to_vec(), true, false),
        (|_| vec![1; 8], false, false),
        (|_| Vec::new(), false, false),
    ];
    assert_ne!(peer_magic, [0; 4]);
    for (number, (data, after_a_full_one, counts)) in answers.into_iter().enumerate() {
        let mut script = up();
        if after_a_full_one {
            script.wait(30 * SECOND);
            let question = questions(&script.sent()).remove(0);
            answer(&mut script, &question);
        }
        script.try_receive(frame::LCP, 5, 1, b"forged?").unwrap_err();
        let question = questions(&script.sent()).remove(0);
        assert_eq!(question.data.len(), 8, "Magic-Number and four random octets");
        script.send(frame::LCP, Code::EchoReply, question.id, &data(&question));
        script.wait(Duration::from_millis(1600));
        assert_eq!(is_unmoved(&mut script), counts, "answer {number}");
    }
}

#[test]
fn an_answer_moves_the_numbers_of_an_idle_link_wherever_it_is() {
    let mut script = up();
    for _ in 0..50 {
        script.wait(31 * SECOND);
        let question = questions(&script.sent()).remove(0);
        // the peer's packets of this time have been lost
        script.sequence += 1000;
        answer(&mut script, &question);
        script.send(frame::LCP, Code::EchoRequest, 1, &[0; 4]);
        script.sent();
    }
    assert!(is_unmoved(&mut script));
}

/// It answers none of our Echo-Requests, and sends its own
#[test]
fn the_numbers_of_an_idle_peer_that_proves_nothing_go_on() {
    let mut script = up();
    for _ in 0..20_000 {
        script.wait(20 * SECOND);
        script.send(frame::LCP, Code::EchoRequest, 1, &[0; 4]);
        script.sent();
    }
    assert!(is_unmoved(&mut script));
}

#[test]
fn garbage_far_from_the_numbers_is_no_wrong_key() {
    let mut script = Script::guarded(config()).brought_up();
    script.events();
    let true_one = script.sequence;
    for header in [[0x90, 0x00], [0x00, 0x00], [0x10, 0x07]] {
        script.sequence = 0x5EED_0000;
        for _ in 0..100 {
            let mut frame = [&[0x00, 0xFD][..], &header, &[0x5A; 40]].concat();
            assert!(script.receive_frame(&mut frame).is_err());
        }
    }
    assert!(is_unmoved(&mut script));
    script.sequence = true_one;
    script.receive_ip().expect("and what is true opens");
}

#[test]
fn a_login_anew_goes_on_while_the_link_is_up() {
    let mut script = challenged();
    let (success, _) = {
        script.challenge(201);
        script.success()
    };
    script.send(frame::CHAP, Code::ConfigureNak, 201, success.as_bytes());
    assert!(is_unmoved(&mut script));
    script.receive_ip().expect("with the keys of the first");
}

#[test]
fn identifiers_begin_at_random_and_repeat_from_the_same_seed() {
    let first = |seed| {
        let mut link = crate::Link::client(config(), [seed; 32]);
        link.open(crate::tests::epoch());
        link.poll_frame().unwrap()[5]
    };
    let firsts: std::collections::BTreeSet<u8> = (0..64).map(first).collect();
    assert!(firsts.len() > 40, "{firsts:?}");
    assert_eq!(first(7), first(7));
}
