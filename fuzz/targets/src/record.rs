//! Flight records: what the recorder keeps, the file that is made of it, and what is read out of it

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use arbitrary::{Arbitrary, Unstructured};
use pcap_parser::{Block, pcapng::parse_block_le};
use pptp::{
    fuzzing::flight_record,
    record::{Record, RecordKind, Transcript},
};

use crate::script::{Script, Writer, long};

const MOST_RECORDS: usize = 256;
/// Octets of a file without records
const OVERHEAD: usize = 4096;
/// A control message has 12 octets at least, and 100 around it
const PER_OCTET: usize = 10;
const PER_RECORD: usize = 300;
/// The option of a comment
const COMMENT: u16 = 1;
const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 40_000);
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 1723);

/// A record of a script
#[derive(Debug)]
pub struct Recorded(Record);

impl<'a> Arbitrary<'a> for Recorded {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind: u8 = u.arbitrary()?;
        let at = Duration::from_millis(u.arbitrary::<u32>()?.into());
        let sequence = if kind & 4 == 0 { None } else { Some(u.arbitrary()?) };
        let kind = match kind % 4 {
            0 => RecordKind::ControlSent,
            1 => RecordKind::ControlReceived,
            2 => RecordKind::FrameSent,
            _ => RecordKind::FrameReceived,
        };
        Ok(Self(Record { at, kind, sequence, octets: long(u)?.to_vec() }))
    }
}

impl Recorded {
    /// A record as a step of a seed: control or PPP, sent or received
    pub fn write(
        writer: &mut Writer,
        at: Duration,
        kind: RecordKind,
        sequence: u32,
        octets: &[u8],
    ) {
        let code = match kind {
            RecordKind::ControlSent => 0,
            RecordKind::ControlReceived => 1,
            RecordKind::FrameSent => 6,
            _ => 7,
        };
        let at = u32::try_from(at.as_millis()).unwrap_or(u32::MAX);
        writer.raw(&[code]).raw(&at.to_le_bytes());
        if code & 4 != 0 {
            writer.raw(&sequence.to_le_bytes());
        }
        writer.long(octets);
    }
}

/// Records of any content
///
/// Holds: the file of a flight record is read by a crate that has nothing to do with ours, to its end,
/// with IP packets as long as they say, or with a comment that says why not, and it is not much larger than the records. What is read out
/// of the records counts no more frames than there are.
pub fn target(data: &[u8]) {
    let records: Vec<Record> =
        Script::new(data).steps(MOST_RECORDS).map(|Recorded(record)| record).collect();
    let frames = records
        .iter()
        .filter(|it| matches!(it.kind, RecordKind::FrameSent | RecordKind::FrameReceived))
        .count();
    let transcript = Transcript::of(&records);
    assert_eq!(transcript.frames_sent + transcript.frames_received, frames);
    assert!(transcript.authentication_offered.len() <= frames);
    for record in &records {
        let _ = record.is_redacted();
    }
    let octets: usize = records.iter().map(|record| record.octets.len()).sum();
    let most = OVERHEAD + PER_OCTET * octets + PER_RECORD * records.len();
    let file = flight_record(records, "a tunnel".into(), [LOCAL, SERVER], [1, 2]).pcapng();
    assert!(file.len() <= most, "{} octets of file for {octets}", file.len());
    read(&file);
}

fn read(mut file: &[u8]) {
    let mut blocks = 0;
    while !file.is_empty() {
        let (rest, block) = parse_block_le(file).expect("a block of pcapng");
        file = rest;
        blocks += 1;
        match (blocks, block) {
            (1, Block::SectionHeader(_)) | (2, Block::InterfaceDescription(_)) => {}
            (3.., Block::EnhancedPacket(packet)) => {
                let kept = usize::try_from(packet.caplen).expect("a length");
                let has_comment = packet.options.iter().any(|it| it.code.0 == COMMENT);
                assert!(has_comment || packet.caplen == packet.origlen, "cut off without a word");
                check_ip(&packet.data[..kept], packet.origlen);
            }
            (place, block) => panic!("{block:?} in place {place}"),
        }
    }
    assert!(blocks >= 2, "no section");
}

/// An IPv4 datagram of TCP or GRE between the two ends
fn check_ip(datagram: &[u8], length: u32) {
    assert!(datagram.len() >= 20 && datagram[0] == 0x45, "no IPv4 header: {datagram:02x?}");
    let total = u32::from(u16::from_be_bytes([datagram[2], datagram[3]]));
    assert_eq!(total, length, "the length in the header");
    assert!(matches!(datagram[9], 6 | 47), "protocol {}", datagram[9]);
    let ends = [&datagram[12..16], &datagram[16..20]];
    assert!(ends.contains(&&LOCAL.ip().octets()[..]) && ends.contains(&&SERVER.ip().octets()[..]));
}
