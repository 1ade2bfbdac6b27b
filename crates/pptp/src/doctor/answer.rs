//! Questions to a target, and their answers

use std::{io, time::Duration};

use tokio::time::timeout;

use crate::net::UdpSocket;

/// The time for the answer of one question
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// The number of times that a question is sent
pub(super) const MAX_TRIES: u8 = 2;

/// The answer of a target
#[derive(Debug)]
pub(super) struct Answer {
    /// In words
    pub(super) seen: String,
    /// The advice, if not everything is as it should be
    pub(super) advice: Option<&'static str>,
}

impl From<String> for Answer {
    fn from(seen: String) -> Self {
        Self { seen, advice: None }
    }
}

/// Sends `question` until something comes back, so many times at most
pub(super) async fn exchange(
    socket: &UdpSocket,
    question: &[u8],
    tries: u8,
) -> io::Result<Vec<u8>> {
    let mut answer = vec![0; MAX_DATAGRAM];
    for _ in 0..tries {
        socket.send(question).await?;
        if let Ok(received) = timeout(REPLY_TIMEOUT, socket.recv(&mut answer)).await {
            answer.truncate(received?);
            return Ok(answer);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The octets of the largest UDP datagram, which comes in fragments if it exceeds the tunnel's MTU
const MAX_DATAGRAM: usize = 65_507;
