//! Names, by a scripted DNS server
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{io::ErrorKind, net::Ipv4Addr, sync::Arc, time::Duration};

use common::{dns::*, *};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, rdata::TXT},
};
use pptp_netstack::{LookupError, StackConfig, TcpOptions, UdpOptions};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn figures_are_their_own_answer() {
    let pair = Pair::new();
    assert_eq!(pair.client.lookup_host("192.168.1.3").await.unwrap(), [SECOND]);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_found_and_the_question_is_hard_to_guess() {
    let pair = Pair::new();
    let asked =
        serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("www.lan.", 3), a("www.lan.", 4)]));
    for lookup in ["www.lan", "www.lan.", "WWW.lan"] {
        let found = pair.client.lookup_host(lookup).await.unwrap();
        assert_eq!(found, [SECOND, Ipv4Addr::new(192, 168, 1, 4)], "{lookup}");
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    for pair in asked.windows(2) {
        let [(from, id), (other_from, other_id)] = pair else { unreachable!() };
        assert!(from.port() != other_from.port() && id != other_id, "{asked:?}");
    }
    assert_eq!(pair.client_stats().udp_sockets, 0);
}

#[tokio::test(start_paused = true)]
async fn sockets_take_names_and_ask_the_stacks_own_servers() {
    let pair = Pair::new();
    // no host is at the first address of the name
    let records = vec![a("www.lan.", 99), a("www.lan.", 3)];
    let asked = serve(&pair, SERVER, says(ResponseCode::NoError, records));
    let _listener = pair.server.tcp_listen(at(SECOND, 80), 1, TcpOptions::default()).unwrap();
    let (start, options) = (Instant::now(), TcpOptions::default());
    let stream = pair.client.tcp_connect("www.lan:80", options.clone()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), at(SECOND, 80));
    assert!(start.elapsed() >= options.connect_timeout, "each address has its time");
    let options = options.connect_timeout(Duration::from_secs(1));
    let silent = pair.client.tcp_connect(("www.lan", 81), options).await.unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::ConnectionRefused, "what the last address met");

    let socket = pair.client.udp_bind(any(0), UdpOptions::default()).unwrap();
    socket.connect(String::from("www.lan:9")).await.unwrap();
    assert_eq!(socket.peer_addr().unwrap(), at(Ipv4Addr::new(192, 168, 1, 99), 9));
    assert_eq!(socket.send_to(b"x", ("www.lan", 9)).await.unwrap(), 1);
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn figures_with_a_port_ask_nobody() {
    let pair = Pair::with(StackConfig::new(CLIENT, MTU, 1), server_config());
    let _listener = pair.server.tcp_listen(at(SECOND, 80), 4, TcpOptions::default()).unwrap();
    for address in ["192.168.1.3:80", "192.168.1.3:080"] {
        pair.client.tcp_connect(address, TcpOptions::default()).await.unwrap();
    }
    pair.client.tcp_connect(("192.168.1.3", 80), TcpOptions::default()).await.unwrap();
    let both = [at(SERVER, 81), at(SECOND, 80)];
    pair.client.tcp_connect(&both[..], TcpOptions::default()).await.unwrap();
    let errors = [("[::1]:80", ErrorKind::Unsupported), ("192.168.1.3", ErrorKind::InvalidInput)];
    for (address, kind) in errors {
        let error = pair.client.tcp_connect(address, TcpOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn aliases_are_followed_and_strangers_ignored() {
    let pair = Pair::new();
    let records = vec![
        a("stranger.lan.", 66),
        alias("b.lan.", "c.lan."),
        alias("a.lan.", "b.lan."),
        a("C.lan.", 3),
    ];
    serve(&pair, SERVER, says(ResponseCode::NoError, records));
    assert_eq!(pair.client.lookup_host("a.lan").await.unwrap(), [SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_aliases_ends() {
    let pair = Pair::new();
    let records = vec![alias("a.lan.", "b.lan."), alias("b.lan.", "a.lan.")];
    serve(&pair, SERVER, says(ResponseCode::NoError, records));
    let error = pair.client.lookup_host("a.lan").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn no_such_name_tells_the_name_and_the_server() {
    let pair = Pair::new();
    serve(&pair, SERVER, says(ResponseCode::NXDomain, Vec::new()));
    let error = pair.client.lookup_host("nobody.lan").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nobody.lan") && error.to_string().contains("192.168.1.1"));
    let error = error.get_ref().and_then(|error| error.downcast_ref::<LookupError>());
    assert!(matches!(error, Some(LookupError::NoSuchName { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let pair = Pair::new();
    let text = vec!["building 1".to_owned(), "x".repeat(200), "y".repeat(200), "z".repeat(200)];
    let record = Record::from_rdata(name("whoami.lan."), 60, RData::TXT(TXT::new(text.clone())));
    let script = move |query: &Message, over_tcp: bool| {
        let mut answer = answer(query, ResponseCode::NoError, Vec::new());
        answer.metadata.truncation = !over_tcp;
        if over_tcp {
            answer.add_answer(record.clone());
        }
        vec![answer]
    };
    serve(&pair, SERVER, Arc::new(script));
    assert_eq!(pair.client.lookup_txt("whoami.lan").await.unwrap(), [text.concat()]);
}

#[tokio::test(start_paused = true)]
async fn the_next_server_is_asked_when_one_is_silent_or_unable() {
    for first in [silent(), says(ResponseCode::ServFail, Vec::new())] {
        let pair = Pair::new();
        serve(&pair, SERVER, first);
        serve(&pair, SECOND, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
        assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    }
    // no server on the first at all: port unreachable, and no time is lost
    let pair = Pair::new();
    serve(&pair, SECOND, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    let start = Instant::now();
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    assert!(start.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_lost_query_is_repeated() {
    let pair = Pair::with(StackConfig { dns: vec![SERVER], ..client_config() }, server_config());
    serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    // soon while the link has brought nothing, as after a connect, and then after two seconds
    for expected in [110, 2010] {
        let mut first = true;
        pair.set_filter(move |_, _| !std::mem::take(&mut first));
        let start = Instant::now();
        assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
        let took = start.elapsed().as_millis();
        assert!((expected..expected + 5).contains(&took), "{took}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_times_out() {
    let pair = Pair::new();
    pair.cut();
    let start = Instant::now();
    let error = pair.client.lookup_host("www.lan").await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::TimedOut, 12));
    assert_eq!(pair.client_stats().udp_sockets, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_ignored() {
    let pair = Pair::new();
    let script = |query: &Message, _| {
        let good = answer(query, ResponseCode::NoError, vec![a("www.lan.", 3)]);
        let mut wrong_id = good.clone();
        wrong_id.metadata.id ^= 1;
        wrong_id.answers = vec![a("www.lan.", 66)];
        let mut wrong_question = good.clone();
        wrong_question.queries[0].set_name(name("other.lan."));
        wrong_question.answers = vec![a("www.lan.", 67)];
        vec![query.clone(), wrong_id, wrong_question, good]
    };
    serve(&pair, SERVER, Arc::new(script));
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_an_error() {
    let pair = Pair::with(StackConfig { dns: Vec::new(), ..client_config() }, server_config());
    let error = pair.client.lookup_host("www.lan").await.unwrap_err();
    assert!(error.to_string().contains("no DNS server"), "{error}");
    let error = pair.client.lookup_host(&"x".repeat(64)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
