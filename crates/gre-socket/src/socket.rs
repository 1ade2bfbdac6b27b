//! The interface between a driver and its socket

use std::{io, net::Ipv4Addr};

use crate::{DeliveryFailure, ReceiveBatch, SendBatch};

/// Socket of IP protocol 47 that a driver owns: the kernel's, one in memory, or one of your own
///
/// A driver is compiled for its kind of socket, so that no call is dispatched at run time.
pub trait GreSocket: Send + Sync + 'static {
    /// Takes datagrams that have arrived into `batch`, which is emptied first; returns their number
    ///
    /// 0 says that nothing is there: wait for [`GreSocket::readable`]. An error that the kernel
    /// returned on behalf of one destination never ends up here; an error from here is about the
    /// socket itself. Never waits.
    fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize>;

    /// Sends the datagrams of `batch` in their order; true if none is left
    ///
    /// False says that the socket takes no more now: the rest stays in `batch`, in order, until
    /// [`GreSocket::writable`]. A datagram that cannot be sent (no route, EPERM, EMSGSIZE and the
    /// like) is skipped and reported to `failed` with its [`Outgoing::tag`](crate::Outgoing::tag);
    /// the others go out. The first call after opening may return false because the runtime has not
    /// looked at the socket yet. Never waits; an error is about the socket itself, and the rest stays
    /// in `batch`.
    fn send(
        &mut self,
        batch: &mut SendBatch,
        failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool>;

    /// Passes the network's reports about earlier datagrams to `each`
    ///
    /// To be called when [`GreSocket::readable`] returned, as [`GreSocket::receive`] is: it returns
    /// at once while reports are left. Returns how many reports were taken, a bounded number at a
    /// time; 0 says that no report is left.
    fn take_failures(&mut self, each: impl FnMut(DeliveryFailure)) -> io::Result<usize>;

    /// Waits until there is something to receive or a delivery failure to take
    ///
    /// May return although there is nothing.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Waits until a [`GreSocket::send`] that returned false is worth repeating
    ///
    /// May return although it is not.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Leaves arriving datagrams in the receive buffer, until [`GreSocket::resume`]
    ///
    /// Meanwhile [`GreSocket::receive`] and [`GreSocket::take_failures`] find nothing,
    /// [`GreSocket::readable`] does not return, and nothing that arrives wakes the runtime's thread:
    /// not to wait for [`GreSocket::readable`] would spare only the task (a flood of 100,000 datagrams
    /// a second took 20 to 30 % of a thread that received none of them). Sending goes on.
    fn pause(&mut self);

    /// Receives again after [`GreSocket::pause`], beginning with the datagrams that have arrived
    /// since
    ///
    /// An error is the runtime's, which cannot watch the socket now; then it is still paused.
    fn resume(&mut self) -> io::Result<()>;

    /// Datagrams dropped because the receive buffer was full, since the socket was opened
    ///
    /// `None` if the kernel does not tell. Reads a file of `/proc`: once a second, not per packet.
    fn kernel_drops(&self) -> Option<u64>;

    /// Octets of the receive buffer in effect, in the unit of
    /// [`SocketOptions::receive_buffer`](crate::SocketOptions::receive_buffer)
    fn receive_buffer(&self) -> usize;

    /// The local address the socket is bound to, if it is
    ///
    /// A bound socket receives only datagrams for that address, and sends from it.
    fn local_address(&self) -> Option<Ipv4Addr>;
}
