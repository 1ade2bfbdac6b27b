//! The options of TCP connections

use std::{io, time::Duration};

use super::TcpStream;

impl TcpStream {
    /// Whether small segments leave at once
    pub fn nodelay(&self) -> io::Result<bool> {
        self.with(|stack, id| stack.tcp()?.nodelay(id))
    }

    /// Sets whether small segments leave at once instead of waiting for an acknowledgment
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.with(|stack, id| stack.tcp()?.set_nodelay(id, nodelay))
    }

    /// How often the connection is probed while it is idle
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        self.with(|stack, id| stack.tcp()?.keepalive(id))
    }

    /// Sets how often the connection is probed while it is idle; `None` for never
    ///
    /// What is shorter than a second is taken for one, and what is longer than a day for a day.
    pub fn set_keepalive(&self, every: Option<Duration>) -> io::Result<()> {
        self.with(|stack, id| stack.tcp()?.set_keepalive(id, every))
    }

    /// How long the connection may flush after it is dropped; `None` for the 60 s that are usual
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.with(|stack, id| stack.tcp()?.linger(id))
    }

    /// Sets how long the connection may flush after it is dropped, 60 s at most; `None` for that
    ///
    /// With zero it is reset as soon as it is dropped. Dropping never waits, unlike that of a
    /// kernel's socket.
    pub fn set_linger(&self, linger: impl Into<Option<Duration>>) -> io::Result<()> {
        let linger = linger.into();
        self.with(|stack, id| stack.tcp()?.set_linger(id, linger))
    }

    /// As [`TcpStream::set_linger`] with zero: dropped, the connection is reset at once
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Duration::ZERO)
    }

    /// How many routers a segment may pass (RFC 791 §3.2)
    pub fn ttl(&self) -> io::Result<u32> {
        self.with(|stack, id| stack.tcp()?.ttl(id))
    }

    /// Sets how many routers a segment may pass; `InvalidInput` but for 1 to 255
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.with(|stack, id| stack.tcp()?.set_ttl(id, ttl))
    }
}
