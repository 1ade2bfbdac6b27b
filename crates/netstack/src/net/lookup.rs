//! Names: DNS over UDP and TCP (RFC 1035)

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{Net, v4};
use crate::{Stack, TcpOptions, UdpOptions};

/// Why a name was not found
///
/// What [`io::Error::get_ref`] holds after a lookup that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The server says that there is no such name
    #[error("no such name: {name} (says {server})")]
    NoSuchName {
        /// The name
        name: String,
        /// The server that was asked
        server: Ipv4Addr,
    },
    /// The name exists, but has no record of the kind
    #[error("{name} has no {kind} record (says {server})")]
    NoRecord {
        /// The name
        name: String,
        /// A or TXT
        kind: &'static str,
        /// The server that was asked
        server: Ipv4Addr,
    },
    /// The name cannot be one
    #[error("not a domain name: {name:?}")]
    InvalidName {
        /// The name
        name: String,
    },
    /// The stack was given no DNS server
    #[error("no DNS server to ask for {name}")]
    NoServer {
        /// The name
        name: String,
    },
    /// No server gave an answer; this is what the last one did
    #[error("{server} gave no answer for {name}: {what}")]
    NoAnswer {
        /// The name
        name: String,
        /// The last server that was asked
        server: Ipv4Addr,
        /// Its response code, or the socket's error
        what: String,
    },
}

impl LookupError {
    fn into_io(self, kind: io::ErrorKind) -> io::Error {
        io::Error::new(kind, self)
    }
}

/// The records a server has for a name
struct Answer {
    records: Vec<Record>,
    server: Ipv4Addr,
}

impl Net {
    /// Finds the addresses of a host, by the stack's DNS servers
    ///
    /// An address in figures is its own answer. The servers are asked one after the other, twice,
    /// over UDP, and over TCP if the answer was truncated; aliases in the answer are followed. No
    /// answer is kept.
    ///
    /// # Errors
    ///
    /// `NotFound` if the name does not exist or has no address, `TimedOut` if no server answers,
    /// `InvalidInput` if it is no name; [`LookupError`] tells more. The reason if the stack has been
    /// shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the lookup and frees its sockets.
    pub async fn lookup_host(&self, name: &str) -> io::Result<Vec<Ipv4Addr>> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let address = |record: &Record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        };
        self.lookup(name, RecordType::A, "A", address).await
    }

    /// Finds the TXT records of a name, by the stack's DNS servers
    ///
    /// The strings of one record are joined; what is not UTF-8 is replaced. Errors and cancel
    /// safety as of [`Net::lookup_host`].
    pub async fn lookup_txt(&self, name: &str) -> io::Result<Vec<String>> {
        let text = |record: &Record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        };
        self.lookup(name, RecordType::TXT, "TXT", text).await
    }

    async fn lookup<T>(
        &self,
        name: &str,
        record_type: RecordType,
        kind: &'static str,
        value: impl Fn(&Record) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut query_name = Name::from_utf8(name).map_err(|_| {
            LookupError::InvalidName { name: name.into() }.into_io(io::ErrorKind::InvalidInput)
        })?;
        query_name.set_fqdn(true);
        let question = Query::query(query_name, record_type);
        let Answer { records, server } = self.ask_all(name, &question).await?;
        let owner = follow_aliases(question.name(), &records);
        let found = records.iter().filter(|record| record.name == *owner);
        let values = found.filter_map(value).collect::<Vec<_>>();
        if values.is_empty() {
            let error = LookupError::NoRecord { name: name.into(), kind, server };
            return Err(error.into_io(io::ErrorKind::NotFound));
        }
        Ok(values)
    }

    /// Asks one server after the other until one knows
    async fn ask_all(&self, name: &str, question: &Query) -> io::Result<Answer> {
        let servers = self.with(|stack| stack.check_ended().map(|()| stack.dns().to_vec()))?;
        let name = name.to_owned();
        let mut last =
            LookupError::NoServer { name: name.clone() }.into_io(io::ErrorKind::NotFound);
        for wait in WAITS {
            for server in servers.iter().copied() {
                let asked = timeout(wait, self.ask(server, question)).await;
                let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                self.with(|stack| stack.check_ended())?;
                let (code, records) = match asked {
                    Ok(message) => (message.metadata.response_code, message.answers),
                    Err(error) => {
                        let (name, what) = (name.clone(), error.to_string());
                        last = LookupError::NoAnswer { name, server, what }.into_io(error.kind());
                        continue;
                    }
                };
                match code {
                    ResponseCode::NoError => return Ok(Answer { records, server }),
                    ResponseCode::NXDomain => {
                        let error = LookupError::NoSuchName { name, server };
                        return Err(error.into_io(io::ErrorKind::NotFound));
                    }
                    code => {
                        let (name, what) = (name.clone(), code.to_string());
                        let error = LookupError::NoAnswer { name, server, what };
                        last = error.into_io(io::ErrorKind::Other);
                    }
                }
            }
        }
        Err(last)
    }

    /// Asks one server over UDP, and over TCP if the answer did not fit
    async fn ask(&self, server: Ipv4Addr, question: &Query) -> io::Result<Message> {
        let server = SocketAddr::from((server, 53));
        let [id_high, id_low, ..] = self.with(Stack::random).to_be_bytes();
        let id = u16::from_be_bytes([id_high, id_low]);
        let mut query = Message::new(id, MessageType::Query, OpCode::Query);
        query.metadata.recursion_desired = true;
        query.add_query(question.clone());
        let octets = query.to_vec().map_err(io::Error::other)?;
        let message = self.ask_udp(server, &octets, &query).await?;
        if !message.metadata.truncation {
            return Ok(message);
        }
        self.ask_tcp(server, &octets, &query).await
    }

    /// Waits for a message that answers the question: any other is ignored
    async fn ask_udp(
        &self,
        server: SocketAddr,
        octets: &[u8],
        query: &Message,
    ) -> io::Result<Message> {
        let options = UdpOptions { receive_buffer: 4096, send_buffer: 512, broadcast: false };
        let socket = self.udp_bind((Ipv4Addr::UNSPECIFIED, 0).into(), options)?;
        let socket = socket.repeats()?;
        socket.connect_to(v4(server)?)?;
        socket.send(octets).await?;
        let answered = async {
            let mut buffer = vec![0; 4096];
            loop {
                let received = socket.recv(&mut buffer).await?;
                if let Some(message) = buffer.get(..received).and_then(|it| answer(it, query)) {
                    return Ok(message);
                }
            }
        };
        self.repeating(answered, || drop(socket.try_send(octets))).await
    }

    /// A message over TCP goes behind its length (RFC 1035 §4.2.2)
    async fn ask_tcp(
        &self,
        server: SocketAddr,
        octets: &[u8],
        query: &Message,
    ) -> io::Result<Message> {
        let options =
            TcpOptions { receive_buffer: 16 << 10, send_buffer: 1 << 10, ..Default::default() };
        let mut stream = self.tcp_connect_to(server, &options).await?;
        let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), octets].concat()).await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        answer(&reply, query).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// The message, if it answers this query
fn answer(octets: &[u8], query: &Message) -> Option<Message> {
    let message = Message::from_vec(octets).ok()?;
    let (ours, theirs) = (&query.metadata, &message.metadata);
    let fits = (theirs.id, theirs.message_type) == (ours.id, MessageType::Response);
    (fits && message.queries == query.queries).then_some(message)
}

/// The name at the end of the aliases that the answer itself resolves
fn follow_aliases<'a>(name: &'a Name, records: &'a [Record]) -> &'a Name {
    let alias = |owner: &Name| {
        records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *owner => Some(&target.0),
            _ => None,
        })
    };
    // a chain is no longer than the records are many: a loop of aliases ends here
    (0..records.len()).fold(name, |owner, _| alias(owner).unwrap_or(owner))
}

/// How long each server is waited for in the first round, and in the second
///
/// A second covers the slowest of lines, and a lost packet is repeated once.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];
