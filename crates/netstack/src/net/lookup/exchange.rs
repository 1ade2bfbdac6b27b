//! The exchange with one DNS server: UDP, EDNS, and TCP (RFC 1035 §4.2, RFC 6891)

use std::{
    future::poll_fn,
    io,
    net::{Ipv4Addr, SocketAddr},
    task::{Context, Poll},
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{DNSClass, Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use crate::{
    Stack, TcpOptions, UdpOptions,
    dns::{
        answer::{Asked, Carrier, Reply, lacks_edns},
        question::Key,
        work::Work,
    },
    net::{address::endpoint, handle::Net, udp::UdpSocket},
    shared::fresh_link::FreshLinkDelays,
};

/// Octets of an answer over UDP that a query with EDNS permits, so that no path has to fragment it
/// (RFC 6891 §6.2.5, as of DNS Flag Day 2020)
const PAYLOAD: u16 = 1232;

/// Size of the receive buffer for an answer over UDP, in octets
const BUFFER: usize = 4096;

/// Datagrams of one socket that one poll looks at, before others have their turn
pub(super) const MAX_DATAGRAMS: usize = 4;

/// Queries of one question to one server that are on their way at most: the first, and one after each pause
pub(super) const MAX_QUERIES: usize = 1 + FreshLinkDelays::COUNT;

/// A question as hickory composes it
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) name: Name,
    pub(super) record_type: RecordType,
    pub(super) key: Key,
}

/// A query on its way, from a port of its own
struct Sent {
    socket: UdpSocket,
    asked: Asked,
}

impl Net {
    /// Asks one server over UDP, and over TCP if the answer did not fit; again without EDNS if the server has none
    pub(super) async fn ask(
        &self,
        server: Ipv4Addr,
        subject: &Subject,
        edns: bool,
    ) -> io::Result<Reply> {
        let reply = self.ask_as(server, subject, edns).await?;
        if edns && lacks_edns(reply.code) {
            return self.ask_as(server, subject, false).await;
        }
        Ok(reply)
    }

    async fn ask_as(&self, server: Ipv4Addr, subject: &Subject, edns: bool) -> io::Result<Reply> {
        let server = SocketAddr::from((server, 53));
        let reply = self.ask_udp(server, subject, edns).await?;
        if !reply.truncated {
            return Ok(reply);
        }
        self.ask_tcp(server, subject, edns).await
    }

    /// Waits for a message that answers the question: any other is ignored
    ///
    /// As long as the link has brought no packet, the question is repeated after each of [`FreshLinkDelays`], from
    /// another port and with another identifier; an answer to any of these queries is one.
    async fn ask_udp(
        &self,
        server: SocketAddr,
        subject: &Subject,
        edns: bool,
    ) -> io::Result<Reply> {
        let mut sent = vec![self.send_query(server, subject, edns).await?];
        let mut buffer = vec![0; BUFFER];
        for pause in FreshLinkDelays::default() {
            let reply = poll_fn(|cx| self.poll_reply(&sent, edns, &mut buffer, cx));
            if let Ok(reply) = timeout(pause, reply).await {
                return reply;
            }
            if self.with(|stack| stack.is_proven()) {
                break;
            }
            sent.push(self.send_query(server, subject, edns).await?);
        }
        poll_fn(|cx| self.poll_reply(&sent, edns, &mut buffer, cx)).await
    }

    async fn send_query(
        &self,
        server: SocketAddr,
        subject: &Subject,
        edns: bool,
    ) -> io::Result<Sent> {
        let options = UdpOptions { receive_buffer: BUFFER, send_buffer: 512, broadcast: false };
        let socket = self.udp_bind((Ipv4Addr::UNSPECIFIED, 0).into(), options)?.repeats()?;
        socket.connect_to(endpoint(server)?)?;
        let (octets, asked) = self.query(subject, edns)?;
        socket.send(&octets).await?;
        Ok(Sent { socket, asked })
    }

    /// Takes the first datagram that answers one of the queries
    #[expect(clippy::disallowed_methods, reason = "this task itself, with no lock held")]
    fn poll_reply(
        &self,
        sent: &[Sent],
        edns: bool,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Reply>> {
        let (mut work, mut reply, mut more) = (Work::default(), None, false);
        for Sent { socket, asked } in sent {
            let mut looked_at = 0..MAX_DATAGRAMS;
            while reply.is_none() && looked_at.next().is_some() {
                let mut datagram = ReadBuf::new(buffer);
                let Poll::Ready(received) = socket.poll_recv(cx, &mut datagram) else { break };
                received?;
                let carrier = Carrier::Udp { edns };
                reply = Reply::parse(datagram.filled(), asked, carrier, &mut work);
            }
            more |= looked_at.is_empty();
        }
        self.with(|stack| stack.note_dns_work(work.total()));
        if let Some(reply) = reply {
            return Poll::Ready(Ok(reply));
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Asks over TCP, where each message goes behind its length (RFC 1035 §4.2.2)
    async fn ask_tcp(
        &self,
        server: SocketAddr,
        subject: &Subject,
        edns: bool,
    ) -> io::Result<Reply> {
        let options =
            TcpOptions { receive_buffer: 16 << 10, send_buffer: 1 << 10, ..Default::default() };
        let mut stream = self.tcp_connect_to(server, &options).await?;
        let (octets, asked) = self.query(subject, edns)?;
        let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), &octets[..]].concat()).await?;
        let mut message = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut message).await?;
        let mut work = Work::default();
        let reply = Reply::parse(&message, &asked, Carrier::Tcp, &mut work);
        self.with(|stack| stack.note_dns_work(work.total()));
        reply.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NOT_TO_THIS))
    }

    /// Composes a query with an identifier of its own
    fn query(&self, subject: &Subject, edns: bool) -> io::Result<(Vec<u8>, Asked)> {
        let Subject { name, record_type, key } = subject;
        let [high, low, ..] = self.with(Stack::random).to_be_bytes();
        let id = u16::from_be_bytes([high, low]);
        let mut query = Message::new(id, MessageType::Query, OpCode::Query);
        query.metadata.recursion_desired = true;
        let mut question = Query::query(name.clone(), *record_type);
        question.set_query_class(DNSClass::IN);
        query.add_query(question);
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD);
            query.set_edns(edns);
        }
        let octets = query.to_vec().map_err(io::Error::other)?;
        let asked = Asked { id, name: key.name.clone(), record_type: key.record_type };
        Ok((octets, asked))
    }
}

const NOT_TO_THIS: &str = "its message over TCP is no answer to the question";
