//! A socket of one of two kinds

use std::{io, net::Ipv4Addr};

use crate::{DeliveryFailure, GreSocket, ReceiveBatch, SendBatch};

/// Socket of one of two kinds, for an owner that learns only at run time which it is
///
/// A test server, for instance, that runs on real sockets and in memory.
#[derive(Debug)]
pub enum EitherSocket<A, B> {
    /// The first kind
    First(A),
    /// The second kind
    Second(B),
}

impl<A: GreSocket, B: GreSocket> GreSocket for EitherSocket<A, B> {
    fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        match self {
            Self::First(socket) => socket.receive(batch),
            Self::Second(socket) => socket.receive(batch),
        }
    }

    fn send(
        &mut self,
        batch: &mut SendBatch,
        failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool> {
        match self {
            Self::First(socket) => socket.send(batch, failed),
            Self::Second(socket) => socket.send(batch, failed),
        }
    }

    fn take_failures(&mut self, each: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        match self {
            Self::First(socket) => socket.take_failures(each),
            Self::Second(socket) => socket.take_failures(each),
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::First(socket) => socket.readable().await,
            Self::Second(socket) => socket.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::First(socket) => socket.writable().await,
            Self::Second(socket) => socket.writable().await,
        }
    }

    fn pause(&mut self) {
        match self {
            Self::First(socket) => socket.pause(),
            Self::Second(socket) => socket.pause(),
        }
    }

    fn resume(&mut self) -> io::Result<()> {
        match self {
            Self::First(socket) => socket.resume(),
            Self::Second(socket) => socket.resume(),
        }
    }

    fn kernel_drops(&self) -> Option<u64> {
        match self {
            Self::First(socket) => socket.kernel_drops(),
            Self::Second(socket) => socket.kernel_drops(),
        }
    }

    fn receive_buffer(&self) -> usize {
        match self {
            Self::First(socket) => socket.receive_buffer(),
            Self::Second(socket) => socket.receive_buffer(),
        }
    }

    fn local_address(&self) -> Option<Ipv4Addr> {
        match self {
            Self::First(socket) => socket.local_address(),
            Self::Second(socket) => socket.local_address(),
        }
    }
}
