//! DHCPINFORM (RFC 2131 §4.4.3): facts of the network, as Windows asks a dial-in server for them

mod answer;
mod question;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use tokio::time::timeout;

pub use self::answer::{DhcpAnswer, Route};
use self::question::Question;
use super::{handle::Net, udp::UdpSocket};
use crate::{SocketError, Stack, UdpOptions};

/// The settings of [`Net::dhcp_inform`]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DhcpInform {
    /// The number of requests; 2, and at most 10
    pub tries: u8,
    /// The time to wait for an answer to each request; 3 s
    pub wait: Duration,
    /// True if a route to everywhere counts (prefix length 0 or 1, which is how a default route is
    /// overridden); no
    pub default_route: bool,
}

impl Default for DhcpInform {
    fn default() -> Self {
        Self { tries: 2, wait: Duration::from_secs(3), default_route: false }
    }
}

impl Net {
    /// Asks the network's DHCP server for routes, DNS servers and the domain: DHCPINFORM
    ///
    /// From port 68 to port 67 of everyone. A network without an answer is no fault: many have no
    /// DHCP server that is asked, or one without a relay agent to it.
    ///
    /// # Errors
    ///
    /// `TimedOut` if no server answers, `AddrInUse` while another asks, or the reason if the stack has
    /// been shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the question and frees its socket.
    pub async fn dhcp_inform(&self, how: DhcpInform) -> io::Result<DhcpAnswer> {
        let options = UdpOptions { receive_buffer: 4096, send_buffer: 1024, broadcast: true };
        let socket =
            self.udp_bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into(), options)?;
        let socket = socket.repeats()?;
        let (address, id) = self.with(|stack| (stack.address(), Stack::random(stack)));
        let [_, _, _, _, transaction @ ..] = id.to_be_bytes();
        let question = Question::new(u32::from_be_bytes(transaction), address);
        let octets = question.octets()?;
        for _ in 0..how.tries.min(MAX_TRIES) {
            socket.send_to(&octets, SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT)).await?;
            match timeout(how.wait, answer(question, &socket, how.default_route)).await {
                Ok(answer) => return answer,
                Err(_) => self.with(|stack| stack.check_ended())?,
            }
        }
        Err(SocketError::TimedOut.into())
    }
}

/// Waits for an answer: whatever else comes is ignored
async fn answer(
    question: Question,
    socket: &UdpSocket,
    default_route: bool,
) -> io::Result<DhcpAnswer> {
    let mut buffer = vec![0; 4096];
    loop {
        let (received, from) = socket.recv_from(&mut buffer).await?;
        let octets = buffer.get(..received).unwrap_or_default();
        if from.port() == SERVER_PORT
            && let std::net::IpAddr::V4(from) = from.ip()
            && let Some(answer) = question.read(from, octets, default_route)
        {
            return Ok(answer);
        }
    }
}

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
const MAX_TRIES: u8 = 10;
