//! Sockets made for an address

use std::{io, net::SocketAddr};

use tokio::time::timeout;

use super::{
    address::endpoint,
    handle::Net,
    listener::TcpListener,
    stream::{Connection, TcpStream},
    udp::UdpSocket,
    wait::Wait,
};
use crate::{SocketError, TcpOptions, UdpOptions, stack::Waiting};

impl Net {
    /// Connects to a TCP server whose address is known
    pub(super) async fn tcp_connect_to(
        &self,
        addr: SocketAddr,
        options: &TcpOptions,
    ) -> io::Result<TcpStream> {
        let peer = endpoint(addr)?;
        let id = self.with(|stack| stack.tcp()?.connect(peer, options))?;
        let connection = Connection::new(self.clone(), id);
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
        let local = endpoint(addr)?;
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
        let local = endpoint(addr)?;
        let (id, local) = self.with(|stack| stack.udp()?.bind(local, &options))?;
        Ok(UdpSocket::new(self.clone(), id, local))
    }
}
