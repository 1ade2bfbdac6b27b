//! Answers of honest servers, as hickory composes them, and of hostile ones

use hickory_proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record as Known, RecordType,
        rdata::{A, CNAME, TXT},
    },
};
use proptest::prelude::*;

use super::*;
use crate::MAX_DNS_WORK;

const TCP: Carrier = Carrier::Tcp;
const UDP: Carrier = Carrier::Udp { edns: true };

fn asked(record_type: u16) -> Asked {
    Asked { id: 7, name: b"\x03www\x03lan\0".to_vec(), record_type }
}

/// Reads a message over TCP, and holds the work to its bound
fn parse(message: &[u8], record_type: u16) -> Option<Reply> {
    let mut work = Work::default();
    let reply = Reply::parse(message, &asked(record_type), TCP, &mut work);
    assert!(work.total() <= MAX_DNS_WORK, "{work:?}");
    reply
}

fn found(message: &[u8], record_type: u16) -> Result<Values, Useless> {
    parse(message, record_type).expect("an answer to the question").found
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// The answer that hickory composes to the question for www.lan's addresses
fn composed(records: Vec<Known>) -> Message {
    let mut message = Message::response(7, OpCode::Query);
    message.add_query(Query::query(name("www.lan."), RecordType::A));
    message.add_answers(records);
    message
}

fn a(owner: &str, last: u8) -> Known {
    Known::from_rdata(name(owner), 60, RData::A(A::new(192, 168, 1, last)))
}

fn alias(owner: &str, target: &str) -> Known {
    Known::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

fn addresses(last: &[u8]) -> Values {
    let addresses = last.iter().map(|last| Ipv4Addr::new(192, 168, 1, *last)).collect();
    Values { addresses, texts: Vec::new() }
}

fn chain(length: usize) -> Vec<Known> {
    let owner = |number| if number == 0 { "www.lan.".into() } else { format!("a{number}.lan.") };
    let aliases = (0..length).map(|at| alias(&owner(at), &owner(at + 1)));
    aliases.rev().chain([a(&owner(length), 3)]).collect()
}

#[test]
fn sixteen_aliases_are_followed_and_no_more() {
    let found = |length| found(&composed(chain(length)).to_vec().unwrap(), ADDRESS);
    for length in [0, 1, 16] {
        assert_eq!(found(length), Ok(addresses(&[3])), "{length}");
    }
    for length in [17, 100] {
        assert_eq!(found(length), Err(Useless::Aliases), "{length}");
    }
}

#[test]
fn a_loop_and_a_fixed_point_end_at_once() {
    let looped = vec![alias("www.lan.", "b.lan."), alias("b.lan.", "WWW.lan."), a("b.lan.", 3)];
    let fixed = vec![alias("www.lan.", "www.lan."), a("www.lan.", 3)];
    for (records, most) in [(looped, 200), (fixed, 150)] {
        let (message, mut work) = (composed(records).to_vec().unwrap(), Work::default());
        let reply = Reply::parse(&message, &asked(ADDRESS), TCP, &mut work).unwrap();
        assert_eq!(reply.found, Err(Useless::Aliases));
        assert!(work.total() <= most, "sixteen rounds would be more: {work:?}");
    }
}

#[test]
fn owners_and_class_have_to_match() {
    let mut chaos = a("www.lan.", 66);
    chaos.dns_class = DNSClass::CH;
    let mut chaos_alias = alias("www.lan.", "evil.lan.");
    chaos_alias.dns_class = DNSClass::CH;
    let records = vec![chaos, chaos_alias, a("evil.lan.", 67), a("WWW.LAN.", 3), a("lan.", 68)];
    assert_eq!(found(&composed(records).to_vec().unwrap(), ADDRESS), Ok(addresses(&[3])));
}

#[test]
fn two_hundred_and_fifty_six_records_are_looked_at() {
    let mut records = vec![a("other.lan.", 66); 255];
    records.extend([a("www.lan.", 3), a("www.lan.", 4)]);
    assert_eq!(found(&composed(records).to_vec().unwrap(), ADDRESS), Ok(addresses(&[3])));
}

#[test]
fn texts_are_joined_and_repaired() {
    let mut message = composed(Vec::new());
    message.queries = vec![Query::query(name("www.lan."), RecordType::TXT)];
    let text = |strings: Vec<&[u8]>| RData::TXT(TXT::from_bytes(strings));
    let strings = [vec![&b"one "[..], b"text"], vec![b"\xFF", b""], vec![b""]];
    message.add_answers(strings.map(|it| Known::from_rdata(name("www.lan."), 60, text(it))));
    let found = found(&message.to_vec().unwrap(), TEXT).unwrap();
    assert_eq!(found.texts, ["one text", "\u{FFFD}", ""]);
}

#[test]
fn a_question_that_is_not_ours_is_not_answered() {
    let good = composed(vec![a("www.lan.", 3)]);
    let changes: [fn(&mut Message); 8] = [
        |it| it.metadata.id = 8,
        |it| it.metadata.message_type = hickory_proto::op::MessageType::Query,
        |it| it.metadata.op_code = OpCode::Notify,
        |it| _ = it.queries[0].set_name(name("ww.lan.")),
        |it| _ = it.queries[0].set_query_type(RecordType::TXT),
        |it| _ = it.queries[0].set_query_class(DNSClass::CH),
        |it| _ = it.add_query(it.queries[0].clone()),
        |it| it.queries.clear(),
    ];
    assert!(parse(&good.to_vec().unwrap(), ADDRESS).is_some());
    for (number, change) in changes.iter().enumerate() {
        let mut changed = good.clone();
        change(&mut changed);
        assert_eq!(parse(&changed.to_vec().unwrap(), ADDRESS), None, "{number}");
    }
}

#[test]
fn a_header_alone_counts_if_it_knows_no_edns() {
    let parse = |code, carrier| {
        let mut message = composed(Vec::new());
        message.queries.clear();
        message.metadata.response_code = code;
        let octets = message.to_vec().unwrap();
        assert_eq!(octets.len(), 12);
        Reply::parse(&octets, &asked(ADDRESS), carrier, &mut Work::default())
    };
    assert_eq!(parse(ResponseCode::FormErr, UDP).map(|it| it.code), Some(1));
    assert_eq!(parse(ResponseCode::NotImp, UDP).map(|it| it.code), Some(4));
    assert_eq!(parse(ResponseCode::NXDomain, UDP), None, "anybody can say so");
    assert_eq!(parse(ResponseCode::FormErr, Carrier::Udp { edns: false }), None);
    assert_eq!(parse(ResponseCode::FormErr, TCP), None);
}

#[test]
fn of_a_truncated_datagram_no_record_is_read() {
    let mut message = composed(vec![a("www.lan.", 3)]);
    message.metadata.truncation = true;
    let mut octets = message.to_vec().unwrap();
    octets.truncate(octets.len() - 3);
    let reply = Reply::parse(&octets, &asked(ADDRESS), UDP, &mut Work::default()).unwrap();
    assert_eq!(reply, Reply { code: 0, truncated: true, found: Ok(Values::default()) });
    assert_eq!(found(&octets, ADDRESS), Err(Useless::Malformed), "over TCP it is a fault");
}

/// A message of any records behind a good header and question, as long as a message can be
fn hostile(records: &[u8], count: usize) -> Vec<u8> {
    let mut message = composed(Vec::new()).to_vec().unwrap();
    message[6..8].copy_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
    message.extend(records);
    message.resize(usize::from(u16::MAX), 0);
    message
}

/// The place at which the records of [`hostile`] begin
const RECORDS_AT: usize = 12 + 9 + 4;

fn record(owner: &[u8], record_type: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [owner, &record_type.to_be_bytes(), &IN, &[0; 4], &length, data].concat()
}

/// Records that cost as much as the author of the test could make them cost, with their names
pub(super) fn hostile_answers() -> Vec<(&'static str, Vec<u8>)> {
    let pointer = |at: usize| (0xC000 | u16::try_from(at).unwrap()).to_be_bytes();
    // a name of 255 octets behind as many labels and pointers as are walked
    let mut carrier = Vec::new();
    let base = RECORDS_AT + 1 + 10;
    let mut previous = None;
    for label in 0..127_usize {
        let at = base + carrier.len();
        carrier.extend([1, if label == 126 { b'z' } else { b'a' }]);
        carrier.extend(previous.map_or_else(|| vec![0], |to| pointer(to).to_vec()));
        previous = Some(at);
    }
    let longest = pointer(previous.unwrap());
    let carrier_record = record(&[0], 10, &carrier);
    let question = pointer(12);

    let many = |first: &[u8], each: &[u8]| {
        let count = (usize::from(u16::MAX) - RECORDS_AT - first.len()) / each.len();
        let of_first = usize::from(!first.is_empty());
        hostile(&[first, &each.repeat(count)].concat(), of_first + count)
    };
    let own = |record_type, data: &[u8]| record(&question, record_type, data);
    // pointers that lead to pointers, each to the one before
    let loops = (0..7_000_usize).map(|at| pointer(if at == 0 { 12 } else { base + 2 * (at - 1) }));
    let loops = record(&[0], 10, &loops.collect::<Vec<_>>().concat());
    let last = pointer(base + 2 * 6_999);

    // 16 aliases, each behind 240 owners of the same length that differ in their last octet only
    let label = |first: u8| [&[1, first][..], &pointer(previous.unwrap() - 8)].concat();
    let mut circle = carrier_record.clone();
    for _ in 0..238 {
        circle.extend(record(&label(b'0'), ALIAS, &label(b'0')));
    }
    circle.extend(own(ALIAS, &label(b'a')));
    for step in 0..16_u8 {
        circle.extend(record(&label(b'a' + step), ALIAS, &label(b'b' + step)));
    }

    let text = [&[255][..], &[b'x'; 255]].concat();
    vec![
        ("the longest names", many(&carrier_record, &record(&longest, ALIAS, &longest))),
        ("a long circle of aliases", hostile(&circle, 256)),
        ("chains of pointers", many(&loops, &record(&last, ALIAS, &last))),
        ("aliases of themselves", many(&[], &own(ALIAS, &question))),
        ("pointers to themselves", many(&[], &record(&pointer(RECORDS_AT), ALIAS, &question))),
        ("five thousand roots", many(&[], &record(&[0], ALIAS, &[0]))),
        ("thousands of addresses", many(&[], &own(ADDRESS, &[1, 2, 3, 4]))),
        ("long texts", many(&[], &own(TEXT, &text.repeat(255)))),
        ("empty texts", many(&[], &own(TEXT, &[]))),
        ("texts of empty strings", many(&[], &own(TEXT, &[0; 255]))),
        ("octets of no meaning", hostile(&[0x3F; 65_000], 65_535)),
        ("nothing", hostile(&[], 65_535)),
    ]
}

#[test]
fn the_work_of_a_hostile_answer_has_its_bound() {
    let mut most = 0;
    for (shape, mut message) in hostile_answers() {
        for record_type in [ADDRESS, TEXT] {
            let at = 12 + 9;
            message[at..at + 2].copy_from_slice(&record_type.to_be_bytes());
            let mut work = Work::default();
            let reply = Reply::parse(&message, &asked(record_type), TCP, &mut work);
            println!("{shape}, type {record_type}: {} of {MAX_DNS_WORK}", work.total());
            assert!(reply.is_some(), "{shape}: it is answered, whatever by");
            assert!(work.total() <= MAX_DNS_WORK, "{shape}: {work:?}");
            most = most.max(work.total());
        }
    }
    assert!(most >= MAX_DNS_WORK / 2, "the bound is not idle: {most} of {MAX_DNS_WORK}");
}

/// The figure for the worst answer: `cargo test --release -p pptp-netstack --lib -- --ignored --nocapture worst`
#[test]
#[ignore = "a figure, of a released build"]
fn time_of_the_worst_answer() {
    let mut worst = (std::time::Duration::ZERO, "");
    for (shape, mut message) in hostile_answers() {
        for record_type in [ADDRESS, TEXT] {
            message[21..23].copy_from_slice(&record_type.to_be_bytes());
            // the quickest of many is what the answer costs; the rest is the machine's other work
            let took = (0..50).map(|_| time_of(&message, record_type)).min().unwrap_or_default();
            let known = time_in_hickory(&message);
            println!("{took:>12?}  {shape}, type {record_type}; hickory reads it in {known:?}");
            worst = worst.max((took, shape));
        }
    }
    println!("worst: {:?}, {}", worst.0, worst.1);
    assert!(worst.0 <= std::time::Duration::from_millis(5), "{worst:?}");
}

/// The time of hickory's reader for the same octets, which it may refuse
#[expect(clippy::disallowed_methods, reason = "a figure of real time")]
fn time_in_hickory(message: &[u8]) -> std::time::Duration {
    let began = std::time::Instant::now();
    let _ = std::hint::black_box(Message::from_vec(message));
    began.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "a figure of real time")]
fn time_of(message: &[u8], record_type: u16) -> std::time::Duration {
    let began = std::time::Instant::now();
    let reply = Reply::parse(message, &asked(record_type), TCP, &mut Work::default());
    let took = began.elapsed();
    assert!(std::hint::black_box(reply).is_some());
    took
}

/// A record of few names, so that they meet
fn any_record() -> impl Strategy<Value = Known> {
    let name =
        |number: u8| name(["www.lan.", "WWW.Lan.", "a.lan.", "b.x.lan.", "."][usize::from(number)]);
    (0..5_u8, 0..5_u8, 0..3_u8).prop_map(move |(owner, target, kind)| {
        let data = match kind {
            0 => RData::A(A::new(10, 0, 0, target)),
            1 => RData::CNAME(CNAME(name(target))),
            _ => RData::TXT(TXT::new(vec![target.to_string()])),
        };
        Known::from_rdata(name(owner), 60, data)
    })
}

/// The values of an answer by hickory's own reading of it
fn by_hickory(message: &[u8]) -> Result<Values, Useless> {
    let message = Message::from_vec(message).unwrap();
    let (mut owner, mut followed) = (name("www.lan."), 0);
    while let Some(target) = message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == owner => Some(target.0.clone()),
        _ => None,
    }) {
        if followed == MAX_ALIASES {
            return Err(Useless::Aliases);
        }
        (owner, followed) = (target, followed + 1);
    }
    let address = |record: &Known| match &record.data {
        RData::A(address) if record.name == owner => Some(address.0),
        _ => None,
    };
    let addresses = message.answers.iter().filter_map(address).collect();
    Ok(Values { addresses, texts: Vec::new() })
}

proptest! {
    #[test]
    fn hickory_reads_the_same(records in prop::collection::vec(any_record(), 0..24)) {
        let message = composed(records).to_vec().unwrap();
        prop_assert_eq!(found(&message, ADDRESS), by_hickory(&message));
    }

    #[test]
    fn any_octets_stay_within_the_bound(records: Vec<u8>, ours: bool) {
        let message = if ours { hostile(&records, 65_535) } else { records };
        let _ = parse(&message, ADDRESS);
        let _ = parse(&message, TEXT);
    }

    #[test]
    fn changed_octets_stay_within_the_bound(
        records in prop::collection::vec(any_record(), 0..24),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut message = composed(records).to_vec().unwrap();
        for (at, octet) in changes {
            let at = at.index(message.len());
            message[at] = octet;
        }
        let _ = parse(&message, ADDRESS);
        let _ = parse(&message, TEXT);
    }
}
