//! The tasks that wait for sockets

use std::task::Waker;

use pptp_packet::{Waiters, Wakers};

use super::Stack;
use crate::shared::table::Id;

/// The tasks that wait for one thing of one socket
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    TcpRead(Id),
    TcpWrite(Id),
    Accept(Id),
    UdpRead(Id),
    UdpWrite(Id),
    Echo(Id),
}

impl Stack {
    /// Lists a future among the tasks that wait for it, unless it is gone
    pub(crate) fn list(&mut self, waiting: Waiting, key: &mut Option<u32>, waker: &Waker) {
        if let (Some(waiters), wakes) = self.waiters(waiting) {
            waiters.list(key, waker, wakes);
        }
    }

    /// Takes a future off the list
    pub(crate) fn leave(&mut self, waiting: Waiting, key: &mut Option<u32>) {
        if let (Some(waiters), wakes) = self.waiters(waiting) {
            waiters.leave(key, wakes);
        }
        *key = None;
    }

    /// Keeps the caller of a `poll_` method among the tasks that wait for it, unless it is gone
    pub(crate) fn set_polled(&mut self, waiting: Waiting, waker: &Waker) {
        if let (Some(waiters), wakes) = self.waiters(waiting) {
            waiters.set_polled(waker, wakes);
        }
    }

    /// The tasks that wait for it, `None` once it is gone; and the list for wakers that are not needed any more
    fn waiters(&mut self, waiting: Waiting) -> (Option<&mut Waiters>, &mut Wakers) {
        let waiters = match waiting {
            Waiting::TcpRead(id) => self.tcp.readers(id),
            Waiting::TcpWrite(id) => self.tcp.writers(id),
            Waiting::Accept(id) => self.tcp.acceptors(id),
            Waiting::UdpRead(id) => self.udp.readers(id),
            Waiting::UdpWrite(id) => self.udp.writers(id),
            Waiting::Echo(id) => self.echoes.waiters(id),
        };
        (waiters, &mut self.shared.wakes)
    }
}
