//! The users of a tunnel's IP packets: its stack or a raw port, and captures

use std::{sync::Arc, time::Instant};

use pptp_netstack::{Stack, StackConfig};
use pptp_packet::Wakers;

use super::{negotiated::Negotiated, raw_port::RawPort};
use crate::{TunnelError, record::Captures};

/// The users of a tunnel's IP packets
pub(crate) struct PacketUsers {
    /// From its first use on, also past the tunnel's end: see [`Self::stack`]
    stack: Option<Box<Stack>>,
    /// The secret of the stack's sequence numbers and ports, for when it is made
    stack_seed: u64,
    /// Takes the place of the stack while there is one
    raw: Option<Box<RawPort>>,
    captures: Captures,
}

/// The user that packets are delivered to, and that sends them
pub(crate) enum PacketUser<'a> {
    Stack(&'a mut Stack),
    Raw(&'a mut RawPort),
    /// The tunnel has no user yet, or has not been up
    Nobody,
}

impl PacketUsers {
    /// Those of a new tunnel; `stack_seed` must be fresh and secret
    pub(crate) fn new(stack_seed: u64) -> Self {
        Self { stack: None, stack_seed, raw: None, captures: Captures::default() }
    }

    /// The stack, if it was used before
    pub(crate) fn used_stack(&self) -> Option<&Stack> {
        self.stack.as_deref()
    }

    /// The stack of a tunnel that has been up; the first use makes it
    ///
    /// Of ten thousand tunnels most carry nothing most of the time, and some never do. Past the end of a
    /// tunnel sockets ask its stack why they failed.
    pub(crate) fn stack(
        &mut self,
        negotiated: &Negotiated,
        ended: Option<&TunnelError>,
    ) -> Option<&mut Stack> {
        if self.stack.is_none() {
            let stack = new_stack(self.stack_seed, negotiated, ended)?;
            self.stack = Some(Box::new(stack));
        }
        self.stack.as_deref_mut()
    }

    /// The user that packets are delivered to; makes the stack if there is no user yet
    pub(crate) fn receiver(
        &mut self,
        negotiated: &Negotiated,
        ended: Option<&TunnelError>,
    ) -> (PacketUser<'_>, &mut Captures) {
        if self.raw.is_none() {
            self.stack(negotiated, ended);
        }
        self.sender()
    }

    /// The user that may have packets to send
    pub(crate) fn sender(&mut self) -> (PacketUser<'_>, &mut Captures) {
        let Self { stack, raw, captures, .. } = self;
        let user = match (raw, stack) {
            (Some(raw), _) => PacketUser::Raw(raw),
            (None, Some(stack)) => PacketUser::Stack(stack),
            (None, None) => PacketUser::Nobody,
        };
        (user, captures)
    }

    pub(crate) fn raw(&self) -> Option<&RawPort> {
        self.raw.as_deref()
    }

    pub(crate) fn raw_mut(&mut self) -> Option<&mut RawPort> {
        self.raw.as_deref_mut()
    }

    pub(crate) fn set_raw(&mut self, raw: RawPort) {
        self.raw = Some(Box::new(raw));
    }

    /// Takes the raw port away; its wakers are other people's code, so drop it without the lock
    pub(crate) fn take_raw(&mut self) -> Option<Box<RawPort>> {
        self.raw.take()
    }

    pub(crate) const fn captures(&self) -> &Captures {
        &self.captures
    }

    pub(crate) const fn captures_mut(&mut self) -> &mut Captures {
        &mut self.captures
    }

    /// Tells the users the addresses, the MTU and the DNS servers of another negotiation
    pub(crate) fn reconfigure(&mut self, now: Instant, negotiated: &Negotiated) {
        let Some(info) = negotiated.info() else { return };
        let mtu = usize::from(info.mtu);
        if let Some(stack) = &mut self.stack {
            stack.reconfigure(now, info.inner_address, mtu, info.dns.clone());
            if let Some(until) = negotiated.hold_until() {
                stack.hold_datagrams(now, until);
            }
        }
        if let Some(raw) = &mut self.raw {
            raw.reconfigure(mtu, info.ipv6.is_some());
        }
    }

    /// Lets datagrams go that waited for the path to open
    pub(crate) fn release_datagrams(&mut self) {
        if let Some(stack) = &mut self.stack {
            stack.release_datagrams();
        }
    }

    /// True if no packet waits to be sent
    pub(crate) fn are_flushed(&self) -> bool {
        self.raw.as_ref().is_none_or(|raw| raw.next_to_send().is_none())
            && self.stack.as_ref().is_none_or(|stack| stack.is_flushed())
    }

    /// The tasks that have something to do since the latest inputs
    pub(crate) fn drain_wakers(&mut self, into: &mut Wakers) {
        if let Some(raw) = &mut self.raw {
            raw.drain_wakers(into);
        }
        if let Some(stack) = &mut self.stack {
            stack.drain_wakers(into);
        }
        self.captures.drain_wakers(into);
    }

    /// Fails all calls of the users: the tunnel is over
    pub(crate) fn shut_down(&mut self, error: &TunnelError, wakers: &mut Wakers) {
        if let Some(stack) = &mut self.stack {
            stack.shut_down(Arc::new(error.clone()), error.io_kind());
            stack.drain_wakers(wakers);
        }
        if let Some(mut raw) = self.raw.take() {
            raw.drain_all_wakers(wakers);
        }
        self.captures.drain_wakers(wakers);
    }

    /// Takes away a stack that a panic has left behind, to be dropped without the lock
    pub(crate) fn take_stack(&mut self) -> Option<Box<Stack>> {
        self.stack.take()
    }
}

/// Makes the stack of a tunnel that has been up, or that has even ended
fn new_stack(seed: u64, negotiated: &Negotiated, ended: Option<&TunnelError>) -> Option<Stack> {
    let info = negotiated.info()?;
    let config = StackConfig::new(info.inner_address, info.mtu.into(), seed);
    let config = StackConfig { dns: info.dns.clone(), ..config };
    // its time begins before any turn that is under way
    let began = info.timeline.started();
    let mut stack = Stack::new(config, began);
    if let Some(until) = negotiated.hold_until() {
        stack.hold_datagrams(began, until);
    }
    if let Some(error) = ended {
        stack.shut_down(Arc::new(error.clone()), error.io_kind());
    }
    Some(stack)
}
