//! The receiving calls of UDP sockets

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use bytes::BufMut;
use tokio::io::ReadBuf;

use super::UdpSocket;
use crate::{
    Stack,
    net::wait::{self, Wait},
    shared::copy,
    stack::Waiting,
};

impl UdpSocket {
    /// Receives a datagram from the peer; octets that do not fit `buf` are lost
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buf).await?.0)
    }

    /// The poll form of [`UdpSocket::recv`]
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_recv_from(cx, buf).map_ok(drop)
    }

    /// The form of [`UdpSocket::recv`] that does not wait
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buf)?.0)
    }

    /// Receives as [`UdpSocket::recv`] does, and appends to the buffer
    pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.recv_buf_from(buf).await?.0)
    }

    /// The form of [`UdpSocket::recv_buf`] that does not wait
    pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.try_recv_buf_from(buf)?.0)
    }

    /// Receives a datagram and returns its sender; octets that do not fit `buf` are lost
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(false, |payload| copy(payload, buf)).await
    }

    /// The poll form of [`UdpSocket::recv_from`]
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll_receive(cx, buf, false)
    }

    /// The form of [`UdpSocket::recv_from`] that does not wait
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_receive(false, |payload| copy(payload, buf))
    }

    /// Receives as [`UdpSocket::recv_from`] does, and appends to the buffer
    pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        self.receive(false, |payload| put(payload, buf)).await
    }

    /// The form of [`UdpSocket::recv_buf_from`] that does not wait
    pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        self.try_receive(false, |payload| put(payload, buf))
    }

    /// Receives as [`UdpSocket::recv`] does, and leaves the datagram in its place
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buf).await?.0)
    }

    /// The poll form of [`UdpSocket::peek`]
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_peek_from(cx, buf).map_ok(drop)
    }

    /// The form of [`UdpSocket::peek`] that does not wait
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_peek_from(buf)?.0)
    }

    /// Receives as [`UdpSocket::recv_from`] does, and leaves the datagram in its place
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(true, |payload| copy(payload, buf)).await
    }

    /// The poll form of [`UdpSocket::peek_from`]
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll_receive(cx, buf, true)
    }

    /// The form of [`UdpSocket::peek_from`] that does not wait
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_receive(true, |payload| copy(payload, buf))
    }

    /// Waits for a datagram and returns its sender; the datagram stays in its place
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.peek_from(&mut []).await?.1)
    }

    /// The poll form of [`UdpSocket::peek_sender`]
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_peek_from(cx, &mut ReadBuf::new(&mut []))
    }

    /// The form of [`UdpSocket::peek_sender`] that does not wait
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_peek_from(&mut [])?.1)
    }

    async fn receive(
        &self,
        peek: bool,
        mut read: impl FnMut(&[u8]) -> usize + Unpin,
    ) -> io::Result<(usize, SocketAddr)> {
        let id = self.id;
        let receive = |stack: &mut Stack| stack.udp()?.recv(id, peek, &mut read);
        let (count, source) = Wait::new(&self.net, Waiting::UdpRead(id), receive).await?;
        Ok((count, source.into()))
    }

    fn poll_receive(
        &self,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
        peek: bool,
    ) -> Poll<io::Result<SocketAddr>> {
        let waiting = Waiting::UdpRead(self.id);
        let received = wait::poll(&self.net, waiting, cx, |stack| {
            stack.udp()?.recv(self.id, peek, |payload| put(payload, buf))
        });
        received.map_ok(|(_, source)| source.into())
    }

    fn try_receive(
        &self,
        peek: bool,
        read: impl FnOnce(&[u8]) -> usize,
    ) -> io::Result<(usize, SocketAddr)> {
        let received = wait::attempt(&self.net, |stack| stack.udp()?.recv(self.id, peek, read));
        received.map(|(count, source)| (count, source.into()))
    }
}

/// Appends as much as fits to a buffer; returns the number of octets
fn put(payload: &[u8], buf: &mut impl BufMut) -> usize {
    let count = payload.len().min(buf.chunk_mut().len());
    buf.put_slice(payload.get(..count).unwrap_or_default());
    count
}
