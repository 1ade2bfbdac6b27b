//! Questions in flight: shared, bounded, repeated, with EDNS and without
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{
    future::{Future, poll_fn},
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use common::{dns::*, *};
use hickory_proto::op::{Message, ResponseCode};
use pptp_netstack::{LookupError, TcpOptions};
use smoltcp::wire::{IpAddress, Ipv4Packet, UdpPacket};
use tokio::time::{Instant, sleep};

/// Questions that one stack has in flight at most
const MAX_QUESTIONS: usize = 64;

/// Polls a future once, which is not done by that
async fn begin<F: Future + Unpin>(future: &mut F) {
    let pending = poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await;
    assert!(pending, "nothing has been answered yet");
}

#[tokio::test(start_paused = true)]
async fn equal_questions_share_one_query() {
    let pair = Pair::new();
    let asked = serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    let names = ["www.lan", "WWW.lan", "www.lan."];
    let lookups = (0..60).map(|number| {
        let net = pair.client.clone();
        tokio::spawn(async move { net.lookup_host(names[number % 3]).await })
    });
    for lookup in lookups.collect::<Vec<_>>() {
        assert_eq!(lookup.await.unwrap().unwrap(), [SECOND]);
    }
    assert_eq!(asked.lock().unwrap().len(), 1, "one query for all");
    // answers are not kept
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    assert_eq!(asked.lock().unwrap().len(), 2);
    // another type is another question
    let (host, text) =
        tokio::join!(pair.client.lookup_host("www.lan"), pair.client.lookup_txt("www.lan"));
    assert_eq!((host.unwrap(), text.unwrap_err().kind()), (vec![SECOND], ErrorKind::NotFound));
    assert_eq!(asked.lock().unwrap().len(), 4);
    assert_eq!(pair.client_stats().udp_sockets, 0);
}

#[tokio::test(start_paused = true)]
async fn each_asker_hears_the_name_as_it_wrote_it() {
    let pair = Pair::new();
    serve(&pair, SERVER, says(ResponseCode::NXDomain, Vec::new()));
    let (one, other) =
        tokio::join!(pair.client.lookup_host("no.lan"), pair.client.lookup_host("NO.lan."));
    for (error, name) in [(one, "no.lan"), (other, "NO.lan.")] {
        let error = error.unwrap_err();
        let expected = LookupError::NoSuchName { name: name.into(), server: SERVER };
        assert_eq!(lookup_error(&error), &expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_question_outlives_each_of_its_askers() {
    for dropped in [0, 1, 2] {
        let pair = Pair::new();
        let asked = serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
        let mut lookups: Vec<_> =
            (0..3).map(|_| Box::pin(pair.client.lookup_host("www.lan"))).collect();
        for lookup in &mut lookups {
            begin(lookup).await;
        }
        sleep(Duration::from_millis(2)).await;
        drop(lookups.remove(dropped));
        sleep(Duration::from_millis(2)).await;
        drop(lookups.remove(0));
        let start = Instant::now();
        assert_eq!(lookups.remove(0).await.unwrap(), [SECOND]);
        assert!(start.elapsed() < Duration::from_millis(10), "{:?}", start.elapsed());
        assert_eq!(asked.lock().unwrap().len(), 1);
        assert!(pair.client_link.with_stack(|stack| stack.is_idle()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_ends_with_its_last_asker() {
    let pair = Pair::with(only_server(), server_config());
    let asked = serve(&pair, SERVER, silent());
    let mut lookups: Vec<_> =
        (0..3).map(|_| Box::pin(pair.client.lookup_host("www.lan"))).collect();
    for lookup in &mut lookups {
        begin(lookup).await;
    }
    assert_eq!(pair.client_stats().udp_sockets, 1);
    lookups.truncate(1);
    assert_eq!(pair.client_stats().udp_sockets, 1, "one is left that asks");
    lookups.clear();
    sleep(Duration::from_millis(20)).await;
    assert_eq!(pair.client_stats().udp_sockets, 0);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(asked.lock().unwrap().len(), 1, "nothing is asked for nobody");
}

/// A future that is held and not polled delays no other asker, and its old answer is not given to others
#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_polled_is_not_joined_for_ever() {
    let pair = Pair::with(only_server(), server_config());
    let asked = serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    let mut held = Box::pin(pair.client.lookup_host("www.lan"));
    begin(&mut held).await;
    sleep(Duration::from_secs(7)).await;
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn so_many_questions_and_no_more_are_in_flight() {
    let pair = Pair::with(only_server(), server_config());
    serve(&pair, SERVER, silent());
    let names: Vec<_> = (0..=MAX_QUESTIONS).map(|number| format!("h{number}.lan")).collect();
    let mut lookups: Vec<_> =
        names[..MAX_QUESTIONS].iter().map(|name| Box::pin(pair.client.lookup_host(name))).collect();
    for lookup in &mut lookups {
        begin(lookup).await;
    }
    let error = pair.client.lookup_host(&names[MAX_QUESTIONS]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert!(error.to_string().contains("h64.lan") && error.to_string().contains("64"), "{error}");
    let mut equal = Box::pin(pair.client.lookup_host(&names[0]));
    begin(&mut equal).await;
    drop(lookups.pop());
    begin(&mut Box::pin(pair.client.lookup_host(&names[MAX_QUESTIONS]))).await;
}

/// Identifier and port of a query that was sent
fn query_of(packet: &[u8]) -> (u16, u16) {
    let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    assert_eq!((packet[9], number(22)), (17, 53), "a datagram to a DNS server");
    (number(20), number(28))
}

#[tokio::test(start_paused = true)]
async fn a_repeated_question_has_another_identifier_and_port() {
    let pair = Pair::with(only_server(), server_config());
    pair.cut();
    pair.record();
    assert!(pair.client.lookup_host("www.lan").await.is_err());
    let sent: Vec<_> = pair.record().iter().map(|(_, packet)| query_of(packet)).collect();
    assert_eq!(sent.len(), 8, "at 0, 0.1, 0.3 and 0.7 s, in two rounds");
    for (number, (port, id)) in sent.iter().enumerate() {
        let others = sent[..number].iter().filter(|other| other.0 == *port || other.1 == *id);
        assert_eq!(others.count(), 0, "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_earlier_repetition_counts() {
    let pair = Pair::with(only_server(), server_config());
    let asked = serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    pair.set_latency(Duration::from_millis(80));
    let start = Instant::now();
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    let took = start.elapsed().as_millis();
    assert!((160..165).contains(&took), "the first of two was answered: {took}");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert_eq!(pair.client_stats().udp_sockets, 0);
}

#[tokio::test(start_paused = true)]
async fn a_query_tells_how_long_an_answer_may_be() {
    let pair = Pair::with(only_server(), server_config());
    // 35 addresses, beyond the 512 octets of RFC 1035
    let records: Vec<_> = (1..=35).map(|last| a("www.lan.", last)).collect();
    let script = move |query: &Message, _| {
        let edns = query.edns.as_ref().expect("EDNS");
        assert_eq!((edns.max_payload(), edns.version()), (1232, 0));
        let answer = answer(query, ResponseCode::NoError, records.clone());
        assert!(answer.to_vec().unwrap().len() > 512);
        vec![answer]
    };
    serve(&pair, SERVER, Arc::new(script));
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap().len(), 35);
}

/// The answers of a server that knows no EDNS: with the question and with its header only
#[tokio::test(start_paused = true)]
async fn a_server_without_edns_is_asked_again_without() {
    for code in [ResponseCode::FormErr, ResponseCode::NotImp] {
        for with_question in [true, false] {
            let pair = Pair::with(only_server(), server_config());
            let script = move |query: &Message, _| {
                let mut refused = answer(query, code, Vec::new());
                if !with_question {
                    refused.queries.clear();
                }
                let good = answer(query, ResponseCode::NoError, vec![a("www.lan.", 3)]);
                vec![if query.edns.is_some() { refused } else { good }]
            };
            let asked = serve(&pair, SERVER, Arc::new(script));
            let start = Instant::now();
            assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
            assert!(start.elapsed() < Duration::from_millis(25), "{:?}", start.elapsed());
            let asked = asked.lock().unwrap();
            assert_eq!(asked.len(), 2);
            assert!(asked[0].1 != asked[1].1 && asked[0].0 != asked[1].0, "{asked:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_is_not_asked_without_edns() {
    let pair = Pair::new();
    let refused = serve(&pair, SERVER, says(ResponseCode::Refused, Vec::new()));
    serve(&pair, SECOND, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    assert_eq!(refused.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_no_edns_at_all_is_asked_without_in_the_second_round() {
    let pair = Pair::with(only_server(), server_config());
    let script = |query: &Message, _| {
        let good = answer(query, ResponseCode::NoError, vec![a("www.lan.", 3)]);
        if query.edns.is_some() { Vec::new() } else { vec![good] }
    };
    serve(&pair, SERVER, Arc::new(script));
    let start = Instant::now();
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    assert_eq!(start.elapsed().as_millis(), 2010);
}

#[tokio::test(start_paused = true)]
async fn only_the_server_itself_answers_a_question() {
    let pair = Pair::with(only_server(), server_config());
    let asked = serve(&pair, SERVER, silent());
    let mut lookup = Box::pin(pair.client.lookup_host("www.lan"));
    begin(&mut lookup).await;
    sleep(Duration::from_millis(20)).await;
    let (SocketAddr::V4(from), id) = asked.lock().unwrap()[0] else { unreachable!() };
    let forged = |source: Ipv4Addr, port: u16, id: u16, last: u8| {
        let mut query = Message::query();
        query.metadata.id = id;
        query.add_query(hickory_proto::op::Query::query(
            name("www.lan."),
            hickory_proto::rr::RecordType::A,
        ));
        let forged = answer(&query, ResponseCode::NoError, vec![a("www.lan.", last)]);
        let payload = forged.to_vec().unwrap();
        datagram((source, port), (CLIENT, from.port()), &payload)
    };
    pair.inject(&forged(SECOND, 53, id, 66));
    pair.inject(&forged(SERVER, 54, id, 67));
    for wrong in 0..1000_u16 {
        pair.inject(&forged(SERVER, 53, id.wrapping_add(wrong.max(1)), 68));
        if wrong % 10 == 9 {
            begin(&mut lookup).await;
        }
    }
    pair.inject(&forged(SERVER, 53, id, 3));
    assert_eq!(lookup.await.unwrap(), [SECOND]);
}

fn datagram(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let number = |number: usize| u16::try_from(number).unwrap().to_be_bytes();
    let udp = [
        &from.1.to_be_bytes()[..],
        &to.1.to_be_bytes(),
        &number(8 + payload.len()),
        &[0; 2],
        payload,
    ];
    let (length, udp) = (number(28 + payload.len()), udp.concat());
    let header = [0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, 17, 0, 0];
    let mut packet = [&header[..], &from.0.octets(), &to.0.octets(), &udp].concat();
    Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
    let (source, destination) = (IpAddress::Ipv4(from.0), IpAddress::Ipv4(to.0));
    UdpPacket::new_unchecked(&mut packet[20..]).fill_checksum(&source, &destination);
    packet
}

#[tokio::test(start_paused = true)]
async fn localhost_is_asked_of_nobody() {
    let pair = Pair::new();
    let asked = serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("localhost.", 66)]));
    for name in ["localhost", "localhost.", "LocalHost", "www.localhost", "a.b.LOCALHOST."] {
        let error = pair.client.lookup_host(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(lookup_error(&error), &LookupError::Localhost { name: name.into() });
        assert!(error.to_string().starts_with(name), "{error}");
        assert!(pair.client.lookup_txt(name).await.is_err());
        let connect = pair.client.tcp_connect((name, 80), TcpOptions::default()).await;
        assert_eq!(connect.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!((asked.lock().unwrap().len(), pair.client_stats().packets_out), (0, 0));
    // names that only look like it are names
    let error = pair.client.lookup_host("mylocalhost").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shut_down_ends_a_question_for_all_askers() {
    let pair = Pair::new();
    pair.cut();
    let lookups = [(); 3].map(|()| {
        let net = pair.client.clone();
        tokio::spawn(async move { net.lookup_host("www.lan").await })
    });
    sleep(Duration::from_millis(50)).await;
    let reason = Arc::new(std::io::Error::other("the tunnel is down"));
    pair.client_link.with_stack(|stack| stack.shut_down(reason, ErrorKind::ConnectionReset));
    for lookup in lookups {
        let error = lookup.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(error.to_string(), "the tunnel is down");
    }
}
