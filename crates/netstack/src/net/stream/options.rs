//! The options of TCP connections

use std::{io, time::Duration};

use super::TcpStream;

impl TcpStream {
    /// Returns true if small segments leave at once
    pub fn nodelay(&self) -> io::Result<bool> {
        self.with(|stack, id| stack.tcp()?.nodelay(id))
    }

    /// Sets whether small segments leave at once instead of waiting for an acknowledgment
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.with(|stack, id| stack.tcp()?.set_nodelay(id, nodelay))
    }

    /// The pause between two probes of an idle connection; `None` without probes
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        self.with(|stack, id| stack.tcp()?.keepalive(id))
    }

    /// Sets the pause between two probes of an idle connection; `None` for no probes
    ///
    /// A pause below a second is taken for a second, and one above a day for a day.
    pub fn set_keepalive(&self, every: Option<Duration>) -> io::Result<()> {
        self.with(|stack, id| stack.tcp()?.set_keepalive(id, every))
    }

    /// The time that the connection has to flush after it is dropped; `None` for the usual 60 s
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.with(|stack, id| stack.tcp()?.linger(id))
    }

    /// Sets the time that the connection has to flush after it is dropped, 60 s at most; `None` for that
    ///
    /// With zero it is reset as soon as it is dropped. Dropping never waits, unlike that of a
    /// kernel's socket.
    pub fn set_linger(&self, linger: impl Into<Option<Duration>>) -> io::Result<()> {
        let linger = linger.into();
        self.with(|stack, id| stack.tcp()?.set_linger(id, linger))
    }

    /// Calls [`TcpStream::set_linger`] with zero: the connection is reset as soon as it is dropped
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Duration::ZERO)
    }

    /// The number of routers that a segment may pass (RFC 791 §3.2)
    pub fn ttl(&self) -> io::Result<u32> {
        self.with(|stack, id| stack.tcp()?.ttl(id))
    }

    /// Sets the number of routers that a segment may pass; `InvalidInput` unless it is 1 to 255
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.with(|stack, id| stack.tcp()?.set_ttl(id, ttl))
    }
}
