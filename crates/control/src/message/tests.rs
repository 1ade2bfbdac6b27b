//! Golden layouts, round trips, and every length of every type

use proptest::{collection::vec, prelude::*};

use super::{prefix::MAX_LEN, *};

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn emitted(message: &Message) -> Vec<u8> {
    let mut octets = Vec::new();
    message.emit(&mut octets);
    octets
}

/// A header, and zeros up to `length`
pub(crate) fn blank(control_type: u16, length: u16) -> Vec<u8> {
    let mut octets = hex("0000 0001 1a2b3c4d 0000 0000");
    octets[..2].copy_from_slice(&length.to_be_bytes());
    octets[8..10].copy_from_slice(&control_type.to_be_bytes());
    octets.resize(usize::from(length).max(12), 0);
    octets.truncate(length.into());
    octets
}

/// One message of each type, in the order of their types
pub(crate) fn one_of_each() -> Vec<Message> {
    let mut messages = of_the_connection();
    messages.extend(of_a_call());
    messages
}

fn of_the_connection() -> Vec<Message> {
    vec![
        StartControlConnectionRequest {
            version: 0x0100,
            framing_capabilities: 3,
            bearer_capabilities: 2,
            max_channels: 0x0A0B,
            firmware: 0x6021,
            host_name: Text::new("host"),
            vendor: Text::new("vendor"),
        }
        .into(),
        StartControlConnectionReply {
            version: 0x0100,
            result: StartResult::Successful,
            error: GeneralError::PacError,
            framing_capabilities: 1,
            bearer_capabilities: 2,
            max_channels: 0x0A0B,
            firmware: 0x6021,
            host_name: Text::new("local"),
            vendor: Text::new("linux"),
        }
        .into(),
        StopControlConnectionRequest { reason: StopReason::StopLocalShutdown }.into(),
        StopControlConnectionReply {
            result: ReplyResult::GeneralError,
            error: GeneralError::BadValue,
        }
        .into(),
        EchoRequest { identifier: 0x0102_0304 }.into(),
        EchoReply {
            identifier: 0x0102_0304,
            result: ReplyResult::Ok,
            error: GeneralError::NotConnected,
        }
        .into(),
    ]
}

fn of_a_call() -> Vec<Message> {
    vec![
        OutgoingCallRequest {
            call_id: 0x1234,
            call_serial_number: 0x0001,
            minimum_speed: 2400,
            maximum_speed: 10_000_000,
            bearer_type: 3,
            framing_type: 2,
            receive_window: 64,
            processing_delay: 5,
            phone_number_length: 3,
            phone_number: Text::new("110"),
            subaddress: Text::new("sub"),
        }
        .into(),
        OutgoingCallReply {
            call_id: 0x5678,
            peer_call_id: 0x1234,
            result: OutgoingCallResult::Connected,
            error: GeneralError::None,
            cause: 0x0010,
            connect_speed: 10_000_000,
            receive_window: 64,
            processing_delay: 5,
            physical_channel: 7,
        }
        .into(),
        IncomingCallRequest {
            call_id: 0x5678,
            call_serial_number: 2,
            bearer_type: 1,
            physical_channel: 7,
            dialed_number_length: 1,
            dialing_number_length: 2,
            dialed_number: Text::new("1"),
            dialing_number: Text::new("22"),
            subaddress: Text::new("sub"),
        }
        .into(),
        IncomingCallReply {
            call_id: 0x1234,
            peer_call_id: 0x5678,
            result: IncomingCallResult::DoNotAccept,
            error: GeneralError::NoResource,
            receive_window: 64,
            transmit_delay: 5,
        }
        .into(),
        IncomingCallConnected {
            peer_call_id: 0x1234,
            connect_speed: 64_000,
            receive_window: 64,
            transmit_delay: 5,
            framing_type: 2,
        }
        .into(),
        CallClearRequest { call_id: 0x1234 }.into(),
        CallDisconnectNotify {
            call_id: 0x5678,
            result: DisconnectResult::Request,
            error: GeneralError::BadCallId,
            cause: 0x0010,
            call_statistics: Text::new("1 packet"),
        }
        .into(),
        WanErrorNotify {
            peer_call_id: 0x1234,
            crc_errors: 1,
            framing_errors: 2,
            hardware_overruns: 3,
            buffer_overruns: 4,
            timeout_errors: 5,
            alignment_errors: 6,
        }
        .into(),
        SetLinkInfo { peer_call_id: 0x1234, send_accm: u32::MAX, receive_accm: 0x000A_0000 }.into(),
    ]
}

/// Octets of a message and where in it each field of [`one_of_each`] lies; all others are zero
const LAYOUTS: [(usize, &[(usize, &str)]); 15] = [
    (
        156,
        &[
            (12, "0100"),
            (16, "00000003"),
            (20, "00000002"),
            (24, "0a0b 6021"),
            (28, "686f7374"),
            (92, "76656e646f72"),
        ],
    ),
    (
        156,
        &[
            (12, "0100 01 06"),
            (16, "00000001"),
            (20, "00000002"),
            (24, "0a0b 6021"),
            (28, "6c6f63616c"),
            (92, "6c696e7578"),
        ],
    ),
    (16, &[(12, "03")]),
    (16, &[(12, "02 03")]),
    (16, &[(12, "01020304")]),
    (20, &[(12, "01020304 01 01")]),
    (
        168,
        &[
            (12, "1234 0001"),
            (16, "00000960"),
            (20, "00989680"),
            (24, "00000003"),
            (28, "00000002"),
            (32, "0040 0005 0003"),
            (40, "313130"),
            (104, "737562"),
        ],
    ),
    (
        32,
        &[
            (12, "5678 1234"),
            (16, "01 00 0010"),
            (20, "00989680"),
            (24, "0040 0005"),
            (28, "00000007"),
        ],
    ),
    (
        220,
        &[
            (12, "5678 0002"),
            (16, "00000001"),
            (20, "00000007"),
            (24, "0001 0002"),
            (28, "31"),
            (92, "3232"),
            (156, "737562"),
        ],
    ),
    (24, &[(12, "1234 5678 03 04 0040 0005")]),
    (28, &[(12, "1234"), (16, "0000fa00"), (20, "0040 0005"), (24, "00000002")]),
    (16, &[(12, "1234")]),
    (148, &[(12, "5678 04 05 0010"), (20, "31207061636b6574")]),
    (
        40,
        &[
            (12, "1234"),
            (16, "00000001 00000002"),
            (24, "00000003 00000004"),
            (32, "00000005 00000006"),
        ],
    ),
    (24, &[(12, "1234"), (16, "ffffffff"), (20, "000a0000")]),
];

#[test]
fn rfc2637_section_2_layouts() {
    for ((message, (length, fields)), code) in one_of_each().iter().zip(LAYOUTS).zip(1..) {
        let mut octets = blank(code, u16::try_from(length).unwrap());
        for (offset, field) in fields {
            let field = hex(field);
            octets[*offset..offset + field.len()].copy_from_slice(&field);
        }
        assert_eq!(emitted(message), octets, "{message:?}");
        assert_eq!(Message::parse(&octets).as_ref(), Ok(message));
        assert_eq!(u16::from(message.control_type()), code);
    }
}

#[test]
fn every_type_takes_its_own_length_only() {
    for code in 0..=20 {
        let own = ControlType::from(code).message_len();
        for length in 0..=221_u16 {
            let octets = blank(code, length);
            let parsed = Message::parse(&octets);
            let control_type = ControlType::from(code);
            match own {
                _ if length == 0 => assert_eq!(parsed, Err(ParseError::Truncated)),
                _ if !(12..=220).contains(&length) => {
                    let expected =
                        if length < 2 { ParseError::Truncated } else { ParseError::Length(length) };
                    assert_eq!(parsed, Err(expected));
                }
                Some(own) if own == usize::from(length) => assert!(parsed.is_ok()),
                Some(_) => {
                    assert_eq!(parsed, Err(ParseError::TypeLength { control_type, length }));
                }
                None => assert_eq!(parsed, Err(ParseError::UnknownType(code))),
            }
        }
    }
}

#[test]
fn a_message_cut_anywhere_is_truncated_and_one_with_more_behind_is_refused() {
    for message in one_of_each() {
        let mut octets = emitted(&message);
        for cut in 0..octets.len() {
            assert_eq!(Message::parse(&octets[..cut]), Err(ParseError::Truncated), "at {cut}");
        }
        let length = u16::try_from(octets.len()).unwrap();
        octets.push(0);
        assert_eq!(Message::parse(&octets), Err(ParseError::Length(length)));
    }
}

#[test]
fn reserved_octets_are_ignored() {
    let mut octets = emitted(&one_of_each()[14]);
    for reserved in [10, 11, 14, 15] {
        octets[reserved] = 0xFF;
    }
    assert_eq!(Message::parse(&octets).as_ref(), Ok(&one_of_each()[14]));
}

#[test]
fn management_messages_are_told_apart() {
    let mut octets = emitted(&one_of_each()[4]);
    octets[3] = 2;
    assert_eq!(Message::parse(&octets), Err(ParseError::MessageType(2)));
}

#[test]
fn text_ends_at_its_first_nul_and_need_not_be_utf8() {
    let text = Text::<8>::from_octets(b"a\xFFb\0old");
    assert_eq!((text.as_bytes(), text.len()), (&b"a\xFFb"[..], 3));
    assert_eq!(text.to_string(), "a\u{FFFD}b");
    assert_eq!(text, Text::from_octets(b"a\xFFb"));
    assert_eq!(format!("{text:?}"), r#""a\xffb""#, "what a terminal would act on is escaped");
    assert_eq!(Text::<4>::new("without").to_string(), "with", "all of it, and no NUL");
    assert!(Text::<4>::default().is_empty());
}

/// Any message that can be: any octets behind the header of any type
pub(crate) fn any_message() -> impl Strategy<Value = Message> {
    (1..=15_u16, vec(any::<u8>(), MAX_LEN)).prop_map(|(code, body)| {
        let length = ControlType::from(code).message_len().unwrap();
        let mut octets = blank(code, u16::try_from(length).unwrap());
        octets[12..].copy_from_slice(&body[12..length]);
        Message::parse(&octets).unwrap()
    })
}

proptest! {
    #[test]
    fn parse_reads_what_emit_wrote(message in any_message()) {
        let octets = emitted(&message);
        prop_assert_eq!(Some(octets.len()), message.control_type().message_len());
        prop_assert_eq!(Message::parse(&octets), Ok(message));
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..230), code in 0..17_u16) {
        let _ = Message::parse(&octets);
        let mut octets = octets;
        let header = blank(code, u16::try_from(octets.len()).unwrap());
        let shared = header.len().min(12);
        octets[..shared].copy_from_slice(&header[..shared]);
        let _ = Message::parse(&octets);
    }
}
