//! tokio sockets (interface first, bodies to come)
#![allow(missing_docs, unused_variables, clippy::todo, clippy::unused_async, clippy::missing_const_for_fn, clippy::needless_pass_by_value, clippy::unused_self, dead_code)]

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Stack, TcpOptions, UdpOptions};

/// Whoever keeps the stack under its lock
pub trait Owner: Send + Sync + 'static {
    /// Locks, calls `f` once, unlocks, then wakes what `drain_wakers` gave, and schedules a turn if `take_ready`
    fn with_stack(&self, f: &mut dyn FnMut(&mut Stack));
}

#[derive(Clone)]
pub struct Net(Arc<dyn Owner>);

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

impl Net {
    pub fn new(owner: Arc<dyn Owner>) -> Self {
        Self(owner)
    }
    pub async fn tcp_connect(&self, addr: SocketAddr, options: TcpOptions) -> io::Result<TcpStream> {
        todo!()
    }
    pub fn tcp_listen(&self, addr: SocketAddr, backlog: usize, options: TcpOptions) -> io::Result<TcpListener> {
        todo!()
    }
    pub fn udp_bind(&self, addr: SocketAddr, options: UdpOptions) -> io::Result<UdpSocket> {
        todo!()
    }
    pub async fn ping(&self, addr: Ipv4Addr, timeout: Duration) -> io::Result<Duration> {
        todo!()
    }
    pub async fn lookup_host(&self, name: &str) -> io::Result<Vec<Ipv4Addr>> {
        todo!()
    }
    pub async fn lookup_txt(&self, name: &str) -> io::Result<Vec<String>> {
        todo!()
    }
}

macro_rules! reader {
    ($($t:ty),*) => {$(
        impl AsyncRead for $t {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                todo!()
            }
        }
    )*};
}
macro_rules! writer {
    ($($t:ty),*) => {$(
        impl AsyncWrite for $t {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                todo!()
            }
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                todo!()
            }
            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                todo!()
            }
        }
    )*};
}
reader!(TcpStream, OwnedReadHalf, ReadHalf<'_>);
writer!(TcpStream, OwnedWriteHalf, WriteHalf<'_>);

#[derive(Debug)]
pub struct TcpStream(Net);
#[derive(Debug)]
pub struct OwnedReadHalf(Net);
#[derive(Debug)]
pub struct OwnedWriteHalf(Net);
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl TcpStream {
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        todo!()
    }
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        todo!()
    }
    pub fn nodelay(&self) -> io::Result<bool> {
        todo!()
    }
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        todo!()
    }
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        todo!()
    }
    pub fn set_keepalive(&self, keepalive: Option<Duration>) -> io::Result<()> {
        todo!()
    }
    pub fn set_linger(&self, linger: Duration) -> io::Result<()> {
        todo!()
    }
    pub fn abort(self) {
        todo!()
    }
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        todo!()
    }
    pub async fn readable(&self) -> io::Result<()> {
        todo!()
    }
    pub async fn writable(&self) -> io::Result<()> {
        todo!()
    }
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        todo!()
    }
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        todo!()
    }
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        todo!()
    }
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        todo!()
    }
}

#[derive(Debug)]
pub struct TcpListener(Net);

impl TcpListener {
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        todo!()
    }
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        todo!()
    }
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        todo!()
    }
}

#[derive(Debug)]
pub struct UdpSocket(Net);

impl UdpSocket {
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        todo!()
    }
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        todo!()
    }
    /// Unlike tokio's it needs no name resolution, so it is not async
    pub fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        todo!()
    }
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        todo!()
    }
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        todo!()
    }
    pub async fn send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        todo!()
    }
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        todo!()
    }
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        todo!()
    }
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        todo!()
    }
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        todo!()
    }
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        todo!()
    }
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        todo!()
    }
}
