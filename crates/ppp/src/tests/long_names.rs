//! Names, values and texts of the authentication protocols at every length that a frame can have:
//! what does not fit is malformed, what fits is answered as a short one is, and little of it is kept

use super::{
    authenticators::{agreed_with, config},
    script::{Script, Sent},
};
use crate::{Discard, Failure, frame};

/// Octets of data behind a header, up to what its length field can say
const LENGTHS: [usize; 12] = [0, 1, 2, 15, 16, 254, 255, 256, 257, 1400, 32_768, MAX_DATA];
const MAX_DATA: usize = 65_535 - 4;
/// Characters of its words that a peer is quoted with, at most
const MAX_WORDS: usize = 256;

const PAP: &[u8] = &[0xC0, 0x23];
const MD5: &[u8] = &[0xC2, 0x23, 0x05];
const MS_CHAP_V1: &[u8] = &[0xC2, 0x23, 0x80];
const MS_CHAP_V2: &[u8] = &[0xC2, 0x23, 0x81];
const EAP: &[u8] = &[0xC2, 0x27];

/// A client that has agreed to this protocol
fn client(protocol: &[u8]) -> Script {
    let mut script = agreed_with(config(), protocol);
    script.sent();
    script
}

fn chap(size: u8, value: usize, name: usize) -> Vec<u8> {
    let octets = [vec![0x5B; value], vec![b'n'; name]].concat();
    [&[size][..], &octets].concat()
}

/// Returns true if a challenge of so many octets can be answered
fn is_challenge(protocol: &[u8], size: usize) -> bool {
    match protocol {
        MS_CHAP_V1 => size == 8,
        MS_CHAP_V2 => size == 16,
        _ => size > 0,
    }
}

#[test]
fn rfc1994_section_4_1_every_value_size_with_all_its_octets_and_with_one_too_few() {
    for protocol in [MD5, MS_CHAP_V1, MS_CHAP_V2] {
        for size in 0..=u8::MAX {
            let octets = usize::from(size);
            let whole = client(protocol).try_receive(frame::CHAP, 1, 1, &chap(size, octets, 0));
            let good = is_challenge(protocol, octets);
            let expected = if good { Ok(()) } else { Err(Discard::Malformed) };
            assert_eq!(whole, expected, "{protocol:02x?}: {size}");
            if let Some(fewer) = octets.checked_sub(1) {
                let cut = client(protocol).try_receive(frame::CHAP, 1, 1, &chap(size, fewer, 0));
                assert_eq!(cut, Err(Discard::Malformed), "{protocol:02x?}: {size} cut off");
            }
        }
    }
}

/// The answer to a Challenge: the challenger's name has no part in it
#[test]
fn rfc1994_section_4_1_a_name_of_any_length_gets_the_same_response() {
    for (protocol, size) in [(MD5, 16_u8), (MS_CHAP_V1, 8), (MS_CHAP_V2, 16)] {
        let respond = |name: usize| {
            let mut script = client(protocol);
            script.receive(frame::CHAP, 1, 1, &chap(size, size.into(), name));
            script.sent()
        };
        let none = respond(0);
        assert_eq!(none.len(), 1);
        for name in LENGTHS.map(|length| length.min(MAX_DATA - 1 - usize::from(size))) {
            assert_eq!(respond(name), none, "a name of {name}");
        }
    }
}

fn eap_request(kind: u8, octets: usize) -> Result<Vec<Sent>, Discard> {
    let mut script = client(EAP);
    let data = [&[kind][..], &vec![16; octets]].concat();
    script.try_receive(frame::EAP, 1, 7, &data)?;
    Ok(script.sent())
}

/// EAP's Identity, Notification and methods: a prompt or a name inside has no say in what is answered
#[test]
fn rfc3748_section_5_a_request_of_any_type_and_length_gets_the_same_response() {
    for kind in (1..=u8::MAX).filter(|kind| ![3, 26].contains(kind)) {
        let expected: &[u8] = match kind {
            1 => b"\x01CORP\\User",
            2 => &[2],
            _ => &[3, 26],
        };
        let lengths =
            if matches!(kind, 1 | 2 | 4 | 13 | 25) { &LENGTHS[..] } else { &[0, 1, 1400] };
        for octets in lengths.iter().map(|octets| (*octets).min(MAX_DATA - 1)) {
            let sent = eap_request(kind, octets).unwrap();
            let data = sent.iter().map(|sent| &*sent.data).collect::<Vec<_>>();
            assert_eq!(data, [expected], "type {kind} of {octets}");
        }
    }
    for octets in LENGTHS.map(|octets| octets.min(MAX_DATA - 1)) {
        assert_eq!(eap_request(3, octets), Err(Discard::Malformed), "a Nak is no Request");
        // inside stands 10 10 1010: its length is 4112, of a code that MS-CHAPv2 has not
        let expected = if octets < 4112 { Discard::Malformed } else { Discard::OutOfPhase };
        assert_eq!(eap_request(26, octets), Err(expected), "{octets}");
    }
}

/// The words with which a login by this protocol is said to be refused
fn refusal(protocol: &[u8], text: &[u8]) -> String {
    let mut script = client(protocol);
    let (number, code) = if protocol == PAP { (frame::PAP, 3) } else { (frame::CHAP, 4) };
    if protocol != PAP {
        let size = if protocol == MS_CHAP_V1 { 8 } else { 16 };
        script.receive(number, 1, 1, &chap(size, size.into(), 0));
    }
    script.receive(number, code, 1, text);
    match script.failure() {
        Some(Failure::AuthFailed { message, .. }) => message,
        other => panic!("{other:?} after {} octets", text.len()),
    }
}

#[test]
fn words_of_any_length_are_quoted_up_to_a_bound() {
    for length in LENGTHS {
        for words in [vec![b'w'; length], vec![0xFF; length]] {
            let fields = [b"E=691 R=0 M=", &*words].concat();
            for text in [&words[..], &fields[..fields.len().min(MAX_DATA)]] {
                for protocol in [PAP, MD5, MS_CHAP_V1, MS_CHAP_V2] {
                    let quoted = refusal(protocol, text).chars().count();
                    assert!(quoted <= MAX_WORDS, "{quoted} of {length}");
                }
            }
        }
    }
}

/// RFC 1661 section 5: the length field of any packet against the octets that are there
#[test]
fn a_packets_own_length_at_its_edges() {
    let packet = |length: u16, data: usize| {
        let mut octets = vec![1, 1];
        octets.extend(length.to_be_bytes());
        octets.extend(chap(16, 16, data));
        octets
    };
    let there = 4 + 17 + 6;
    for (length, good) in [
        (0, false),
        (1, false),
        (3, false),
        (4, false),  // no value
        (20, false), // cuts the value
        (21, true),  // cuts the name off
        (there, true),
        (there + 1, false),
        (u16::MAX, false),
    ] {
        let mut frame = frame::control(frame::CHAP, &packet(length, 6));
        let outcome = client(MS_CHAP_V2).receive_frame(&mut frame);
        let expected = if good { Ok(()) } else { Err(Discard::Malformed) };
        assert_eq!(outcome, expected, "length {length}");
    }
}

#[cfg(feature = "server")]
mod server {
    use super::*;
    use crate::{
        AuthenticationProtocol, Link, Password, Phase, ServerAuthentication, ServerConfig,
        wire::packet::{ChapValue, Code, Packet},
    };

    /// A server that waits for the login by this protocol
    fn server(protocol: AuthenticationProtocol) -> Script {
        let config = ServerConfig {
            authentication: ServerAuthentication::only(protocol),
            secrets: vec![("User".to_owned(), Password::new("clientPass"))],
            ..ServerConfig::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
        };
        let mut script = Script::new();
        script.link = Link::server(config, [4; 32]);
        script.link.open(script.now);
        script.send(frame::LCP, Code::ConfigureRequest, 1, &[]);
        script.acknowledge(frame::LCP);
        assert_eq!(script.link.phase(), Phase::Authentication);
        script
    }

    /// Of a login that fits the peer is told that it failed, of one that does not nothing
    fn refused(
        mut script: Script,
        protocol: u16,
        code: u8,
        id: u8,
        data: &[u8],
    ) -> Result<(), Discard> {
        script.sent();
        script.try_receive(protocol, code, id, data)?;
        assert!(matches!(script.failure(), Some(Failure::AuthFailed { .. })), "{}", data.len());
        Ok(())
    }

    #[test]
    fn rfc1334_section_2_2_1_names_and_passwords_of_every_length() {
        for name in 0..=u8::MAX {
            for password in [0, 1, 2, 15, 16, 254, 255_u8] {
                let fields =
                    [name, password].map(|size| [&[size][..], &vec![b'x'; size.into()]].concat());
                let data = fields.concat();
                let login =
                    |data| refused(server(AuthenticationProtocol::Pap), frame::PAP, 1, 1, data);
                assert_eq!(login(&data), Ok(()), "{name} {password}");
                let cut = &data[..data.len() - 1];
                assert_eq!(login(cut), Err(Discard::Malformed), "{name} {password} cut off");
            }
        }
    }

    /// The identifier of the server's open Challenge or Request
    fn open_id(script: &mut Script, protocol: u16) -> u8 {
        script.sent().iter().rev().find(|it| it.protocol == protocol).unwrap().id
    }

    #[test]
    fn rfc1994_section_4_1_responses_of_every_value_size_and_name() {
        for protocol in [
            AuthenticationProtocol::ChapMd5,
            AuthenticationProtocol::MsChapV1,
            AuthenticationProtocol::MsChapV2,
        ] {
            for size in 0..=u8::MAX {
                let mut script = server(protocol);
                let id = open_id(&mut script, frame::CHAP);
                let cut = &chap(size, usize::from(size).saturating_sub(1), 0);
                if size > 0 {
                    let cut = script.try_receive(frame::CHAP, 2, id, cut);
                    assert_eq!(cut, Err(Discard::Malformed), "{size} cut off");
                }
                let whole = chap(size, size.into(), 4);
                assert_eq!(refused(script, frame::CHAP, 2, id, &whole), Ok(()), "{size}");
            }
            for name in LENGTHS.map(|length| length.min(MAX_DATA - 1 - 49)) {
                let mut script = server(protocol);
                let id = open_id(&mut script, frame::CHAP);
                let whole = chap(49, 49, name);
                assert_eq!(refused(script, frame::CHAP, 2, id, &whole), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn rfc3748_section_5_1_identities_and_responses_of_any_length() {
        for length in LENGTHS.map(|length| length.min(MAX_DATA - 200)) {
            let mut script = server(AuthenticationProtocol::Eap);
            let id = open_id(&mut script, frame::EAP);
            script.receive(frame::EAP, 2, id, &[&[1][..], &vec![b'i'; length]].concat());
            let id = open_id(&mut script, frame::EAP);
            let mut inner = vec![26];
            let mut body = Vec::new();
            ChapValue { value: &[7; 49], name: &vec![b'n'; length] }.emit(&mut body);
            Packet { code: 2, id, data: &body }.emit(&mut inner);
            let cut = script.try_receive(frame::EAP, 2, id, &inner[..inner.len() - 1]);
            assert_eq!(cut, Err(Discard::Malformed), "{length}, cut off");
            assert_eq!(script.try_receive(frame::EAP, 2, id, &inner), Ok(()), "{length}");
            assert_eq!(script.link.phase(), Phase::Authentication, "told, and then understood");
        }
    }
}
