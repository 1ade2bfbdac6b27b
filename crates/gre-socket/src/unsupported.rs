//! The raw socket of systems that are not Linux: it cannot be opened

use std::{io, net::Ipv4Addr};

use crate::{DeliveryFailure, GreSocket, OpenError, ReceiveBatch, SendBatch, SocketOptions};

/// Raw socket that does not exist: there is no value of this type
#[derive(Debug)]
pub enum RawSocket {}

impl RawSocket {
    /// Fails with [`OpenError::Unsupported`]
    ///
    /// # Errors
    /// Always.
    pub fn open(_: &SocketOptions) -> Result<Self, OpenError> {
        Err(OpenError::Unsupported)
    }
}

impl GreSocket for RawSocket {
    fn receive(&mut self, _: &mut ReceiveBatch) -> io::Result<usize> {
        match *self {}
    }

    fn send(&mut self, _: &mut SendBatch, _: impl FnMut(u32, io::Error)) -> io::Result<bool> {
        match *self {}
    }

    fn take_failures(&mut self, _: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        match *self {}
    }

    async fn readable(&self) -> io::Result<()> {
        match *self {}
    }

    async fn writable(&self) -> io::Result<()> {
        match *self {}
    }

    fn pause(&mut self) {
        match *self {}
    }

    fn resume(&mut self) -> io::Result<()> {
        match *self {}
    }

    fn kernel_drops(&self) -> Option<u64> {
        match *self {}
    }

    fn receive_buffer(&self) -> usize {
        match *self {}
    }

    fn local_address(&self) -> Option<Ipv4Addr> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_raw_socket_opening_one_says_so() {
        let error = RawSocket::open(&SocketOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::Unsupported), "{error}");
        assert!(error.to_string().contains("Linux"), "{error}");
    }
}
