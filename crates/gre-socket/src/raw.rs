//! The kernel's raw socket

use std::{io, net::Ipv4Addr, os::fd::OwnedFd};

use crate::{DeliveryFailure, ReceiveBatch, SendBatch};

mod open;

pub use open::{BUFFER, OpenError, SocketOptions};

/// A raw socket of IP protocol 47, shared by all tunnels of a driver
#[derive(Debug)]
pub struct RawSocket {}

impl RawSocket {
    /// Opens a raw socket, which needs `CAP_NET_RAW`
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O driver enabled.
    pub fn open(options: &SocketOptions) -> Result<Self, OpenError> {
        let _ = options;
        todo!()
    }

    /// Takes over a raw socket of protocol 47 that somebody opened, and needs no capability
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O driver enabled.
    pub fn from_fd(descriptor: OwnedFd, options: &SocketOptions) -> Result<Self, OpenError> {
        let _ = (descriptor, options);
        todo!()
    }

    pub(crate) fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let _ = batch;
        todo!()
    }

    pub(crate) fn send(
        &mut self,
        batch: &mut SendBatch,
        failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool> {
        let _ = (batch, failed);
        todo!()
    }

    pub(crate) fn take_failures(&mut self, each: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        let _ = each;
        todo!()
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        std::future::ready(()).await;
        todo!()
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        std::future::ready(()).await;
        todo!()
    }

    pub(crate) fn kernel_drops(&self) -> Option<u64> {
        todo!()
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        todo!()
    }

    pub(crate) fn local_address(&self) -> Option<Ipv4Addr> {
        todo!()
    }
}
