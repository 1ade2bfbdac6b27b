//! ICMP: messages and echo requests
//!
//! | module | content |
//! |---|---|
//! | `message` | ICMP messages, and the packets that errors quote (RFC 792) |
//! | `echo` | echo requests on their way |
//! | `calls` | the calls of users |

mod calls;
mod echo;
mod message;

use pptp_packet::{Egress, Waiters};

use self::echo::Echo;
pub(crate) use self::{
    calls::IcmpCalls,
    echo::default_echo_len,
    message::{Icmp, Quoted},
};
use crate::{
    SocketError,
    ip::Address,
    shared::{
        Shared,
        counter::count,
        queue::Ticket,
        table::{Id, Table},
    },
};

/// The echo requests of a stack
pub(crate) struct Echoes {
    echoes: Table<Echo>,
}

impl Echoes {
    pub(crate) const fn new() -> Self {
        Self { echoes: Table::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.echoes.is_empty()
    }

    pub(crate) fn queued_mut(&mut self, id: Id) -> Option<&mut bool> {
        self.echoes.get_mut(id).map(|it| &mut it.queued)
    }

    pub(crate) fn waiters(&mut self, id: Id) -> Option<&mut Waiters> {
        self.echoes.get_mut(id).map(|it| &mut it.waiters)
    }

    /// Composes an echo request
    pub(crate) fn egress(&mut self, id: Id, shared: &mut Shared, out: &mut impl Egress) {
        if let Some(echo) = self.echoes.get_mut(id) {
            echo.egress(shared.addresses.source(), shared.now, out);
            count(&mut shared.stats.packets_out);
        }
    }

    /// Takes in an echo reply
    pub(crate) fn on_reply(
        &mut self,
        from: Address,
        ident: u16,
        sequence: u16,
        shared: &mut Shared,
    ) {
        for (_, echo) in self.echoes.iter_mut() {
            if echo.is_of(from, ident, sequence) {
                echo.answer(sequence, shared.now);
                echo.waiters.wake(&mut shared.wakes);
            }
        }
    }

    /// Fails the request that an ICMP message complains of
    pub(crate) fn on_unreachable(
        &mut self,
        to: Address,
        ident: u16,
        sequence: u16,
        error: SocketError,
        shared: &mut Shared,
    ) {
        for (_, echo) in self.echoes.iter_mut() {
            if echo.is_of(to, ident, sequence) {
                echo.fail(error);
                echo.waiters.wake(&mut shared.wakes);
            }
        }
    }

    /// Fails all requests
    pub(crate) fn fail_all(&mut self, error: SocketError, shared: &mut Shared) {
        for (_, echo) in self.echoes.iter_mut() {
            echo.fail(error);
            echo.waiters.wake(&mut shared.wakes);
        }
    }

    /// Wakes the tasks that wait for a reply
    pub(crate) fn wake_all(&mut self, shared: &mut Shared) {
        for (_, echo) in self.echoes.iter_mut() {
            echo.waiters.wake(&mut shared.wakes);
        }
    }

    fn enqueue(&mut self, id: Id, shared: &mut Shared) {
        if let Some(echo) = self.echoes.get_mut(id) {
            shared.enqueue(&mut echo.queued, Ticket::Echo(id));
        }
    }
}
