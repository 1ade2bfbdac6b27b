//! A TCP connection in two halves

use std::{
    error::Error,
    fmt,
    io::{self, IoSlice, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use super::stream::TcpStream;

/// The reading half of a [`TcpStream`] that it borrows
#[derive(Debug)]
pub struct ReadHalf<'a> {
    stream: &'a TcpStream,
}

/// The writing half of a [`TcpStream`] that it borrows
#[derive(Debug)]
pub struct WriteHalf<'a> {
    stream: &'a TcpStream,
}

/// The reading half of a [`TcpStream`]
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: TcpStream,
}

/// The writing half of a [`TcpStream`]; dropping it shuts down that direction
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: TcpStream,
    shut_down_on_drop: bool,
}

impl<'a> ReadHalf<'a> {
    pub(super) const fn new(stream: &'a TcpStream) -> Self {
        Self { stream }
    }
}

impl<'a> WriteHalf<'a> {
    pub(super) const fn new(stream: &'a TcpStream) -> Self {
        Self { stream }
    }
}

impl OwnedReadHalf {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream }
    }

    /// Puts the halves together again, if they are of one connection
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !self.stream.is_same(&other.stream) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        Ok(self.stream)
    }
}

impl OwnedWriteHalf {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, shut_down_on_drop: true }
    }

    /// Puts the halves together again, if they are of one connection
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        other.reunite(self)
    }

    /// Drops the half without shutting down its direction
    pub fn forget(mut self) {
        self.shut_down_on_drop = false;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shut_down_on_drop {
            // fails only if the stack has been shut down
            let _ = self.stream.shut_down();
        }
    }
}

macro_rules! half {
    ($half:ty) => {
        impl $half {
            /// Calls [`TcpStream::ready`]
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.stream.ready(interest).await
            }

            /// The address and port on this side
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.stream.local_addr()
            }

            /// The address and port of the peer
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.stream.peer_addr()
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                &self.stream
            }
        }
    };
}

macro_rules! read_half {
    ($half:ty) => {
        half!($half);

        impl $half {
            /// Calls [`TcpStream::peek`]
            pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream.peek(buf).await
            }

            /// Calls [`TcpStream::poll_peek`]
            pub fn poll_peek(
                &self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_peek(cx, buf)
            }

            /// Calls [`TcpStream::readable`]
            pub async fn readable(&self) -> io::Result<()> {
                self.stream.readable().await
            }

            /// Calls [`TcpStream::try_read`]
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream.try_read(buf)
            }

            /// Calls [`TcpStream::try_read_vectored`]
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream.try_read_vectored(bufs)
            }

            /// Calls [`TcpStream::try_read_buf`]
            pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.stream.try_read_buf(buf)
            }
        }

        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.stream.poll_read_shared(cx, buf)
            }
        }
    };
}

macro_rules! write_half {
    ($half:ty) => {
        half!($half);

        impl $half {
            /// Calls [`TcpStream::writable`]
            pub async fn writable(&self) -> io::Result<()> {
                self.stream.writable().await
            }

            /// Calls [`TcpStream::try_write`]
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream.try_write(buf)
            }

            /// Calls [`TcpStream::try_write_vectored`]
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream.try_write_vectored(bufs)
            }
        }

        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_write_shared(cx, &[IoSlice::new(buf)])
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_write_shared(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.stream.shut_down())
            }
        }
    };
}

read_half!(ReadHalf<'_>);
read_half!(OwnedReadHalf);
write_half!(WriteHalf<'_>);
write_half!(OwnedWriteHalf);

/// The two halves were not of one connection; here they are again
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried to reunite halves of different connections")
    }
}

impl Error for ReuniteError {}
