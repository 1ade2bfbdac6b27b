//! A capture of the packets inside a tunnel

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pptp_driver::Session;
use pptp_packet::Wakers;
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    captures::{CaptureOptions, Captures, Tap},
    pcapng::{self, Interface},
};
use crate::{summary::debug_as_summary, tunnel_shared::TunnelShared};

/// The tunnel's IP packets as they pass, decrypted, as a file in pcapng that grows
///
/// Made by [`Tunnel::capture`](crate::Tunnel::capture). Read it by [`AsyncRead`], for instance
/// into a file by `tokio::io::copy`, or whole blocks at a time by [`Capture::next`]. Packets of both
/// ways are in the order in which the tunnel opened and sealed them, with the time, the way (inbound or outbound)
/// and their length. The file ends with the tunnel, or with [`Capture::stop`]; its last block tells
/// how many packets passed, how many of them found no room, and why it ended.
///
/// A capture neither keeps a tunnel up nor slows it down for its reader: packets that are not read in time are dropped
/// from the capture. Dropping it ends it.
///
/// **The packets are in the clear**: whatever a program says in the tunnel without TLS or SSH,
/// passwords included, is in the file.
///
/// ```no_run
/// # async fn example(tunnel: pptp::Tunnel) -> std::io::Result<()> {
/// let mut capture = tunnel.capture();
/// let mut file = tokio::fs::File::create("building-7.pcapng").await?;
/// tokio::io::copy(&mut capture, &mut file).await?; // until the tunnel ends
/// # Ok(())
/// # }
/// ```
pub struct Capture {
    shared: Arc<TunnelShared>,
    id: u64,
    /// Whole blocks, of which `read` octets have been read
    blocks: Vec<u8>,
    read: usize,
    /// The last block is among `blocks`, or was read
    concluded: bool,
}

impl Capture {
    pub(crate) fn start(shared: Arc<TunnelShared>, options: CaptureOptions) -> Self {
        let mut blocks = Vec::new();
        let comment =
            "IP packets of the inside of a PPTP tunnel, decrypted; times are those of the turn";
        pcapng::section(&mut blocks, comment);
        let mut inner = shared.lock();
        let address = inner.negotiated.info().map(|info| info.inner_address);
        let snap_length = options.snap_length_or_all();
        Interface { name: &shared.name, address, snap_length }.write(&mut blocks);
        let id = inner.packet_users.captures_mut().add(options);
        drop(inner);
        Self { shared, id, blocks, read: 0, concluded: false }
    }

    /// Waits for the next blocks: all that have come since the last ones
    ///
    /// `None` behind the last block. Concatenated they are the file.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<&[u8]> {
        if !poll_fn(|cx| self.poll_unread(cx)).await {
            return None;
        }
        let from = std::mem::replace(&mut self.read, self.blocks.len());
        self.blocks.get(from..)
    }

    /// Ends the capture: what has passed until now is left to be read, and then the last block
    pub fn stop(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut wakers = shared.driver().wakers();
        self.conclude(shared.lock().packet_users.captures_mut(), "stopped", &mut wakers);
    }

    /// Packets that found no room so far
    pub fn dropped(&self) -> u64 {
        let inner = self.shared.lock();
        inner.packet_users.captures().tap(self.id).map_or(0, Tap::dropped)
    }

    /// Waits for something to read; false at the end
    fn poll_unread(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if self.read < self.blocks.len() {
            return Poll::Ready(true);
        }
        if self.concluded {
            return Poll::Ready(false);
        }
        let shared = Arc::clone(&self.shared);
        let mut wakers = shared.driver().wakers();
        let mut inner = shared.lock();
        let ended = inner.ending.error().map(ToString::to_string);
        let captures = inner.packet_users.captures_mut();
        let Some(tap) = captures.tap_mut(self.id) else { return Poll::Ready(false) };
        self.read = 0;
        tap.exchange(&mut self.blocks);
        if let Some(reason) = ended {
            self.conclude(captures, &format!("the tunnel ended: {reason}"), &mut wakers);
        } else if self.blocks.is_empty() {
            tap.wait(cx.waker(), &mut wakers);
            return Poll::Pending;
        }
        Poll::Ready(true)
    }

    /// Takes what is left, and writes the last block
    fn conclude(&mut self, captures: &mut Captures, comment: &str, wakers: &mut Wakers) {
        let Some(tap) = captures.remove(self.id) else { return };
        tap.conclude(comment, &mut self.blocks, wakers);
        self.concluded = true;
    }
}

/// # Cancel safety
/// Nothing is lost.
impl AsyncRead for Capture {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.poll_unread(cx)) {
            let unread = &self.blocks[self.read..];
            let taken = unread.len().min(buffer.remaining());
            buffer.put_slice(&unread[..taken]);
            self.read += taken;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let mut wakers = self.shared.driver().wakers();
        let mut inner = self.shared.lock();
        if let Some(tap) = inner.packet_users.captures_mut().remove(self.id) {
            tap.forget(&mut wakers);
        }
    }
}

debug_as_summary! {
    Capture: self => &self.shared;
}
