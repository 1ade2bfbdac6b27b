//! A scripted DNS server

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{A, CNAME},
    },
};
use pptp_netstack::{LookupError, StackConfig, TcpOptions, UdpOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Pair, SERVER, at, client_config};

/// The reaction of a server to a query: its answers, if any; the flag is true over TCP
pub type Script = Arc<dyn Fn(&Message, bool) -> Vec<Message> + Send + Sync>;

pub fn serve(pair: &Pair, address: Ipv4Addr, script: Script) -> Arc<Mutex<Vec<(SocketAddr, u16)>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let udp = pair.server.udp_bind(at(address, 53), UdpOptions::default()).unwrap();
    let (over_udp, seen) = (script.clone(), asked.clone());
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (count, from) = udp.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..count]).unwrap();
            seen.lock().unwrap().push((from, query.metadata.id));
            for answer in over_udp(&query, false) {
                udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        }
    });
    let tcp = pair.server.tcp_listen(at(address, 53), 4, TcpOptions::default()).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            for answer in script(&Message::from_vec(&query).unwrap(), true) {
                let answer = answer.to_vec().unwrap();
                stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    });
    asked
}

pub fn answer(query: &Message, code: ResponseCode, records: Vec<Record>) -> Message {
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.response_code = code;
    answer.add_queries(query.queries.iter().cloned());
    answer.add_answers(records);
    answer
}

pub fn name(name: &str) -> Name {
    Name::from_ascii(name).unwrap()
}

pub fn a(owner: &str, last: u8) -> Record {
    Record::from_rdata(name(owner), 60, RData::A(A::new(192, 168, 1, last)))
}

pub fn alias(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

pub fn says(code: ResponseCode, records: Vec<Record>) -> Script {
    Arc::new(move |query, _| vec![answer(query, code, records.clone())])
}

pub fn silent() -> Script {
    Arc::new(|_, _| Vec::new())
}

/// The client, with the first of the server's addresses as its only DNS server
pub fn only_server() -> StackConfig {
    StackConfig { dns: vec![SERVER], ..client_config() }
}

pub fn lookup_error(error: &io::Error) -> &LookupError {
    error.get_ref().and_then(|error| error.downcast_ref()).expect("an error of a lookup")
}
