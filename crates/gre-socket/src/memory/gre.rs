//! GRE between hosts in memory

use std::{io, net::Ipv4Addr};

use crate::{DeliveryFailure, ReceiveBatch, SendBatch};

/// A host's GRE socket in memory; used as [`GreSocket`](crate::GreSocket)
#[derive(Debug)]
pub struct GreSocket {}

impl GreSocket {
    pub(crate) fn receive(&mut self, batch: &mut ReceiveBatch) -> usize {
        let _ = batch;
        todo!()
    }

    pub(crate) fn send(
        &mut self,
        batch: &mut SendBatch,
        failed: impl FnMut(u32, io::Error),
    ) -> bool {
        let _ = (batch, failed);
        todo!()
    }

    pub(crate) fn take_failures(&mut self, each: impl FnMut(DeliveryFailure)) -> usize {
        let _ = each;
        todo!()
    }

    pub(crate) async fn readable(&self) {
        std::future::ready(()).await;
        todo!()
    }

    pub(crate) async fn writable(&self) {
        std::future::ready(()).await;
        todo!()
    }

    pub(crate) fn drops(&self) -> u64 {
        todo!()
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        todo!()
    }

    pub(crate) fn local_address(&self) -> Ipv4Addr {
        todo!()
    }
}
