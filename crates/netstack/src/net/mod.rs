//! Sockets for tokio, over whoever owns the stack

mod address;
mod inform;
mod listener;
mod lookup;
mod ready;
mod split;
mod stream;
mod udp;
mod wait;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;

use self::{address::Target, stream::Connection, wait::Wait};
pub use self::{
    address::{AddressError, ToInnerAddr},
    inform::{DhcpAnswer, DhcpInform, Route},
    listener::TcpListener,
    lookup::MAX_DNS_WORK,
    split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf},
    stream::TcpStream,
    udp::UdpSocket,
};
use crate::{
    SocketError, Stack, TcpOptions, UdpOptions, icmp::DEFAULT_ECHO_LEN,
    shared::fresh_link::FreshLinkDelays, stack::Waiting,
};

/// Whoever keeps the stack under its lock
pub trait Owner: Send + Sync + 'static {
    /// Locks, calls `f` exactly once, and unlocks; then does what the call has made due
    ///
    /// With the lock held and after `f`, [`Stack::take_ready`] and [`Stack::drain_wakers`] are
    /// called. After unlocking [`Wakers::wake_all`](crate::Wakers::wake_all) is called and, if the
    /// stack was ready, a turn is scheduled. The lock is never held across an await, so a
    /// `std::sync::Mutex` is right.
    fn with_stack(&self, f: &mut dyn FnMut(&mut Stack));
}

/// What makes sockets: a handle to a stack, cheap to clone
///
/// The sockets behave as those of `tokio::net` unless they say otherwise; they work in any task of
/// any tokio runtime with a timer. Of a [`SocketAddr`] the IPv4 half alone is supported.
#[derive(Clone)]
pub struct Net(Arc<dyn Owner>);

impl Net {
    /// Sockets over this owner's stack
    pub fn new(owner: Arc<dyn Owner>) -> Self {
        Self(owner)
    }

    /// Connects to a TCP server
    ///
    /// A name is looked up first, and its addresses are tried one after the other, each for
    /// [`TcpOptions::connect_timeout`].
    ///
    /// # Errors
    ///
    /// `TimedOut` after [`TcpOptions::connect_timeout`], `ConnectionRefused`, `HostUnreachable`,
    /// `NetworkUnreachable`, `InvalidInput` for an address that no packet gets to from here
    /// ([`SocketError::Loopback`], [`SocketError::OwnAddress`] and the like), or the reason if the stack has been shut down; of several addresses,
    /// what the last one met. Those of [`Net::lookup_host`] if a name is not found.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt and frees its socket.
    pub async fn tcp_connect(
        &self,
        addr: impl ToInnerAddr,
        options: TcpOptions,
    ) -> io::Result<TcpStream> {
        let target = addr.target()?;
        if let Target::Address(address) = target {
            return self.tcp_connect_to(address, &options).await;
        }
        let mut last = AddressError::NoAddress.into();
        for address in target.all(self).await? {
            match self.tcp_connect_to(address, &options).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn tcp_connect_to(
        &self,
        addr: SocketAddr,
        options: &TcpOptions,
    ) -> io::Result<TcpStream> {
        let peer = v4(addr)?;
        let (id, flow) = self.with(|stack| stack.tcp()?.connect(peer, options))?;
        let connection = Connection::new(self.clone(), id, flow);
        let connected =
            Wait::new(self, Waiting::TcpWrite(id), |stack| stack.tcp()?.poll_connected(id));
        let connected = timeout(options.connect_timeout, connected).await;
        connected.unwrap_or_else(|_| Err(SocketError::TimedOut.into()))?;
        Ok(TcpStream::new(connection))
    }

    /// Listens for TCP connections from inside the network
    ///
    /// The address may be unspecified, and the port 0 for one of the stack's choice. As many as
    /// `backlog` connections, at least 1 and at most 4,096, wait to be accepted; a SYN beyond is
    /// dropped, so that its sender repeats it. Each connection gets `options`, and its buffers when
    /// its SYN comes.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `AddrNotAvailable`, or the reason if the stack has been shut down.
    pub fn tcp_listen(
        &self,
        addr: SocketAddr,
        backlog: usize,
        options: TcpOptions,
    ) -> io::Result<TcpListener> {
        let local = v4(addr)?;
        let (id, local) = self.with(|stack| stack.tcp()?.listen(local, backlog, options))?;
        Ok(TcpListener::new(self.clone(), id, local))
    }

    /// Binds a UDP socket
    ///
    /// The address may be unspecified, and the port 0 for one of the stack's choice.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `AddrNotAvailable`, or the reason if the stack has been shut down.
    #[expect(clippy::needless_pass_by_value, reason = "options as of the other sockets")]
    pub fn udp_bind(&self, addr: SocketAddr, options: UdpOptions) -> io::Result<UdpSocket> {
        let local = v4(addr)?;
        let (id, local) = self.with(|stack| stack.udp()?.bind(local, &options))?;
        Ok(UdpSocket::new(self.clone(), id, local))
    }

    /// Sends one echo request (RFC 792) and measures the time to its reply
    ///
    /// The time in the stack's own queue does not count. Any number of callers may ping at once.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `timeout`, `HostUnreachable` or `NetworkUnreachable` if a router said so,
    /// `InvalidInput` for an address that no packet gets to from here ([`SocketError::Loopback`],
    /// [`SocketError::OwnAddress`] and the like), or the reason if the stack has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the request.
    pub async fn ping(&self, addr: Ipv4Addr, timeout: Duration) -> io::Result<Duration> {
        self.ping_sized(addr, DEFAULT_ECHO_LEN, timeout).await
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
        let id = self.with(|stack| stack.icmp()?.echo(addr, packet_len))?;
        let _forget = Forget { net: self, id };
        let reply = Wait::new(self, Waiting::Echo(id), |stack| stack.icmp()?.poll(id));
        let reply = self.repeating(reply, || self.with(|stack| stack.icmp_after_end().repeat(id)));
        let reply = tokio::time::timeout(timeout, reply).await;
        reply.unwrap_or_else(|_| Err(SocketError::TimedOut.into()))
    }

    /// Waits for `answer`, and asks `again` a few times as long as the link has brought nothing at all
    ///
    /// As a SYN does, and for the same reason: see [`FreshLinkDelays`].
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

    /// Calls `f` under the owner's lock
    fn with<R>(&self, f: impl FnOnce(&mut Stack) -> R) -> R {
        let (mut f, mut result) = (Some(f), None);
        self.0.with_stack(&mut |stack| {
            if let Some(f) = f.take() {
                result = Some(f(stack));
            }
        });
        #[expect(clippy::expect_used, reason = "the owner's contract, not a peer's doing")]
        result.expect("an owner calls its argument")
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
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

fn v4(addr: SocketAddr) -> Result<SocketAddrV4, SocketError> {
    match addr {
        SocketAddr::V4(addr) => Ok(addr),
        SocketAddr::V6(_) => Err(SocketError::Ipv6),
    }
}
