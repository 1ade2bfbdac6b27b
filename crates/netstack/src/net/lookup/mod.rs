//! Names: DNS over UDP and TCP (RFC 1035)
//!
//! | module | content |
//! |---|---|
//! | `asker` | the wait of one lookup for a question that others may share |
//! | `asker_tests` | its tests, in every order that several threads could take |
//! | `exchange` | the exchange with one DNS server: UDP, EDNS, and TCP |
//! | `bound` | [`MAX_DNS_WORK`]: the bound on the work of one poll |

mod asker;
mod bound;
mod exchange;

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RecordType},
    serialize::binary::BinEncodable,
};
use tokio::time::timeout;

pub use self::bound::MAX_DNS_WORK;
use self::{asker::Asker, exchange::Subject};
use super::handle::Net;
use crate::{
    LookupError,
    dns::{
        answer::{ADDRESS, NO_ERROR, NO_SUCH_NAME, Reply, TEXT, Useless, Values},
        error::Failure,
        question::{Asking, Key, MAX_QUESTIONS, Outcome},
    },
    ip::check_sendable,
};

impl Net {
    /// Finds the addresses of a host, by the stack's DNS servers
    ///
    /// An address in figures is its own answer. The servers are asked one after the other, twice, over UDP, and over
    /// TCP if the answer was truncated; up to 16 aliases in the answer are followed, and 256 records of it are looked
    /// at. No answer is kept. Equal questions at a time share one query. With EDNS (RFC 6891) answers of up to 1,232
    /// octets need no TCP; servers that do not know it are asked without, and in the second round all are.
    ///
    /// The addresses are not judged: an answer may be a loopback address, which sockets of this stack refuse.
    ///
    /// # Errors
    ///
    /// `NotFound` if the name does not exist or has no address, `TimedOut` if no server answers, `InvalidInput` if it
    /// is no name, if it is `localhost` or ends in it, and if it is an address in figures that no packet may have
    /// ([`SocketError::Loopback`](crate::SocketError::Loopback) and the like), `ResourceBusy` while 64 other questions
    /// wait for their answers; [`LookupError`] tells more. The reason if the stack has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the lookup and frees its sockets, unless others ask the same: for them it goes on.
    pub async fn lookup_host(&self, name: &str) -> io::Result<Vec<Ipv4Addr>> {
        if let Ok(address) = name.parse() {
            check_sendable(address)?;
            return Ok(vec![address]);
        }
        Ok(self.lookup(name, RecordType::A, ADDRESS, "A").await?.addresses.clone())
    }

    /// Finds the TXT records of a name, by the stack's DNS servers
    ///
    /// The strings of one record are joined; octets that are not UTF-8 are replaced. Errors and cancel
    /// safety as of [`Net::lookup_host`].
    pub async fn lookup_txt(&self, name: &str) -> io::Result<Vec<String>> {
        Ok(self.lookup(name, RecordType::TXT, TEXT, "TXT").await?.texts.clone())
    }

    async fn lookup(
        &self,
        name: &str,
        record_type: RecordType,
        number: u16,
        kind: &'static str,
    ) -> io::Result<Arc<Values>> {
        let subject = Subject::new(name, record_type, number)?;
        let joined = self.with(|stack| {
            stack.check_ended()?;
            let servers = u32::try_from(stack.dns().len()).unwrap_or(u32::MAX);
            let each = ROUNDS.iter().map(|(wait, _)| *wait).sum::<Duration>();
            let (key, net) = (subject.key.clone(), self.clone());
            let begin = || -> Asking { Box::pin(net.ask_all(subject)) };
            Ok::<_, io::Error>(stack.questions.join(key, each.saturating_mul(servers), begin))
        })?;
        let Some(question) = joined else {
            let error = LookupError::TooManyQuestions { name: name.into(), most: MAX_QUESTIONS };
            return Err(error.into_io(io::ErrorKind::ResourceBusy));
        };
        match Asker::new(self, question).await {
            Ok(values) => Ok(values),
            Err(failure) => {
                self.with(|stack| stack.check_ended())?;
                Err(failure.into_io(name, kind))
            }
        }
    }

    /// Asks one server after the other until one knows
    async fn ask_all(self, subject: Subject) -> Outcome {
        let servers = self.with(|stack| stack.dns().to_vec());
        let mut last = Failure::NoServer;
        for (wait, edns) in ROUNDS {
            for server in servers.iter().copied() {
                let asked = timeout(wait, self.ask(server, &subject, edns)).await;
                let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                if self.with(|stack| stack.check_ended().is_err()) {
                    return Err(last);
                }
                let failed = match asked {
                    Ok(reply) => match judge(reply, server) {
                        Ok(values) => return Ok(Arc::new(values)),
                        Err(failure) => failure,
                    },
                    Err(error) => {
                        Failure::NoAnswer { server, what: error.to_string(), kind: error.kind() }
                    }
                };
                match failed {
                    Failure::NoAnswer { .. } => last = failed,
                    _ => return Err(failed),
                }
            }
        }
        Err(last)
    }
}

impl Subject {
    fn new(text: &str, record_type: RecordType, number: u16) -> io::Result<Self> {
        let invalid =
            || LookupError::InvalidName { name: text.into() }.into_io(io::ErrorKind::InvalidInput);
        let mut name = Name::from_utf8(text).map_err(|_| invalid())?;
        name.set_fqdn(true);
        let lower = name.to_lowercase();
        if text.is_empty() {
            return Err(invalid());
        }
        if lower.is_localhost() {
            let error = LookupError::Localhost { name: text.into() };
            return Err(error.into_io(io::ErrorKind::InvalidInput));
        }
        let key = Key { name: lower.to_bytes().map_err(|_| invalid())?, record_type: number };
        Ok(Self { name, record_type, key })
    }
}

/// Turns a server's reply into values or a failure; [`Failure::NoAnswer`] if another server may know more
fn judge(reply: Reply, server: Ipv4Addr) -> Result<Values, Failure> {
    let no_answer = |what: &str, kind| Failure::NoAnswer { server, what: what.into(), kind };
    match (reply.code, reply.found) {
        (NO_ERROR, Ok(values)) if values.is_empty() => Err(Failure::NoRecord { server }),
        (NO_ERROR, Ok(values)) => Ok(values),
        (NO_ERROR, Err(Useless::Aliases)) => Err(Failure::Aliases { server }),
        (NO_ERROR, Err(Useless::Malformed)) => {
            Err(no_answer("its answer cannot be read", io::ErrorKind::InvalidData))
        }
        (NO_SUCH_NAME, _) => Err(Failure::NoSuchName { server }),
        (code, _) => Err(no_answer(ResponseCode::from_low(code).to_str(), io::ErrorKind::Other)),
    }
}

/// The time to wait for each server in the first round and in the second; true if it is asked with EDNS
///
/// A second covers the slowest of lines, and a lost packet is repeated once. Some firewalls drop queries with EDNS
/// without a word, so that the repetition has none.
const ROUNDS: [(Duration, bool); 2] =
    [(Duration::from_secs(2), true), (Duration::from_secs(4), false)];
