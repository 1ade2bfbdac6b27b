//! The building's DNS server (RFC 1035), with a handful of names

use std::io;

use hickory_proto::{
    op::{Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, RData, Record, RecordType,
        rdata::{A, TXT},
    },
};
use pptp_netstack::TcpStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::DEVICE;

pub(super) const PORT: u16 = 53;

/// Answers the queries of one connection, each behind its length (RFC 1035 §4.2.2)
pub(super) async fn serve(building: u32, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let length = match stream.read_u16().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            length => length?,
        };
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await?;
        let Some(answer) = answer(building, &query).and_then(|answer| answer.to_vec().ok()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).await?;
    }
}

/// The answer to a query over UDP, cut to its head if it is too long for that
///
/// The limit of RFC 1035 §4.2.1 applies even if the query offers more, so that a resolver has to
/// fall back to TCP.
pub(super) fn answer_udp(building: u32, query: &[u8]) -> Option<Vec<u8>> {
    let answer = answer(building, query)?;
    let octets = answer.to_vec().ok()?;
    if octets.len() <= UDP_LIMIT { Some(octets) } else { answer.truncate().to_vec().ok() }
}

fn answer(building: u32, query: &[u8]) -> Option<Message> {
    let query = Message::from_vec(query).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&query.metadata);
    answer.metadata.recursion_available = true;
    answer.add_queries(query.queries.iter().cloned());
    match (query.metadata.op_code, query.queries.as_slice()) {
        (OpCode::Query, [question]) => resolve(building, question, &mut answer),
        (OpCode::Query, _) => answer.metadata.response_code = ResponseCode::FormErr,
        _ => answer.metadata.response_code = ResponseCode::NotImp,
    }
    Some(answer)
}

fn resolve(building: u32, question: &Query, answer: &mut Message) {
    let name = question.name().to_lowercase().to_ascii();
    let data = match name.as_str() {
        "whoami.lan." => RData::TXT(TXT::new(vec![format!("building-{building}")])),
        "big.lan." => RData::TXT(TXT::new(big(building))),
        "knx.lan." => RData::A(A(DEVICE)),
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            return;
        }
    };
    let wanted = [data.record_type(), RecordType::ANY].contains(&question.query_type());
    if wanted && question.query_class() == DNSClass::IN {
        answer.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
    }
}

/// The strings of `big.lan`: more than any UDP datagram in a tunnel holds
fn big(building: u32) -> Vec<String> {
    (0..8).map(|index| format!("building-{building} string {index} {}", ".".repeat(220))).collect()
}

/// Octets of the largest answer over UDP (RFC 1035 §4.2.1)
const UDP_LIMIT: usize = 512;

/// Seconds
const TTL: u32 = 60;

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Name;

    use super::*;

    fn query(name: &str, kind: RecordType) -> Vec<u8> {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        query.to_vec().unwrap()
    }

    fn asked(name: &str, kind: RecordType) -> Message {
        let answer = answer_udp(4, &query(name, kind)).unwrap();
        assert!(answer.len() <= UDP_LIMIT);
        Message::from_vec(&answer).unwrap()
    }

    #[test]
    fn names_are_known_in_any_case() {
        let txt = asked("WhoAmI.lan.", RecordType::TXT);
        assert_eq!(txt.answers[0].data.to_string(), "building-4");
        let a = asked("knx.lan.", RecordType::A);
        assert_eq!(a.answers[0].data, RData::A(A(DEVICE)));
    }

    #[test]
    fn a_name_without_such_a_record_is_not_an_unknown_name() {
        let known = asked("knx.lan.", RecordType::TXT);
        assert_eq!(known.metadata.response_code, ResponseCode::NoError);
        assert!(known.answers.is_empty());
        let unknown = asked("nobody.lan.", RecordType::A);
        assert_eq!(unknown.metadata.response_code, ResponseCode::NXDomain);
    }

    #[test]
    fn what_is_too_long_for_udp_is_cut_and_whole_over_tcp() {
        let cut = asked("big.lan.", RecordType::TXT);
        assert!(cut.metadata.truncation);
        assert!(cut.answers.is_empty());
        let whole = answer(4, &query("big.lan.", RecordType::TXT)).unwrap();
        assert_eq!(whole.answers.len(), 1);
        assert!(whole.to_vec().unwrap().len() > 1500);
    }

    #[test]
    fn what_is_no_query_gets_no_answer() {
        assert_eq!(answer_udp(4, b"hello"), None);
        let answer = answer_udp(4, &query("knx.lan.", RecordType::A)).unwrap();
        assert_eq!(answer_udp(4, &answer), None, "two servers do not talk for ever");
    }
}
