//! The kernel's raw socket

use std::{
    future::pending,
    io,
    net::Ipv4Addr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Waker},
    time::Duration,
};

use socket2::Socket;
use tokio::{
    io::{Interest, Ready},
    net::UdpSocket,
};

use crate::{BATCH, DeliveryFailure, GreSocket, OpenError, ReceiveBatch, SendBatch, SocketOptions};

mod drops;
mod messages;
mod open;

/// A raw socket of IP protocol 47, shared by all tunnels of a driver
///
/// It takes datagrams of GRE version 1 with a key only (a BPF filter drops the others in the
/// kernel), sends without Don't Fragment, and receives ICMP errors.
#[derive(Debug)]
pub struct RawSocket {
    socket: Socket,
    /// Tokio's way to watch any datagram socket without unsafe code: nothing of UDP is used. A
    /// duplicate of `socket`, and `None` while arrivals must wake no thread
    watch: Option<UdpSocket>,
    /// Its number in the kernel's table of sockets
    inode: Option<u64>,
    receive_buffer: usize,
    local_address: Option<Ipv4Addr>,
}

impl RawSocket {
    /// Opens a raw socket, which needs `CAP_NET_RAW`
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O driver enabled.
    pub fn open(options: &SocketOptions) -> Result<Self, OpenError> {
        Self::new(open::open()?, options)
    }

    /// Opens a raw socket for [`Self::from_fd`], in this process or another, and sets all that needs
    /// privileges: the receive buffer past the system's limit, the mark, the device
    ///
    /// Needs `CAP_NET_RAW`, and no runtime. It receives nothing until it is taken over.
    pub fn open_for_later(options: &SocketOptions) -> Result<OwnedFd, OpenError> {
        open::open_for_later(options)
    }

    /// Returns true if two descriptors are the same socket
    ///
    /// One socket has one filter, so that it cannot serve two shards.
    pub fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
        drops::inode(one).is_some_and(|inode| drops::inode(other) == Some(inode))
    }

    /// Takes over an open raw socket of protocol 47, and needs no capability
    ///
    /// Its opener (root, a systemd unit) may have set a mark or a device before: what
    /// `options` asks for is set only where the socket does not have it yet. A buffer that is larger
    /// than this process may ask for is left as it is.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O driver enabled.
    pub fn from_fd(descriptor: OwnedFd, options: &SocketOptions) -> Result<Self, OpenError> {
        let socket = Socket::from(descriptor);
        open::check(&socket)?;
        Self::new(socket, options)
    }

    fn new(socket: Socket, options: &SocketOptions) -> Result<Self, OpenError> {
        open::prepare(&socket, options)?;
        let local_address = open::local_address(&socket);
        let inode = drops::inode(socket.as_fd());
        let receive_buffer = open::receive_buffer(&socket);
        let watch = Some(watch(socket.as_fd()).map_err(OpenError::Runtime)?);
        Ok(Self { socket, watch, inode, receive_buffer, local_address })
    }

    /// Sends the next datagrams that have one source address in common; returns how many were sent
    fn send_run(&self, batch: &SendBatch) -> io::Result<usize> {
        let send = || messages::send(self.socket.as_fd(), batch, self.local_address);
        match &self.watch {
            Some(watch) => watch.try_io(Interest::WRITABLE, send),
            None => send(),
        }
    }

    /// Registers the socket anew if tokio takes it for writable after it was found full
    ///
    /// An error on the socket makes epoll report it writable and failed at once, which tokio takes
    /// for the end of a connection and never forgets: from the first ICMP message on,
    /// [`Self::writable`] would return at once, for ever.
    fn renew_readiness(&mut self) -> io::Result<()> {
        let mut context = Context::from_waker(Waker::noop());
        if self.watch.as_ref().is_some_and(|watch| watch.poll_send_ready(&mut context).is_ready()) {
            self.watch = Some(watch(self.socket.as_fd())?);
        }
        Ok(())
    }
}

impl GreSocket for RawSocket {
    fn pause(&mut self) {
        self.watch = None;
    }

    fn resume(&mut self) -> io::Result<()> {
        if self.watch.is_none() {
            self.watch = Some(watch(self.socket.as_fd())?);
        }
        Ok(())
    }

    fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.clear();
        let Some(watch) = &self.watch else { return Ok(0) };
        for _ in 0..MAX_ATTEMPTS {
            let mut count = 0;
            let outcome = watch.try_io(Interest::READABLE, || {
                count = messages::receive(self.socket.as_fd(), batch)?;
                // a batch that is not full emptied the queue; this saves the call that would find
                // the queue empty, because epoll reports all later arrivals and errors
                if count < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                Err(error) if !is_reported(&error) => return Err(error),
                Err(_) => {}
                Ok(()) => return Ok(count),
            }
        }
        Ok(0)
    }

    fn send(
        &mut self,
        batch: &mut SendBatch,
        mut failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool> {
        let all_gone = send_all(batch, |batch| self.send_run(batch), &mut failed);
        if !all_gone {
            self.renew_readiness()?;
        }
        Ok(all_gone)
    }

    fn take_failures(&mut self, mut each: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        let Some(watch) = &self.watch else { return Ok(0) };
        for taken in 0..MAX_FAILURES {
            match watch.try_io(Interest::ERROR, || messages::failure(self.socket.as_fd())) {
                Ok(failure) => failure.into_iter().for_each(&mut each),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                Err(error) => return Err(error),
            }
        }
        Ok(MAX_FAILURES)
    }

    async fn readable(&self) -> io::Result<()> {
        let Some(watch) = &self.watch else { return pending().await };
        watch.ready(Interest::READABLE | Interest::ERROR).await.map(drop)
    }

    async fn writable(&self) -> io::Result<()> {
        let is_known = match &self.watch {
            // An error was reported while the socket was full: it may still be full.
            Some(watch) => watch.ready(Interest::WRITABLE).await? != Ready::WRITE_CLOSED,
            None => false,
        };
        if !is_known {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn kernel_drops(&self) -> Option<u64> {
        drops::kernel_drops(self.inode?)
    }

    fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    fn local_address(&self) -> Option<Ipv4Addr> {
        self.local_address
    }
}

/// Lets the runtime watch a socket until the returned value is dropped
fn watch(socket: BorrowedFd<'_>) -> io::Result<UdpSocket> {
    UdpSocket::from_std(socket.try_clone_to_owned()?.into())
}

/// Sends the batch with `send`, which sends some of the next datagrams; skips those that cannot be
/// sent
///
/// False if the socket takes no more now.
fn send_all(
    batch: &mut SendBatch,
    mut send: impl FnMut(&SendBatch) -> io::Result<usize>,
    failed: &mut impl FnMut(u32, io::Error),
) -> bool {
    let mut attempts = 1;
    while let Some(next) = batch.next() {
        match send(batch) {
            Ok(sent) => batch.remove(sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // Perhaps it is not about this datagram but was reported about an earlier one.
            Err(error) if is_reported(&error) && attempts < MAX_ATTEMPTS => {
                attempts += 1;
                continue;
            }
            Err(error) => {
                failed(next.tag, error);
                batch.remove(1);
            }
        }
        attempts = 1;
    }
    true
}

/// Returns true if the kernel reports an ICMP message by this error
///
/// It returns such an error from whichever call is next, so it belongs to no datagram there. The error
/// queue has it too, with its destination.
fn is_reported(error: &io::Error) -> bool {
    use nix::libc;
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENOPROTOOPT
                | libc::ECONNREFUSED
                | libc::EMSGSIZE
                | libc::EOPNOTSUPP
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EPROTO
        )
    )
}

/// The number of times a call is made before an error that ICMP can cause counts as the call's own
///
/// Each call clears the error that was reported before it. Two errors in a row can happen, if
/// another report comes in between; three in a row within microseconds do not.
const MAX_ATTEMPTS: u32 = 3;

/// Delivery failures taken at a time
const MAX_FAILURES: usize = 256;

#[cfg(test)]
mod tests {
    use nix::libc::{ECONNREFUSED, EPERM};

    use super::*;
    use crate::Outgoing;

    /// Sends the tags 0 to 5 through a kernel that answers `answers` and then takes one at a time;
    /// returns whether all went, the tags tried, and those that failed
    fn send_six(answers: &[Result<usize, i32>]) -> (bool, Vec<u32>, Vec<(u32, i32)>) {
        let mut batch = SendBatch::new(6);
        for tag in 0..6 {
            let packet = batch.take_slot().unwrap();
            batch.push(Outgoing { packet, destination: UNSPECIFIED, source: None, tag });
        }
        let mut answers = answers.iter();
        let (mut tried, mut failed) = (Vec::new(), Vec::new());
        let send = |batch: &SendBatch| {
            tried.push(batch.next().unwrap().tag);
            let answer = answers.next().copied().unwrap_or(Ok(1));
            answer.map_err(io::Error::from_raw_os_error)
        };
        let gone = send_all(&mut batch, send, &mut |tag, error| {
            failed.push((tag, error.raw_os_error().unwrap()));
        });
        (gone, tried, failed)
    }

    const UNSPECIFIED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    #[test]
    fn an_error_reported_about_another_datagram_skips_none() {
        let (gone, tried, failed) =
            send_six(&[Ok(2), Err(ECONNREFUSED), Ok(2), Err(ECONNREFUSED), Err(ECONNREFUSED)]);
        assert_eq!((gone, failed), (true, vec![]));
        assert_eq!(tried, [0, 2, 2, 4, 4, 4, 5]);
    }

    #[test]
    fn an_error_that_stays_skips_its_datagram_alone() {
        let refused = Err(ECONNREFUSED);
        let (gone, tried, failed) = send_six(&[Ok(1), refused, refused, refused, refused, Ok(4)]);
        assert_eq!((gone, failed), (true, vec![(1, ECONNREFUSED)]));
        assert_eq!(tried, [0, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn an_error_no_report_can_cause_is_the_datagrams_own_at_once() {
        let (gone, tried, failed) = send_six(&[Ok(3), Err(EPERM), Ok(2)]);
        assert_eq!((gone, failed), (true, vec![(3, EPERM)]));
        assert_eq!(tried, [0, 3, 4]);
    }

    #[test]
    fn a_full_socket_ends_it_with_the_rest_in_place() {
        let (gone, tried, failed) = send_six(&[Ok(2), Err(nix::libc::EAGAIN)]);
        assert_eq!((gone, failed), (false, vec![]));
        assert_eq!(tried, [0, 2]);
    }
}
