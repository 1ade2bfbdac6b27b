//! Reading from a connection and writing to it

use std::{
    io::{self, IoSlice},
    task::Poll,
};

use tokio::io::Ready;

use super::{Connection, lifecycle::End};
use crate::{
    SocketError,
    engine::{State, TcpEngine},
};

impl Connection {
    /// Ready once the handshake is complete or has failed
    pub(crate) fn poll_connected(&self) -> Poll<Result<(), SocketError>> {
        match self.socket().map(TcpEngine::state) {
            _ if self.end.is_some() => Poll::Ready(self.failed()),
            Some(State::SynSent | State::SynReceived) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Reads the octets that have come; `Ok(0)` once the peer has finished
    ///
    /// Octets that came before a reset are read first, and then the error.
    pub(crate) fn read(&mut self, into: &mut [u8], peek: bool) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = self.read_buffered(into, peek);
        if read > 0 {
            return Poll::Ready(Ok(read));
        }
        match self.end {
            Some(End { error: Some(error), peer_finished: false }) => {
                Poll::Ready(Err(error.into()))
            }
            None if self.socket().is_some_and(TcpEngine::may_recv) => Poll::Pending,
            None if self.poll_connected().is_pending() => Poll::Pending,
            Some(_) | None => Poll::Ready(Ok(0)),
        }
    }

    fn read_buffered(&mut self, into: &mut [u8], peek: bool) -> usize {
        if let Some(socket) = self.socket_mut() {
            let read = if peek { socket.peek(into) } else { socket.recv(into) };
            if !peek {
                self.numbers.on_read(read);
            }
            return read;
        }
        let Some(unread) = &mut self.unread else { return 0 };
        let count = if peek { unread.peek(into) } else { unread.read(into) };
        if unread.is_empty() {
            self.unread = None;
        }
        count
    }

    /// Writes as many octets as there is room for
    pub(crate) fn write(&mut self, octets: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let open = self.socket().is_some_and(TcpEngine::may_send);
        if !open && self.end.is_none() && self.poll_connected().is_pending() {
            return Poll::Pending;
        }
        if !open || self.end.is_some() {
            return Poll::Ready(Err(self.failed().err().unwrap_or(SocketError::ShutDown).into()));
        }
        if octets.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let Some(socket) = self.socket_mut() else { return Poll::Pending };
        let written = octets
            .iter()
            .fold(0_usize, |written, slice| written.saturating_add(socket.send(slice)));
        if written == 0 { Poll::Pending } else { Poll::Ready(Ok(written)) }
    }

    /// Returns true if a read would not wait
    pub(crate) fn is_readable(&self) -> bool {
        self.end.is_some()
            || self.socket().is_some_and(|socket| socket.can_recv() || !socket.may_recv())
                && !self.poll_connected().is_pending()
    }

    /// Returns true if a write would not wait
    pub(crate) fn is_writable(&self) -> bool {
        self.end.is_some()
            || self.socket().is_some_and(|socket| socket.can_send() || !socket.may_send())
                && !self.poll_connected().is_pending()
    }

    /// The readiness for reads and writes
    pub(crate) fn readiness(&self) -> Ready {
        let state = self.socket().map(TcpEngine::state);
        let error = self.end.is_some_and(|end| end.error.is_some());
        let peer_finished = self.end.is_some() || state.is_some_and(State::peer_finished);
        let finished = self.end.is_some() || state.is_some_and(State::finished);
        [
            (self.is_readable(), Ready::READABLE),
            (self.is_writable(), Ready::WRITABLE),
            (peer_finished, Ready::READ_CLOSED),
            (finished, Ready::WRITE_CLOSED),
            (error, Ready::ERROR),
        ]
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(Ready::EMPTY, |ready, (_, kind)| ready | kind)
    }

    /// Ends the sending direction: a FIN follows the octets that were written
    pub(crate) fn shut_down(&mut self) {
        if let Some(socket) = self.socket_mut() {
            socket.close();
        }
    }

    /// Returns true if a third of the buffer is free, so that writers are not woken for every acknowledged segment
    pub(super) fn may_wake_writers(&self) -> bool {
        self.is_writable()
            && self.socket().is_none_or(|socket| {
                let free = socket.send_capacity().saturating_sub(socket.send_queue());
                !socket.may_send() || free.saturating_mul(3) >= socket.send_capacity()
            })
    }

    pub(crate) fn failed(&self) -> Result<(), SocketError> {
        self.end.and_then(|end| end.error).map_or(Ok(()), Err)
    }
}
