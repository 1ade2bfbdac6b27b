//! IP protocol 47 in batches: the raw socket, and demultiplexing by Call ID
//!
//! One [`GreSocket`] carries the GRE of all tunnels of a driver. It is the kernel's [`RawSocket`],
//! or any other with the same interface. A driver waits with [`GreSocket::readable`], takes up to
//! [`BATCH`] datagrams with [`GreSocket::receive`], finds each one's tunnel in a [`CallTable`], and
//! sends with [`GreSocket::send`].
//!
//! The tunnels share the socket, but the datagrams of one tunnel do not affect those of another. A
//! datagram that cannot be sent is skipped and reported under its tag. A failure that the network
//! reports later ([`GreSocket::take_failures`]) names its destination and its call.
//!
//! The raw socket is Linux's: the batch calls, the error queue and the packet filter. On other systems
//! everything else is there, and opening it fails with [`OpenError::Unsupported`].
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]
#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for the raw socket"))]

mod batch;
mod call_table;
mod delivery;
mod either;
mod host;
mod limit;
mod null;
mod open_error;
mod options;
#[cfg(target_os = "linux")]
mod raw;
mod shard;
mod socket;
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(target_os = "linux", allow(unreachable_pub, reason = "here for its test only"))]
mod unsupported;

#[cfg(target_os = "linux")]
pub use raw::RawSocket;
#[cfg(not(target_os = "linux"))]
pub use unsupported::RawSocket;

pub use batch::{BATCH, Datagram, Outgoing, ReceiveBatch, SendBatch};
pub use call_table::{CALL_ID_QUARANTINE, CallTable, Exhausted};
pub use delivery::DeliveryFailure;
pub use either::EitherSocket;
pub use host::VirtualHost;
pub use limit::{FileLimit, raise_file_limit};
pub use null::NullSocket;
pub use open_error::OpenError;
pub use options::{DEFAULT_RECEIVE_BUFFER, SocketOptions};
pub use shard::Shard;
pub use socket::GreSocket;

#[cfg(test)]
mod tests {
    use super::*;

    const fn movable<T: Send + 'static>() {}

    #[test]
    fn a_driver_may_move_between_threads_with_all_it_owns() {
        const { movable::<(RawSocket, NullSocket, ReceiveBatch, SendBatch, CallTable<()>)>() }
    }
}
