//! The part of a tunnel's state that the lock guards

use std::{io, sync::Arc, time::Instant};

use pptp_netstack::Stack;
use pptp_packet::Wakers;
use pptp_tunnel::NotNow;

use super::{
    ending::Ending, hang_up::HangUp, negotiated::Negotiated, packet_users::PacketUsers,
    protocol::Protocol, raw_port::RawPort,
};
use crate::{TunnelError, connect::dial_state::DialState, state::Redial};

/// The part of a tunnel's state that the lock guards
///
/// Each field is a part with private fields of its own: only the part's file writes them. Boxes hold
/// what only a part of a tunnel's life needs, since an idle tunnel is to be small.
pub(crate) struct Inner {
    pub(crate) protocol: Protocol,
    pub(crate) packet_users: PacketUsers,
    pub(crate) negotiated: Negotiated,
    pub(crate) dial: DialState,
    pub(crate) hang_up: HangUp,
    pub(crate) ending: Ending,
    #[cfg(feature = "fault-injection")]
    panics_next: bool,
}

impl Inner {
    /// The state of a tunnel that is going to be dialled; `stack_seed` must be fresh and secret
    pub(super) fn new(stack_seed: u64) -> Self {
        Self {
            protocol: Protocol::default(),
            packet_users: PacketUsers::new(stack_seed),
            negotiated: Negotiated::default(),
            dial: DialState::default(),
            hang_up: HangUp::default(),
            ending: Ending::default(),
            #[cfg(feature = "fault-injection")]
            panics_next: false,
        }
    }

    /// The stack, once the tunnel has been up: see [`PacketUsers::stack`]
    pub(crate) fn stack(&mut self) -> Option<&mut Stack> {
        self.packet_users.stack(&self.negotiated, self.ending.error())
    }

    /// The raw port of a tunnel that has not ended
    ///
    /// # Errors
    /// The reason for the end; `NotConnected` if the port was taken away.
    pub(crate) fn raw_port(&mut self) -> io::Result<&mut RawPort> {
        if let Some(error) = self.ending.error() {
            return Err(error.to_io());
        }
        self.packet_users.raw_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Puts a raw port in the place of the stack, whose sockets fail from now on
    ///
    /// # Errors
    /// The reason for the end; `ResourceBusy` if there is a raw port already.
    pub(crate) fn open_raw_port(&mut self, wakers: &mut Wakers) -> io::Result<()> {
        if let Some(error) = self.ending.error() {
            return Err(error.to_io());
        }
        if self.packet_users.raw().is_some() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let info = self.negotiated.info();
        let mtu = info.map_or(0, |info| usize::from(info.mtu));
        let ipv6 = info.is_some_and(|info| info.ipv6.is_some());
        if let Some(stack) = self.stack() {
            let reason = "the tunnel's IP packets were taken by `ip_packets`";
            stack.shut_down(Arc::from(Box::from(reason)), io::ErrorKind::ConnectionAborted);
            stack.drain_wakers(wakers);
        }
        self.packet_users.set_raw(RawPort::new(mtu, ipv6));
        Ok(())
    }

    /// Decides whether the server is dialled once more after this end of the machine, and returns why
    pub(crate) fn redial(&mut self, error: &pptp_tunnel::TunnelError) -> Option<Redial> {
        if self.hang_up.is_requested() {
            return None;
        }
        self.dial.redial(error)
    }

    /// Drops the machine, if the server is dialled once more; the control task does that
    ///
    /// Returns true if so.
    pub(crate) fn leave_to_redial(&mut self) -> bool {
        let redials = self.dial.redials();
        if redials {
            self.dial.keep_timeline(self.protocol.discard());
        }
        redials
    }

    /// Returns true once the control connection is closed and finished
    pub(crate) fn has_hung_up(&self) -> bool {
        self.ending.is_finished() || (self.dial.redials() && self.protocol.machine().is_none())
    }

    /// Tells the machine to hang up, if its time has come
    pub(crate) fn hang_up_if_due(&mut self, now: Instant) {
        if self.may_hang_up(now)
            && let Some(machine) = self.protocol.machine_mut()
        {
            machine.close(now);
            self.hang_up.told();
        }
    }

    /// True if a hang-up was asked for, and does not wait for the sockets any more
    pub(crate) fn may_hang_up(&self, now: Instant) -> bool {
        let (Some(by), Some(machine)) = (self.hang_up.by(), self.protocol.machine()) else {
            return false;
        };
        by <= now || self.packet_users.are_flushed() || machine.may_send(now) == Err(NotNow::NotUp)
    }

    /// Fails all calls on the tunnel
    pub(super) fn end(&mut self, error: &TunnelError, wakers: &mut Wakers) {
        self.dial.end();
        self.packet_users.shut_down(error, wakers);
        self.ending.set(error);
    }

    /// Makes the next turn panic
    #[cfg(feature = "fault-injection")]
    pub(crate) const fn inject_panic(&mut self) {
        self.panics_next = true;
    }

    /// Returns true if this turn is to panic
    #[cfg(feature = "fault-injection")]
    pub(crate) const fn take_injected_panic(&mut self) -> bool {
        std::mem::replace(&mut self.panics_next, false)
    }
}
