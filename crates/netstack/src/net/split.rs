//! A TCP connection in two halves

use std::{
    error::Error,
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::{Connection, TcpStream};

/// The reading half of a [`TcpStream`] that it borrows
#[derive(Debug)]
pub struct ReadHalf<'a> {
    connection: &'a Connection,
}

/// The writing half of a [`TcpStream`] that it borrows
#[derive(Debug)]
pub struct WriteHalf<'a> {
    connection: &'a Connection,
}

/// The reading half of a [`TcpStream`]
#[derive(Debug)]
pub struct OwnedReadHalf {
    connection: Arc<Connection>,
}

/// The writing half of a [`TcpStream`]; dropping it shuts down that direction
#[derive(Debug)]
pub struct OwnedWriteHalf {
    connection: Arc<Connection>,
    shut_down_on_drop: bool,
}

impl<'a> ReadHalf<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }
}

impl<'a> WriteHalf<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }
}

impl OwnedReadHalf {
    pub(super) const fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// Puts the halves together again, if they are of one connection
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.connection, &other.connection) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        Ok(TcpStream::from_connection(self.connection))
    }
}

impl OwnedWriteHalf {
    pub(super) const fn new(connection: Arc<Connection>) -> Self {
        Self { connection, shut_down_on_drop: true }
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
            let _ = self.connection.shut_down();
        }
    }
}

macro_rules! read_half {
    ($half:ty) => {
        impl $half {
            /// As [`TcpStream::peek`]
            pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.connection.peek(buf).await
            }

            /// As [`TcpStream::readable`]
            pub async fn readable(&self) -> io::Result<()> {
                self.connection.readable().await
            }

            /// As [`TcpStream::try_read`]
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.connection.try_read(buf)
            }

            /// The address and port on this side
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.connection.flow.local.into())
            }

            /// The address and port of the peer
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.connection.flow.peer.into())
            }
        }

        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.connection.poll_read_buf(cx, buf)
            }
        }
    };
}

macro_rules! write_half {
    ($half:ty) => {
        impl $half {
            /// As [`TcpStream::writable`]
            pub async fn writable(&self) -> io::Result<()> {
                self.connection.writable().await
            }

            /// As [`TcpStream::try_write`]
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.connection.try_write(buf)
            }

            /// The address and port on this side
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.connection.flow.local.into())
            }

            /// The address and port of the peer
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.connection.flow.peer.into())
            }
        }

        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.connection.poll_write(cx, &[IoSlice::new(buf)])
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.connection.poll_write(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.connection.shut_down())
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
