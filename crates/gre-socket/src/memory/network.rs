//! The network itself: who is there, how far away, and what goes wrong

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use super::{GreSocket, MemoryListener, MemoryStream};

/// A network in memory; clones are the same network
#[derive(Clone, Debug)]
pub struct Network {}

/// What happens to GRE on its way, beside the latency
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impairment {
    /// Up to so much is added to the latency of each datagram, which reorders them
    pub jitter: Duration,
    /// Datagrams lost of a thousand
    pub loss_per_mille: u16,
    /// Datagrams delivered twice of a thousand
    pub duplicate_per_mille: u16,
}

/// Which way a host's GRE vanishes without a trace
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocked {
    /// Neither
    #[default]
    Nothing,
    /// What is sent to the host
    Inbound,
    /// What the host sends
    Outbound,
    /// Both
    Both,
}

impl Network {
    /// A network without hosts and latency; `seed` decides every random choice in it
    pub fn new(seed: u64) -> Self {
        let _ = seed;
        Self {}
    }

    /// Sets the time from any host to any other, one way, for all that is sent from now on
    ///
    /// Zero at first. Tokio's clock counts whole milliseconds.
    pub fn set_latency(&self, one_way: Duration) {
        let _ = one_way;
    }

    /// Sets what happens to GRE sent from now on; connections are not impaired
    pub fn set_impairment(&self, impairment: Impairment) {
        let _ = impairment;
    }

    /// The host with this address, added to the network if it is new
    pub fn host(&self, address: Ipv4Addr) -> Host {
        let _ = address;
        todo!()
    }

    /// Makes everything that is sent to `destination` fail at the sender with an error number
    ///
    /// As a missing route (ENETUNREACH) or a packet filter (EPERM) does: GRE at each send,
    /// connections when they are begun.
    pub fn refuse(&self, destination: Ipv4Addr, raw_os_error: i32) {
        let _ = (destination, raw_os_error);
    }

    /// Undoes [`Network::refuse`]
    pub fn allow(&self, destination: Ipv4Addr) {
        let _ = destination;
    }
}

/// A host of a [`Network`]; clones are the same host
#[derive(Clone, Debug)]
pub struct Host {}

impl Host {
    /// Its address
    pub fn address(&self) -> Ipv4Addr {
        todo!()
    }

    /// Opens a GRE socket; each socket of a host receives all its GRE, as the kernel's do
    pub fn open_gre(&self) -> GreSocket {
        todo!()
    }

    /// Makes GRE vanish on its way, without an error, until called again
    pub fn block_gre(&self, blocked: Blocked) {
        let _ = blocked;
    }

    /// Makes the host's GRE sockets take nothing to send, as a full send buffer does, or lifts that
    pub fn stall_gre(&self, stalled: bool) {
        let _ = stalled;
    }

    /// Connects to a listener, which takes one round trip
    ///
    /// Errors: connection refused if nobody listens there, host unreachable if there is no such
    /// host, each after one round trip; what [`Network::refuse`] says, at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind.
    pub async fn connect_tcp(&self, to: SocketAddrV4) -> io::Result<MemoryStream> {
        std::future::ready(()).await;
        let _ = to;
        todo!()
    }

    /// Listens on a port; 0 takes a free one
    ///
    /// Error: address in use.
    pub fn listen_tcp(&self, port: u16) -> io::Result<MemoryListener> {
        let _ = port;
        todo!()
    }
}
