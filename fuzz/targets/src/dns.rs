//! DNS answers over UDP and TCP, to a lookup of a stack

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arbitrary::{Arbitrary, Unstructured};
use pptp_netstack::{
    Local, LocalLink, MAX_DNS_WORK, Net, StackConfig, TcpListener, TcpOptions, UdpOptions,
    UdpSocket,
};
use pptp_packet::VecEgress;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    spawn,
    time::{Instant, sleep},
};

use crate::script::{Script, Writer, long};

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 200);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const MTU: usize = 1400;
/// Octets of the largest datagram that is not fragmented
const MAX_DATAGRAM: usize = MTU - 28;
const MAX_STEPS: usize = 16;
/// Packets that a turn has room for
const ROOM: usize = 64;
/// Turns at one moment
const MAX_TURNS: usize = 1000;
/// How long a lookup of one server may take: both rounds, and a little for the way
const MAX_TIME: Duration = Duration::from_millis(6100);
/// After which nothing of a connection is left
const LINGER: Duration = Duration::from_mins(5);
/// What is asked for, all at once
const NAMES: [&str; 2] = ["www.knx.lan", "WWW.KNX.LAN."];

/// Any octets as the answers of a DNS server, over UDP and TCP
///
/// Holds: a lookup ends in its time; the work of each of its polls is within [`MAX_DNS_WORK`]; an address that is found
/// stands in an answer; no more is taken of an answer than its 256 records and its octets; and nothing is left open.
pub fn target(data: &[u8]) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let answers = Script::new(data).steps(MAX_STEPS).collect();
    runtime.expect("a runtime without I/O").block_on(run(answers));
}

async fn run(answers: VecDeque<Step>) {
    let config = StackConfig::new(CLIENT, MTU, 1);
    let (client, client_link) = Local::new(StackConfig { dns: vec![SERVER], ..config });
    let (server, server_link) = Local::new(StackConfig::new(SERVER, MTU, 2));
    let (client_link, server_link) = (Arc::new(client_link), Arc::new(server_link));
    spawn(pump(client_link.clone(), server_link.clone()));
    spawn(pump(server_link, client_link.clone()));
    let scripted = Scripted(Arc::new(Mutex::new(Sent { steps: answers, all: Vec::new() })));
    let udp = server.udp_bind((SERVER, 53).into(), UdpOptions::default()).expect("a socket");
    let tcp = server.tcp_listen((SERVER, 53).into(), 4, TcpOptions::default()).expect("a listener");
    spawn(datagrams(udp, scripted.clone()));
    spawn(streams(tcp, scripted.clone()));

    let began = Instant::now();
    let hosts = NAMES.map(|name| spawn(host(client.clone(), name)));
    let texts = NAMES.map(|name| spawn(text(client.clone(), name)));
    for host in hosts {
        scripted.check_addresses(&host.await.expect("a lookup that does not panic"));
    }
    for text in texts {
        let found = text.await.expect("a lookup that does not panic");
        // an octet that is no UTF-8 becomes three
        let octets = found.iter().map(String::len).sum::<usize>();
        assert!(found.len() <= 256 && octets <= 3 * 65_535, "{} texts of {octets}", found.len());
    }
    assert!(began.elapsed() <= MAX_TIME, "{:?}", began.elapsed());
    let work = client_link.stats().dns_work_most;
    assert!(work <= MAX_DNS_WORK, "{work} of {MAX_DNS_WORK}");
    sleep(LINGER).await;
    let stats = client_link.stats();
    assert_eq!((stats.connections, stats.udp_sockets), (0, 0), "{stats:?}");
    assert!(client_link.with_stack(|stack| stack.is_idle()), "{stats:?}");
}

async fn host(net: Net, name: &'static str) -> Vec<Ipv4Addr> {
    net.lookup_host(name).await.unwrap_or_default()
}

async fn text(net: Net, name: &'static str) -> Vec<String> {
    net.lookup_txt(name).await.unwrap_or_default()
}

/// Carries what one host sends to the other
async fn pump(from: Arc<LocalLink>, to: Arc<LocalLink>) {
    let (mut last, mut turns) = (Instant::now(), 0);
    loop {
        from.ready().await;
        let now = Instant::now();
        turns = if now == last { turns + 1 } else { 0 };
        last = now;
        assert!(turns < MAX_TURNS, "a host is busy for ever");
        let mut out = VecEgress::new(ROOM);
        from.turn(now.into_std(), &mut out);
        out.packets.iter().for_each(|packet| to.handle_ip(now.into_std(), packet));
    }
}

/// The server over UDP: for each query what comes next in the script, if anything
async fn datagrams(socket: UdpSocket, scripted: Scripted) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query).await {
        for answer in scripted.answers(&query[..length], MAX_DATAGRAM) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The server over TCP
async fn streams(listener: TcpListener, scripted: Scripted) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let Ok(length) = stream.read_u16().await else { continue };
        let mut query = vec![0; usize::from(length)];
        if stream.read_exact(&mut query).await.is_ok() {
            for answer in scripted.answers(&query, usize::from(u16::MAX)) {
                let _ = stream.write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX)).await;
                let _ = stream.write_all(&answer).await;
            }
        }
    }
}

/// What the script has a server say
#[derive(Clone)]
struct Scripted(Arc<Mutex<Sent>>);

struct Sent {
    steps: VecDeque<Step>,
    /// All answers that were sent
    all: Vec<Vec<u8>>,
}

impl Scripted {
    /// The answers to a query: those up to the next that is the last for its query
    fn answers(&self, query: &[u8], room: usize) -> Vec<Vec<u8>> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = Vec::new();
        while let Some(step) = sent.steps.pop_front() {
            answers.push(step.answer(query, room));
            if !step.more {
                break;
            }
        }
        sent.all.extend(answers.iter().cloned());
        answers
    }

    fn check_addresses(&self, found: &[Ipv4Addr]) {
        assert!(found.len() <= 256, "{} addresses", found.len());
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for address in found.iter().take(4) {
            let stands = |answer: &Vec<u8>| answer.windows(4).any(|it| it == address.octets());
            assert!(sent.all.iter().any(stands), "{address} stands in no answer");
        }
    }
}

/// One answer
#[derive(Debug)]
struct Step {
    /// Whether the next one answers the same query
    more: bool,
    /// Whether it has the query's identifier, and its question
    id: bool,
    question: bool,
    /// The header's flags and the number of records in the answer section
    flags: u16,
    count: u16,
    /// So often come the records that repeat, as far as they fit, behind those that do not
    times: u16,
    first: Vec<u8>,
    repeated: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let bits: u8 = u.arbitrary()?;
        let (more, id, question) = (bits & 1 != 0, bits & 2 == 0, bits & 4 == 0);
        let (flags, count, times) = (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
        let (first, repeated) = (long(u)?.to_vec(), long(u)?.to_vec());
        Ok(Self { more, id, question, flags, count, times, first, repeated })
    }
}

impl Step {
    fn answer(&self, query: &[u8], room: usize) -> Vec<u8> {
        let mut answer = vec![0; 12];
        if self.id {
            answer[..2].copy_from_slice(&query[..2]);
        }
        answer[2..4].copy_from_slice(&self.flags.to_be_bytes());
        answer[6..8].copy_from_slice(&self.count.to_be_bytes());
        if self.question {
            answer[5] = 1;
            let end = query[12..].iter().position(|octet| *octet == 0).unwrap_or_default() + 17;
            answer.extend(&query[12..end]);
        }
        answer.extend(&self.first);
        let left = room.saturating_sub(answer.len());
        let fit = left.checked_div(self.repeated.len()).unwrap_or_default();
        answer.extend(self.repeated.repeat(fit.min(self.times.into())));
        answer.truncate(room);
        answer
    }

    /// Writes an answer that fits its query but for its records
    fn write(writer: &mut Writer, flags: u16, count: u16, first: &[u8], repeated: &[u8]) {
        writer.raw(&[0]).raw(&flags.to_le_bytes()).raw(&count.to_le_bytes());
        writer.raw(&u16::MAX.to_le_bytes()).long(first).long(repeated);
    }
}

/// The flags of a good answer
const GOOD: u16 = 0x8180;
/// The flags of an answer that did not fit its datagram
const TRUNCATED: u16 = 0x8380;
/// The flags of an answer to a query whose EDNS is not known
const FORMAT_ERROR: u16 = 0x8181;
const ADDRESS: u16 = 1;
const ALIAS: u16 = 5;
const TEXT: u16 = 16;
/// Where the records of an answer begin, behind the header and the question
const RECORDS_AT: usize = 12 + 13 + 4;
/// A pointer to the question's name
const QUESTION: [u8; 2] = [0xC0, 12];

fn record(owner: &[u8], record_type: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [owner, &record_type.to_be_bytes(), &[0, 1, 0, 0, 0, 9], &length, data].concat()
}

/// Seeds that no capture has, with their names
pub fn composed() -> Vec<(&'static str, Vec<u8>)> {
    let pointer = |at: usize| (0xC000 | u16::try_from(at).unwrap_or(0)).to_be_bytes();
    let address = record(&QUESTION, ADDRESS, &[192, 168, 1, 3]);
    let text = record(&QUESTION, TEXT, b"\x08building");
    let own_alias = record(&QUESTION, ALIAS, &QUESTION);
    // one label, and a tail of 120 that all others share
    let tail = [&[1, b'x'].repeat(120)[..], &[0]].concat();
    let shared = record(&[1, b'z', 0], ALIAS, &tail);
    let to_tail = pointer(RECORDS_AT + shared.len() - tail.len());
    let label = |first: u8| [&[1, first][..], &to_tail].concat();
    let mut circle = [shared.clone(), record(&QUESTION, ALIAS, &label(b'a'))].concat();
    for step in 0..17 {
        circle.extend(record(&label(b'a' + step), ALIAS, &label(b'b' + step)));
    }
    // pointers, each to the one before
    let base = RECORDS_AT + 11;
    let chain = (0..100).map(|at| pointer(if at == 0 { 12 } else { base + 2 * (at - 1) }));
    let chain = record(&[0], 10, &chain.collect::<Vec<_>>().concat());
    let to_chain = pointer(base + 2 * 99);

    let over_udp: [(&str, u16, &[u8], &[u8]); 4] = [
        ("address", GOOD, &[], &address),
        ("text", GOOD, &text, &[]),
        ("nothing", 0x8183, &[], &[]),
        ("no-edns", FORMAT_ERROR, &[], &[]),
    ];
    let over_tcp: [(&str, &[u8], &[u8]); 6] = [
        ("addresses", &[], &address),
        ("texts", &[], &text),
        ("own-alias", &[], &own_alias),
        ("shared-tail", &shared, &record(&label(b'a'), ALIAS, &to_tail)),
        ("circle", &circle, &record(&label(b'0'), ALIAS, &label(b'0'))),
        ("pointers", &chain, &record(&to_chain, ALIAS, &to_chain)),
    ];
    let mut seeds = Vec::new();
    for (name, flags, first, repeated) in over_udp {
        let mut writer = Writer::default();
        (0..4).for_each(|_| Step::write(&mut writer, flags, 1, first, repeated));
        seeds.push((name, writer.0));
    }
    for (name, first, repeated) in over_tcp {
        let mut writer = Writer::default();
        (0..2).for_each(|_| Step::write(&mut writer, TRUNCATED, 0, &[], &[]));
        (0..2).for_each(|_| Step::write(&mut writer, GOOD, 1000, first, repeated));
        seeds.push((name, writer.0));
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The octets of the seeds are read as they were meant: the answer is taken
    #[test]
    fn a_seed_is_an_answer() {
        let seeds = composed();
        let (_, seed) = seeds.iter().find(|(name, _)| *name == "addresses").expect("a seed");
        let steps: Vec<Step> = Script::new(seed).steps(MAX_STEPS).collect();
        let flags = steps.iter().map(|step| step.flags).collect::<Vec<_>>();
        assert_eq!(flags, [TRUNCATED, TRUNCATED, GOOD, GOOD]);
        let query = [&[7; 12][..], b"\x03www\x03knx\x03lan\0", &[0, 1, 0, 1]].concat();
        assert_eq!(query.len(), RECORDS_AT);
        let answer = steps[2].answer(&query, 65_535);
        assert!(answer.len() > 65_500 && answer.starts_with(&[7, 7, 0x81, 0x80, 0, 1]));
        assert_eq!(answer[12..RECORDS_AT], query[12..]);
    }
}
