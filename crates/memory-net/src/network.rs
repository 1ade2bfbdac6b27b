//! The network itself: its hosts, their distance, and its faults

mod host_state;
mod impairment;
mod line;
mod state;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pptp_gre_socket::Outgoing;
use tokio::time::Instant;

pub use self::{host_state::Blocked, impairment::Impairment};
pub(crate) use self::{host_state::HostState, line::Line, state::State};
use crate::trace::Trace;

/// A network in memory; clones are the same network
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

/// Prints no octets on their way, which may be a login
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// A network without hosts and latency; `seed` decides every random choice in it
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed))))
    }

    /// Sets the time from any host to any other, one way, for all that is sent from now on
    ///
    /// Zero at first. Tokio's clock counts whole milliseconds.
    pub fn set_latency(&self, one_way: Duration) {
        self.state().latency = one_way;
    }

    /// Sets the faults of GRE sent from now on; connections are not impaired
    pub fn set_impairment(&self, impairment: Impairment) {
        self.state().impairer.set(impairment);
    }

    /// Makes everything that is sent to `destination` fail at the sender with an error number
    ///
    /// As a missing route (ENETUNREACH) or a packet filter (EPERM) does: GRE at each send,
    /// connections when they are begun.
    pub fn refuse(&self, destination: Ipv4Addr, raw_os_error: i32) {
        self.state().refused.insert(destination, raw_os_error);
    }

    /// Undoes [`Network::refuse`]
    pub fn allow(&self, destination: Ipv4Addr) {
        self.state().refused.remove(&destination);
    }

    /// Begins to make a digest of everything that is sent: see [`Network::digest`]
    pub fn trace(&self) {
        self.state().trace = Some(Trace::new());
    }

    /// A digest of all GRE and of all octets of connections since [`Network::trace`], with senders,
    /// receivers and times
    ///
    /// Two runs with the same digest were the same. Zero without a trace.
    pub fn digest(&self) -> u64 {
        self.state().trace.as_ref().map_or(0, Trace::digest)
    }

    /// The time at which the last GRE datagram with a payload for this call of a host arrived, or will arrive
    ///
    /// Of those that arrive as they were sent, since [`Network::trace`].
    pub fn last_arrival(&self, host: Ipv4Addr, call_id: u16) -> Option<Instant> {
        self.state().trace.as_ref()?.last_arrival(host, call_id)
    }

    /// The latency of a datagram that is sent now; `None` while one of the two hosts is unplugged
    pub(super) fn path_latency(&self, from: Ipv4Addr, to: Ipv4Addr) -> Option<Duration> {
        self.state().path_latency(from, to)
    }

    /// A number for a new connection
    pub(super) fn next_number(&self) -> u64 {
        self.state().next_number()
    }

    /// Records octets of a connection in the trace
    pub(super) fn note(&self, from: SocketAddrV4, to: SocketAddrV4, octets: &[u8]) {
        if let Some(trace) = &mut self.state().trace {
            trace.note((from, to), octets);
        }
    }

    /// The time at which the line of a host takes another datagram; `None` for at once
    pub(super) fn busy_until(&self, host: Ipv4Addr) -> Option<Instant> {
        self.state().busy_until(host)
    }

    /// Sends one datagram of the host `from`
    pub(super) fn send_datagram(&self, from: Ipv4Addr, outgoing: &Outgoing) -> io::Result<()> {
        self.state().send_datagram(from, outgoing)
    }

    /// Acts on the state of a host, which is added to the network if it is new
    pub(super) fn with_host<R>(
        &self,
        address: Ipv4Addr,
        act: impl FnOnce(&mut HostState) -> R,
    ) -> R {
        act(self.state().host(address))
    }

    /// Acts on the state of the whole network
    pub(super) fn with_state<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
