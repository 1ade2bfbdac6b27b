//! Echo requests

use std::{io, net::Ipv4Addr, pin::pin, time::Duration};

use tokio::time::timeout;

use super::{handle::Net, wait::Wait};
use crate::{
    SocketError, icmp::default_echo_len, shared::fresh_link::FreshLinkDelays, stack::Waiting,
};

impl Net {
    /// Sends one echo request (RFC 792) and measures the time to its reply
    ///
    /// The time in the stack's own queue does not count. Any number of callers may ping at once.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `timeout`, `HostUnreachable` or `NetworkUnreachable` if a router said so,
    /// `InvalidInput` for an address that no packet from here can reach ([`SocketError::Loopback`],
    /// [`SocketError::OwnAddress`] and the like), or the reason if the stack has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the request.
    pub async fn ping(&self, addr: Ipv4Addr, timeout: Duration) -> io::Result<Duration> {
        self.ping_sized(addr, default_echo_len(addr.into()), timeout).await
    }

    /// Sends one echo request in an IP packet of `packet_len` octets, both headers included; 28 is the least
    ///
    /// Its reply is as large, so that it tells whether packets of that size pass both ways.
    ///
    /// # Errors
    ///
    /// As [`Self::ping`]; EMSGSIZE if it does not fit the MTU.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the request.
    pub async fn ping_sized(
        &self,
        addr: Ipv4Addr,
        packet_len: usize,
        timeout: Duration,
    ) -> io::Result<Duration> {
        let id = self.with(|stack| stack.icmp()?.echo(addr.into(), packet_len))?;
        let _forget = Forget { net: self, id };
        let reply = Wait::new(self, Waiting::Echo(id), |stack| stack.icmp()?.poll(id));
        let reply = self.repeating(reply, || self.with(|stack| stack.icmp_after_end().repeat(id)));
        let reply = tokio::time::timeout(timeout, reply).await;
        reply.unwrap_or_else(|_| Err(SocketError::TimedOut.into()))
    }

    /// Waits for `answer`, and asks `again` a few times as long as the link has brought nothing at all
    ///
    /// A SYN is repeated for the same reason: see [`FreshLinkDelays`].
    async fn repeating<T>(&self, answer: impl Future<Output = T>, again: impl Fn()) -> T {
        let mut answer = pin!(answer);
        for pause in FreshLinkDelays::default() {
            if let Ok(answer) = timeout(pause, &mut answer).await {
                return answer;
            }
            if self.with(|stack| stack.is_proven()) {
                break;
            }
            again();
        }
        answer.await
    }
}

/// Forgets an echo request when its caller does
struct Forget<'a> {
    net: &'a Net,
    id: u32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.net.with(|stack| stack.icmp_after_end().remove(self.id));
    }
}
