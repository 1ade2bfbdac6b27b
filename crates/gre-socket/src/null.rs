//! A socket without a network

use std::{future::pending, io, net::Ipv4Addr};

use crate::{DeliveryFailure, GreSocket, ReceiveBatch, SendBatch};

/// GRE socket of a client that may open none: nothing arrives, and each datagram fails to be sent
#[derive(Debug, Default)]
pub struct NullSocket;

impl GreSocket for NullSocket {
    fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.clear();
        Ok(0)
    }

    fn send(
        &mut self,
        batch: &mut SendBatch,
        mut failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool> {
        while let Some(outgoing) = batch.next() {
            failed(outgoing.tag, io::ErrorKind::NetworkUnreachable.into());
            batch.remove(1);
        }
        Ok(true)
    }

    fn take_failures(&mut self, _: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        Ok(0)
    }

    async fn readable(&self) -> io::Result<()> {
        pending().await
    }

    async fn writable(&self) -> io::Result<()> {
        Ok(())
    }

    fn pause(&mut self) {}

    fn resume(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn kernel_drops(&self) -> Option<u64> {
        Some(0)
    }

    fn receive_buffer(&self) -> usize {
        0
    }

    fn local_address(&self) -> Option<Ipv4Addr> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outgoing;

    #[test]
    fn each_datagram_fails_under_its_tag_and_its_slot_is_free_again() {
        let mut batch = SendBatch::new(2);
        for tag in [7, 9] {
            let packet = batch.take_slot().unwrap();
            let destination = Ipv4Addr::LOCALHOST;
            batch.push(Outgoing { packet, destination, source: None, tag });
        }
        let mut failed = Vec::new();
        let sent = NullSocket.send(&mut batch, |tag, error| failed.push((tag, error.kind())));
        assert!(sent.unwrap(), "nothing waits for a socket that takes nothing");
        assert_eq!(failed, [7, 9].map(|tag| (tag, io::ErrorKind::NetworkUnreachable)));
        assert_eq!((batch.len(), batch.room()), (0, 2));
    }
}
