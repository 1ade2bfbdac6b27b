//! Every option at every edge of its length, missing and twice, in the peer's answers to our own
//! Configure-Requests: Ack, Nak and Reject; and twice in its requests

use super::{
    options::{PROTOCOLS, asked, waiting_for},
    script::{Script, Sent, last_request},
};
use crate::{Discard, Failure, frame};

const ACK: u8 = 2;
const NAK: u8 = 3;
const REJECT: u8 = 4;

/// A client that has asked in this protocol, and what it asked
fn asking(protocol: u16) -> (Script, Sent) {
    let (script, sent) = waiting_for(protocol);
    let request = last_request(&sent, protocol).clone();
    (script, request)
}

/// The options of a request, each with its header
fn options(data: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = data;
    std::iter::from_fn(|| {
        let (option, behind) = rest.split_at_checked((*rest.get(1)?).into())?;
        rest = behind;
        Some(option.to_vec())
    })
    .collect()
}

/// Our next request after an answer, or why the link ended
fn answered(protocol: u16, code: u8, data: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let (mut script, request) = asking(protocol);
    script.receive(protocol, code, request.id, data);
    if let Some(failure) = script.failure() {
        return Err(failure);
    }
    let sent = script.sent();
    let mut requests = sent.iter().filter(|it| it.protocol == protocol && it.code == 1);
    Ok(requests.next_back().map_or_else(Vec::new, |next| {
        assert_ne!(next.id, request.id, "another request has another identifier");
        options(&next.data)
    }))
}

/// An option whose length field is `length`; at most eight octets follow
fn edge(kind: u8, length: u8) -> Vec<u8> {
    let mut option = vec![kind, length, 1, 2, 3, 4, 5, 6];
    option.truncate(if length == 2 { 2 } else { 8 });
    option
}

/// The options that are drawn at random, and anew when they are refused
const DRAWN: [(u16, u8); 2] = [(frame::LCP, 5), (frame::IPV6CP, 1)];

/// Options of which only the header is left if their value is drawn
fn without_drawn(protocol: u16, mut options: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for option in options.iter_mut().filter(|it| DRAWN.contains(&(protocol, it[0]))) {
        option.truncate(2);
    }
    options
}

#[test]
fn rfc1661_section_6_a_length_that_does_not_fit_drops_the_answer_and_nothing_moves() {
    for protocol in PROTOCOLS {
        for code in [ACK, NAK, REJECT] {
            let (mut script, request) = asking(protocol);
            for kind in 0..=u8::MAX {
                for length in [0, 1, 9, 255] {
                    let answer =
                        script.try_receive(protocol, code, request.id, &edge(kind, length));
                    let context = format!("{protocol:04x} {code}, option {kind} of {length}");
                    assert_eq!(answer, Err(Discard::Malformed), "{context}");
                }
                let cut = [&request.data[..], &[kind]].concat();
                let answer = script.try_receive(protocol, code, request.id, &cut);
                assert_eq!(
                    answer,
                    Err(Discard::Malformed),
                    "{protocol:04x} {code}, {kind} cut off"
                );
            }
            assert_eq!(script.sent(), [], "nothing was said to any of them");
            script.receive(protocol, ACK, request.id, &request.data);
            assert_eq!(script.link.stats().stale_answers, 0, "the request was still open");
        }
    }
}

#[test]
fn an_ack_with_any_other_options_than_ours_is_none() {
    for protocol in PROTOCOLS {
        let (mut script, request) = asking(protocol);
        for kind in 0..=u8::MAX {
            for other in [edge(kind, 2), edge(kind, 8)] {
                for data in [other.clone(), [&request.data[..], &other].concat()] {
                    let answer = script.try_receive(protocol, ACK, request.id, &data);
                    assert_eq!(answer, Err(Discard::Malformed), "{protocol:04x} {data:02x?}");
                }
            }
        }
        for option in options(&request.data) {
            let twice = [&request.data[..], &option].concat();
            let mut other_value = request.data.clone();
            *other_value.last_mut().unwrap() ^= 1;
            let both = [&request.data[..], &other_value].concat();
            for data in [twice, other_value, both, option[..option.len() - 1].to_vec(), vec![]] {
                let answer = script.try_receive(protocol, ACK, request.id, &data);
                assert_eq!(answer, Err(Discard::Malformed), "{protocol:04x} {data:02x?}");
            }
        }
        script.receive(protocol, ACK, request.id, &request.data);
        assert_eq!(script.link.stats().stale_answers, 0, "the request was still open");
    }
}

/// No value of these has its option's length, so that none is taken
#[test]
fn a_nak_of_any_option_with_a_value_of_the_wrong_length_changes_nothing_that_is_asked() {
    for protocol in PROTOCOLS {
        let (_, request) = asking(protocol);
        let same = without_drawn(protocol, options(&request.data));
        for kind in 0..=u8::MAX {
            for data in [edge(kind, 2), edge(kind, 8)] {
                let next = answered(protocol, NAK, &data).map(|it| without_drawn(protocol, it));
                assert_eq!(next.as_ref(), Ok(&same), "{protocol:04x}, option {kind} {data:02x?}");
            }
        }
    }
}

/// Returns the outcome of a Reject: our request without that option, or an end where that will not do
fn rejected(protocol: u16, kind: u8, request: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Failure> {
    match (protocol, kind) {
        (frame::CCP, _) => Err(Failure::EncryptionUnavailable { offered: None }),
        (frame::IPCP, 3) => Err(Failure::NoAddress),
        _ => Ok(request.iter().filter(|option| option[0] != kind).cloned().collect()),
    }
}

#[test]
fn a_reject_of_any_option_takes_that_one_out_whatever_its_length_and_however_often() {
    for protocol in PROTOCOLS {
        let (_, request) = asking(protocol);
        let request = options(&request.data);
        for kind in 0..=u8::MAX {
            let expected = rejected(protocol, kind, &request);
            let twice = [edge(kind, 8), edge(kind, 2)].concat();
            let doubled = [edge(kind, 8), edge(kind, 8)].concat();
            for data in [edge(kind, 2), edge(kind, 8), twice, doubled] {
                let next = answered(protocol, REJECT, &data);
                assert_eq!(next, expected, "{protocol:04x}, option {kind} {data:02x?}");
            }
        }
    }
}

/// Two values that could be taken, for each option that we ask for
const VALUES: [(u16, u8, &[u8], &[u8]); 7] = [
    (frame::LCP, 1, &[0x05, 0x00], &[0x04, 0x00]),
    (frame::LCP, 5, &[1, 1, 1, 1], &[2, 2, 2, 2]),
    (frame::IPCP, 3, &[10, 0, 0, 5], &[10, 0, 0, 6]),
    (frame::IPCP, 129, &[10, 0, 0, 7], &[10, 0, 0, 8]),
    (frame::IPCP, 131, &[10, 0, 0, 9], &[10, 0, 0, 10]),
    (frame::CCP, 18, &[1, 0, 0, 0x40], &[1, 0, 0, 0x20]),
    (frame::IPV6CP, 1, &[2, 1, 1, 1, 1, 1, 1, 1], &[2, 2, 2, 2, 2, 2, 2, 2]),
];

fn option(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind, u8::try_from(value.len() + 2).unwrap()], value].concat()
}

#[test]
fn of_a_nak_that_names_an_option_twice_the_first_value_counts() {
    for (protocol, kind, first, second) in VALUES {
        let is_drawn = (protocol, kind) == (frame::LCP, 5);
        let next = |it| if is_drawn { without_drawn(protocol, it) } else { it };
        let nak = |data: &[u8]| answered(protocol, NAK, data).map(next);
        let [first, second] = [first, second].map(|value| option(kind, value));
        let once = nak(&first).unwrap();
        assert!(is_drawn || once.contains(&first), "{protocol:04x} {kind}: it is taken");
        for data in [[&first[..], &first].concat(), [&first[..], &second].concat()] {
            assert_eq!(nak(&data).as_ref(), Ok(&once), "{protocol:04x} {data:02x?}");
        }
    }
}

/// An Ack repeats all of it, a Nak or Reject says it once
#[test]
fn a_request_that_names_an_option_twice_is_answered_as_if_it_named_the_first() {
    for protocol in PROTOCOLS {
        for kind in 0..=u8::MAX {
            for length in [2, 8] {
                let (once, other) = (edge(kind, length), option(kind, &[9; 4]));
                let (code, data) = asked(protocol, &once).unwrap();
                for twice in [[&once[..], &once].concat(), [&once[..], &other].concat()] {
                    let (again, repeated) = asked(protocol, &twice).unwrap();
                    assert_eq!(again, code, "{protocol:04x} {twice:02x?}");
                    let expected = if code == ACK { &twice } else { &data };
                    let is_drawn = code == NAK && repeated.len() == expected.len() && data[0] != 1;
                    assert!(is_drawn || repeated == *expected, "{protocol:04x} {twice:02x?}");
                }
            }
        }
    }
}
