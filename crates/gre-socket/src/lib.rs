//! IP protocol 47 in batches: the raw socket, demultiplexing by Call ID, and a network in memory
//!
//! One [`GreSocket`] carries the GRE of all tunnels of a driver. It is either a [`RawSocket`] of
//! the kernel or a [`memory::GreSocket`] of a [`memory::Network`], with the same interface: wait
//! with [`GreSocket::readable`], take up to [`BATCH`] datagrams with [`GreSocket::receive`], find
//! each one's tunnel in a [`CallTable`], and hand what is to go out to [`GreSocket::send`].
//!
//! Because the socket is shared, nothing that happens to the datagrams of one tunnel touches those
//! of another: what cannot be sent is skipped and reported under its tag, and what the network
//! reports later ([`GreSocket::take_failures`]) names the destination and the call it is about.
//!
//! Linux only: the batch calls, the error queue and the packet filter are Linux's.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "pptp-gre-socket needs Linux: it uses recvmmsg, sendmmsg, the IP error queue and BPF filters"
);

use std::{io, net::Ipv4Addr};

mod batch;
mod call_table;
mod delivery;
mod limit;
pub mod memory;
mod raw;
mod shard;

pub use batch::{BATCH, Datagram, Outgoing, ReceiveBatch, SendBatch};
pub use call_table::{CallTable, Exhausted, REST};
pub use delivery::DeliveryFailure;
pub use limit::{FileLimit, raise_file_limit};
pub use raw::{BUFFER, OpenError, RawSocket, SocketOptions};
pub use shard::Shard;

/// IP protocol 47, through the kernel or in memory
#[derive(Debug)]
#[non_exhaustive]
pub enum GreSocket {
    /// The kernel's raw socket
    Raw(RawSocket),
    /// A host's socket in a network in memory
    Memory(memory::GreSocket),
}

impl GreSocket {
    /// Takes datagrams that arrived into `batch`, replacing what it held; returns their number
    ///
    /// 0 says that nothing is there: wait for [`GreSocket::readable`]. An error that the kernel
    /// returned on behalf of one destination never ends up here; an error from here is about the
    /// socket itself. Never waits.
    pub fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        match self {
            Self::Raw(socket) => socket.receive(batch),
            Self::Memory(socket) => Ok(socket.receive(batch)),
        }
    }

    /// Sends the datagrams of `batch` in their order; true if none is left
    ///
    /// False says that the socket takes no more now: the rest stays in `batch`, in order, until
    /// [`GreSocket::writable`]. A datagram that cannot be sent (no route, EPERM, EMSGSIZE and the
    /// like) is skipped and reported to `failed` with its [`Outgoing::tag`]; the others go out. The
    /// first call after opening may return false because the runtime has not looked at the socket
    /// yet. Never waits; an error is about the socket itself, and the rest stays in `batch`.
    pub fn send(
        &mut self,
        batch: &mut SendBatch,
        failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool> {
        match self {
            Self::Raw(socket) => socket.send(batch, failed),
            Self::Memory(socket) => Ok(socket.send(batch, failed)),
        }
    }

    /// Hands what the network reported about datagrams sent earlier to `each`
    ///
    /// To be called when [`GreSocket::readable`] returned, as [`GreSocket::receive`] is: it returns
    /// at once while reports are left. Returns how many reports were taken, a bounded number at a
    /// time; 0 says that none is left.
    pub fn take_failures(&mut self, each: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        match self {
            Self::Raw(socket) => socket.take_failures(each),
            Self::Memory(socket) => Ok(socket.take_failures(each)),
        }
    }

    /// Waits until there is something to receive or a delivery failure to take
    ///
    /// May return although there is nothing.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Raw(socket) => socket.readable().await,
            Self::Memory(socket) => {
                socket.readable().await;
                Ok(())
            }
        }
    }

    /// Waits until a [`GreSocket::send`] that returned false is worth repeating
    ///
    /// May return although it is not.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Raw(socket) => socket.writable().await,
            Self::Memory(socket) => {
                socket.writable().await;
                Ok(())
            }
        }
    }

    /// Leaves what arrives in the receive buffer, until [`GreSocket::resume`]
    ///
    /// Meanwhile [`GreSocket::receive`] and [`GreSocket::take_failures`] find nothing,
    /// [`GreSocket::readable`] does not return, and nothing that arrives wakes the runtime's thread:
    /// not to wait for [`GreSocket::readable`] would spare only the task (a flood of 100,000 datagrams
    /// a second took 20 to 30 % of a thread that received none of them). Sending goes on.
    pub fn pause(&mut self) {
        match self {
            Self::Raw(socket) => socket.pause(),
            Self::Memory(socket) => socket.pause(),
        }
    }

    /// Receives again after [`GreSocket::pause`], beginning with what has arrived since
    ///
    /// An error is the runtime's, which cannot watch the socket now; then it is still paused.
    pub fn resume(&mut self) -> io::Result<()> {
        match self {
            Self::Raw(socket) => socket.resume(),
            Self::Memory(socket) => {
                socket.resume();
                Ok(())
            }
        }
    }

    /// Datagrams dropped because the receive buffer was full, since the socket was opened
    ///
    /// `None` if the kernel does not tell. Reads a file of `/proc`: once a second, not per packet.
    pub fn kernel_drops(&self) -> Option<u64> {
        match self {
            Self::Raw(socket) => socket.kernel_drops(),
            Self::Memory(socket) => Some(socket.drops()),
        }
    }

    /// Octets of the receive buffer in effect, in the unit of [`SocketOptions::receive_buffer`]
    pub fn receive_buffer(&self) -> usize {
        match self {
            Self::Raw(socket) => socket.receive_buffer(),
            Self::Memory(_) => memory::GreSocket::receive_buffer(),
        }
    }

    /// The local address the socket is bound to, if it is
    ///
    /// A bound socket receives only what is sent to that address, and sends from it.
    pub fn local_address(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Raw(socket) => socket.local_address(),
            Self::Memory(socket) => Some(socket.local_address()),
        }
    }
}

impl From<RawSocket> for GreSocket {
    fn from(socket: RawSocket) -> Self {
        Self::Raw(socket)
    }
}

impl From<memory::GreSocket> for GreSocket {
    fn from(socket: memory::GreSocket) -> Self {
        Self::Memory(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn movable<T: Send + 'static>() {}

    #[test]
    fn a_driver_may_move_between_threads_with_all_it_owns() {
        const { movable::<(GreSocket, ReceiveBatch, SendBatch, CallTable<()>)>() }
        const { movable::<(memory::MemoryStream, memory::MemoryListener, memory::Host)>() }
    }
}
