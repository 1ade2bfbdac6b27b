//! Answers of hostile servers, up to 64 KiB over TCP
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{io::ErrorKind, sync::Arc};

use common::{dns::*, *};
use hickory_proto::{
    op::ResponseCode,
    rr::{RData, Record, rdata::TXT},
};
use pptp_netstack::{LookupError, MAX_DNS_WORK, TcpOptions, UdpOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server over UDP that truncates, and says these octets over TCP behind the query's first ones
fn serve_octets(pair: &Pair, records: Arc<dyn Fn(usize) -> (u16, Vec<u8>) + Send + Sync>) {
    let udp = pair.server.udp_bind(at(SERVER, 53), UdpOptions::default()).unwrap();
    let tcp = pair.server.tcp_listen(at(SERVER, 53), 4, TcpOptions::default()).unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (_, from) = udp.recv_from(&mut buffer).await.unwrap();
            buffer[2] |= 0x82;
            let question = 12 + buffer[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
            let end = if buffer[11] == 1 { question + 11 } else { question };
            udp.send_to(&buffer[..end], from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let question = 12 + query[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
            query.truncate(question);
            (query[2], query[3]) = (0x81, 0x80);
            let (count, records) = records(question);
            query[6..8].copy_from_slice(&count.to_be_bytes());
            query[10..12].fill(0);
            query.extend(records);
            stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
            let _ = stream.write_all(&query).await;
        }
    });
}

fn record(owner: &[u8], record_type: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [owner, &record_type.to_be_bytes(), &[0, 1, 0, 0, 0, 9], &length, data].concat()
}

/// 4,000 aliases that share a tail of 120 labels through compression, a fixed point behind them: this was 16 million
/// comparisons of long names in one poll, or 78 s
#[tokio::test(start_paused = true)]
async fn an_answer_full_of_aliases_costs_little_work() {
    let pair = Pair::with(only_server(), server_config());
    let records = |base: usize| {
        let tail = [&[1, b'x'].repeat(120)[..], &[0]].concat();
        let mut records = record(&[1, b'z', 0], 5, &tail);
        let at = u16::try_from(base + records.len() - tail.len()).unwrap();
        let pointer = (0xC000 | at).to_be_bytes();
        let owner = |first: u8| [&[1, first][..], &pointer].concat();
        let mut count = 1_u16;
        while base + records.len() + 200 < 65_000 {
            records.extend(record(&owner(b'A' + (count % 26) as u8), 5, &pointer));
            count += 1;
        }
        records.extend(record(&[0xC0, 12], 5, &owner(b'0')));
        records.extend(record(&owner(b'0'), 5, &owner(b'0')));
        (count + 2, records)
    };
    serve_octets(&pair, Arc::new(records));
    let error = pair.client.lookup_host("victim.example").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let work = pair.client_stats().dns_work_most;
    assert!((50_000..=MAX_DNS_WORK).contains(&work), "it was read, within its bound: {work}");
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_aliases_is_told_as_one() {
    let pair = Pair::with(only_server(), server_config());
    let records = vec![alias("a.lan.", "b.lan."), alias("b.lan.", "a.lan.")];
    serve(&pair, SERVER, says(ResponseCode::NoError, records));
    let error = pair.client.lookup_host("a.lan").await.unwrap_err();
    let expected = LookupError::Aliases { name: "a.lan".into(), server: SERVER };
    assert_eq!(lookup_error(&error), &expected);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_told_and_the_next_server_asked() {
    let broken: fn(usize) -> (u16, Vec<u8>) =
        |_| (1, record(&[0xC0, 12], 1, &[1, 2, 3, 4])[..9].into());
    let pair = Pair::with(only_server(), server_config());
    serve_octets(&pair, Arc::new(broken));
    let error = pair.client.lookup_host("www.lan").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("192.168.1.1 gave no answer for www.lan"), "{error}");
    let pair = Pair::new();
    serve_octets(&pair, Arc::new(broken));
    serve(&pair, SECOND, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_text_of_64_kib_is_taken_whole() {
    let pair = Pair::with(only_server(), server_config());
    let text = [&[250][..], &[b'x'; 250]].concat().repeat(250);
    let records = move |_| (1, record(&[0xC0, 12], 16, &text));
    serve_octets(&pair, Arc::new(records));
    assert_eq!(pair.client.lookup_txt("whoami.lan").await.unwrap(), ["x".repeat(62_500)]);
}

#[tokio::test(start_paused = true)]
async fn records_of_another_type_do_not_disturb() {
    let pair = Pair::new();
    let text = RData::TXT(TXT::new(vec!["x".into()]));
    let records = vec![Record::from_rdata(name("www.lan."), 60, text), a("www.lan.", 3)];
    serve(&pair, SERVER, says(ResponseCode::NoError, records));
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
}
