//! A flight record read back by another reader of pcapng

use pcap_parser::{
    Block,
    pcapng::{OptionCode, parse_block_le},
    traits::PcapNGPacketBlock,
};
use pptp_tunnel::RecordKind;
use proptest::prelude::*;

use super::*;

/// A packet of a file: the octets kept, the length that it had, and the comment
#[derive(Debug)]
struct Seen {
    octets: Vec<u8>,
    length: usize,
    comment: String,
}

/// The packets of a file, read by a crate that has nothing to do with ours
fn packets(mut file: &[u8]) -> Vec<Seen> {
    let mut packets = Vec::new();
    let mut others = Vec::new();
    while !file.is_empty() {
        let (rest, block) = parse_block_le(file).expect("a block");
        file = rest;
        if let Block::EnhancedPacket(packet) = block {
            let comment = packet.options.iter().find(|it| it.code == OptionCode::Comment);
            packets.push(Seen {
                octets: packet.packet_data().to_vec(),
                length: packet.orig_len() as usize,
                comment: comment.map_or_else(String::new, |it| it.as_str().unwrap().to_owned()),
            });
        } else {
            others.push(block.magic());
        }
    }
    assert_eq!(others, [0x0A0D_0D0A, 1], "one section with one interface");
    packets
}

fn record_of(records: Vec<Record>) -> FlightRecord {
    let ends = Ends {
        local: "192.0.2.1:40000".parse().unwrap(),
        server: "198.51.100.1:1723".parse().unwrap(),
        call_id: 0x0A0B,
        peer_call_id: 0x0C0D,
    };
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let (tunnel, state) = ("b1".to_owned(), State::Up);
    FlightRecord { tunnel, state, ends, began, records, echoes: 2, forgotten: 3 }
}

fn record(kind: RecordKind, octets: &[u8]) -> Record {
    let sequence = kind.is_frame().then_some(7);
    Record { at: Duration::from_millis(5), kind, sequence, octets: octets.to_vec() }
}

/// Of the control connection: `length` octets, the last of them `last`
fn message(length: u16, last: u8) -> Vec<u8> {
    let mut message = vec![0; length.into()];
    message[..2].copy_from_slice(&length.to_be_bytes());
    message[2..10].copy_from_slice(&[0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0, 15]);
    message[usize::from(length) - 1] = last;
    message
}

/// The sums of a datagram's IPv4 and TCP checksums: 0 if they are right
fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| {
        u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]))
    });
    !words.fold(0, |sum, word| {
        let sum = u32::from(sum) + word;
        u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap()
    })
}

fn tcp_sum(datagram: &[u8]) -> u16 {
    let (ip, tcp) = datagram.split_at(20);
    let length = u16::try_from(tcp.len()).unwrap().to_be_bytes();
    sum(&[&ip[12..20], &[0, 6], &length, tcp].concat())
}

#[test]
fn messages_are_segments_however_tcp_cut_them() {
    use RecordKind::{ControlReceived, ControlSent};
    let (first, second, third) = (message(24, 1), message(16, 2), message(156, 3));
    let received = [&first[..], &second, &third].concat();
    let (piece, rest) = received.split_at(30);
    let records = vec![
        record(ControlSent, &first),
        record(ControlReceived, piece),
        record(ControlReceived, &rest[..100]),
        record(ControlReceived, &rest[100..]),
    ];
    let seen = packets(&record_of(records).pcapng());
    let payloads: Vec<_> = seen.iter().map(|it| &it.octets[40..]).collect();
    assert_eq!(payloads, [&first, &first, &second, &third]);
    let numbers = |it: &Seen| {
        let number = |at| u32::from_be_bytes(it.octets[at..at + 4].try_into().unwrap());
        (number(24), number(28))
    };
    let numbers: Vec<_> = seen.iter().map(numbers).collect();
    assert_eq!(numbers, [(1, 1), (1, 25), (25, 25), (41, 25)]);
    for it in &seen {
        assert_eq!((it.octets.len(), it.comment.as_str()), (it.length, ""));
        assert_eq!(tcp_sum(&it.octets), 0);
    }
}

#[test]
fn a_message_whose_end_is_missing_says_how_long_it_was() {
    let records = vec![record(RecordKind::ControlReceived, &message(156, 1)[..50])];
    let seen = packets(&record_of(records).pcapng());
    assert_eq!((seen[0].octets.len(), seen[0].length), (90, 196));
    assert!(seen[0].comment.contains("not recorded"), "{}", seen[0].comment);
}

#[test]
fn what_is_no_message_is_shown_as_it_came() {
    let records = [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"no"]
        .map(|it| record(RecordKind::ControlReceived, it));
    let seen = packets(&record_of(records.to_vec()).pcapng());
    assert_eq!(&seen[0].octets[40..], b"HTTP/1.1 400 Bad Request\r\n");
    assert_eq!(&seen[1].octets[40..], b"no");
    assert!(seen.iter().all(|it| it.comment.contains("not the beginning")), "{seen:?}");
}

#[test]
fn a_frame_is_in_gre_with_the_call_id_of_its_receiver() {
    let secret = b"\xFF\x03\xC2\x23\x02\x01\x00\x0A\x00\x00\x00\x00";
    let open = b"\xFF\x03\xC0\x21\x01\x01\x00\x04";
    let records =
        vec![record(RecordKind::FrameSent, secret), record(RecordKind::FrameReceived, open)];
    let seen = packets(&record_of(records).pcapng());
    let gre = |length, call: [u8; 2]| {
        [&[0x30, 1, 0x88, 0x0B, 0, length], &call[..], &[0, 0, 0, 7]].concat()
    };
    assert_eq!(seen[0].octets[20..], [&gre(12, [0x0C, 0x0D]), &secret[..]].concat());
    assert_eq!(seen[1].octets[20..], [&gre(8, [0x0A, 0x0B]), &open[..]].concat());
    assert_eq!(seen[0].octets[12..20], [192, 0, 2, 1, 198, 51, 100, 1]);
    assert_eq!(seen[1].octets[12..20], [198, 51, 100, 1, 192, 0, 2, 1]);
    assert!(seen[0].comment.contains("secret") && seen[1].comment.is_empty());
}

fn any_record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![
        Just(RecordKind::ControlSent),
        Just(RecordKind::ControlReceived),
        Just(RecordKind::FrameSent),
        Just(RecordKind::FrameReceived),
    ];
    let octets = prop_oneof![
        5 => prop::collection::vec(any::<u8>(), 0..100),
        5 => (16_u16..300, 0_usize..300).prop_map(|(length, kept)| {
            let mut message = message(length, 1);
            message.truncate(kept);
            message
        }),
        1 => (0_usize..70_000).prop_map(|length| vec![0x5A; length]),
    ];
    (any::<u32>(), kind, any::<Option<u32>>(), octets).prop_map(
        |(millis, kind, sequence, octets)| Record {
            at: Duration::from_millis(millis.into()),
            kind,
            sequence,
            octets,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_content_is_a_file_of_datagrams_that_has_all_of_it(
        records in prop::collection::vec(any_record(), 0..40)
    ) {
        let seen = packets(&record_of(records.clone()).pcapng());
        for it in &seen {
            prop_assert!(it.length <= 65_535 && it.octets.len() <= it.length);
            prop_assert_eq!(sum(&it.octets[..20]), 0);
            let total = u16::from_be_bytes([it.octets[2], it.octets[3]]);
            prop_assert_eq!(usize::from(total), it.length);
        }
        let (frames, control): (Vec<_>, Vec<_>) = seen.iter().partition(|it| it.octets[9] == 47);
        let (of_frames, of_control): (Vec<_>, Vec<_>) =
            records.iter().partition(|it| it.kind.is_frame());
        prop_assert_eq!(frames.len(), of_frames.len());
        prop_assert_eq!(
            control.iter().map(|it| it.octets.len() - 40).sum::<usize>(),
            of_control.iter().map(|it| it.octets.len()).sum::<usize>()
        );
    }
}
