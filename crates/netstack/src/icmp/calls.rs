//! The calls of echo requests

use std::{io, task::Poll, time::Duration};

use super::{
    Echoes,
    echo::{Echo, MAX_ECHO_LEN},
};
use crate::{
    SocketError,
    ip::Address,
    shared::{Shared, queue::Ticket, table::Id},
};

/// The calls of echo requests
pub(crate) struct IcmpCalls<'a> {
    pub(crate) echoes: &'a mut Echoes,
    pub(crate) shared: &'a mut Shared,
}

impl IcmpCalls<'_> {
    /// Starts an echo request to `to`, in an IP packet of `packet_len` octets
    pub(crate) fn echo(&mut self, to: Address, packet_len: usize) -> io::Result<Id> {
        let Self { echoes, shared } = self;
        if packet_len > shared.engine.mtu().min(MAX_ECHO_LEN) {
            return Err(crate::error::message_too_long());
        }
        shared.addresses.check_destination(to)?;
        let taken = |ident| echoes.echoes.iter().any(|(_, echo)| echo.ident == ident);
        let offset = shared.random.next_u16();
        let ident =
            (0..=u16::MAX).map(|step| offset.wrapping_add(step)).find(|ident| !taken(*ident));
        let ident = ident.ok_or(SocketError::AddressNotAvailable)?;
        let id = echoes.echoes.insert(Echo::new(to, ident, packet_len));
        self.repeat(id);
        Ok(id)
    }

    /// Sends the request once more
    pub(crate) fn repeat(&mut self, id: Id) {
        self.echoes.enqueue(id, self.shared);
        self.shared.ready = true;
    }

    pub(crate) fn poll(&self, id: Id) -> Poll<io::Result<Duration>> {
        self.echoes.echoes.get(id).map_or(Poll::Pending, Echo::poll).map_err(Into::into)
    }

    pub(crate) fn remove(&mut self, id: Id) {
        self.shared.queue.retain(|ticket| *ticket != Ticket::Echo(id));
        if let Some(mut echo) = self.echoes.echoes.remove(id) {
            echo.waiters.forget(&mut self.shared.wakes);
        }
    }
}
