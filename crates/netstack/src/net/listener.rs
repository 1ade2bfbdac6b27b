//! A port on which TCP connections come in

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use super::{
    handle::Net,
    stream::{Connection, TcpStream},
    wait::{self, Wait},
};
use crate::{
    Stack,
    ip::{Endpoint, Flow},
    shared::table::Id,
    stack::Waiting,
};

/// A port on which TCP connections come in
///
/// It behaves as `tokio::net::TcpListener`. When it is dropped, connections that were not accepted are reset.
#[derive(Debug)]
pub struct TcpListener {
    net: Net,
    id: Id,
    local: Endpoint,
}

impl TcpListener {
    pub(super) const fn new(net: Net, id: Id, local: Endpoint) -> Self {
        Self { net, id, local }
    }

    /// Waits for a connection
    ///
    /// # Errors
    ///
    /// `ConnectionAborted` if the stack has lost the address it listens on, or the reason if the
    /// stack has been shut down.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost if the future is dropped.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let id = self.id;
        let accept = |stack: &mut Stack| stack.tcp()?.accept(id);
        Wait::new(&self.net, Waiting::Accept(id), accept).await.map(|it| self.accepted(it))
    }

    /// The poll form of [`TcpListener::accept`], for the task that polls last
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let waiting = Waiting::Accept(self.id);
        let accepted = wait::poll(&self.net, waiting, cx, |stack| stack.tcp()?.accept(self.id));
        accepted.map_ok(|it| self.accepted(it))
    }

    /// The address and port it listens on
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local.into())
    }

    fn accepted(&self, (id, flow): (Id, Flow)) -> (TcpStream, SocketAddr) {
        let stream = TcpStream::new(Connection::new(self.net.clone(), id));
        (stream, flow.peer.into())
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.net.with(|stack| stack.tcp_after_end().stop_listening(self.id));
    }
}
