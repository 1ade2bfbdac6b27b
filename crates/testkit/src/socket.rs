//! The GRE socket of a server, with the faults that a server's GRE may have

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use pptp_gre_socket::{
    DeliveryFailure, EitherSocket, GreSocket, Outgoing, RawSocket, ReceiveBatch, SendBatch,
};
use pptp_memory_net::MemorySocket;

use crate::{
    clients::Clients,
    options::{Closes, Options},
};

/// The GRE socket of a server: the kernel's, or one in memory
pub(crate) type BareSocket = EitherSocket<RawSocket, MemorySocket>;

/// A server's GRE socket, which drops, repeats or changes datagrams if it is asked to
#[derive(Debug)]
pub(crate) struct ServerSocket {
    socket: BareSocket,
    state: Arc<SocketState>,
    /// True if each datagram is sent twice
    twice: bool,
    /// True if each datagram carries a checksum
    sums: bool,
    /// The first datagram that waits, as it is going to be sent
    copies: SendBatch,
}

/// The state that a server shares with its socket
#[derive(Default)]
pub(crate) struct SocketState {
    /// True if no GRE is sent
    is_mute: AtomicBool,
    /// The clients, to tell whose datagrams come; set before the driver runs
    clients: OnceLock<Weak<Clients>>,
}

impl std::fmt::Debug for SocketState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketState").field("is_mute", &self.is_mute).finish_non_exhaustive()
    }
}

impl SocketState {
    pub(crate) fn set_mute(&self, mute: bool) {
        self.is_mute.store(mute, Ordering::Release);
    }

    pub(crate) fn set_clients(&self, clients: Weak<Clients>) {
        // it is set once
        let _ = self.clients.set(clients);
    }

    /// Counts the datagrams that are for no client, or not from the client of the call
    fn count_unknown(&self, batch: &mut ReceiveBatch) {
        let Some(clients) = self.clients.get().and_then(Weak::upgrade) else { return };
        let calls = clients.driver().calls();
        let is_unknown = |datagram: &pptp_gre_socket::Datagram<'_>| {
            let call_id = pptp_gre::call_id(datagram.gre).unwrap_or_default();
            calls.get(call_id, datagram.source).is_none()
        };
        let unknown = batch.datagrams().filter(is_unknown).count();
        drop(calls);
        if unknown > 0 {
            clients.count(|stats| {
                stats.unknown_call = stats.unknown_call.saturating_add(unknown as u64);
            });
        }
    }
}

impl ServerSocket {
    pub(crate) fn new(socket: BareSocket, state: Arc<SocketState>, options: &Options) -> Self {
        // a server that closes the connection behind its reply has no pppd that could send GRE
        state.set_mute(options.mute_gre || options.closes == Some(Closes::BehindCallReply));
        Self {
            socket,
            state,
            twice: options.says_twice,
            sums: options.gre_checksums,
            copies: SendBatch::new(2),
        }
    }

    /// Makes of the first datagram of a batch what is sent in its place
    fn copy(&mut self, next: &Outgoing) {
        let octets = next.packet.as_slice();
        let octets = if self.sums { with_checksum(octets) } else { octets.to_vec() };
        for _ in 0..=usize::from(self.twice) {
            let Some(mut packet) = self.copies.take_slot() else { return };
            packet.reset(octets.len()).copy_from_slice(&octets);
            let Outgoing { destination, source, tag, .. } = *next;
            self.copies.push(Outgoing { packet, destination, source, tag });
        }
    }
}

impl GreSocket for ServerSocket {
    fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let count = self.socket.receive(batch)?;
        if count > 0 {
            self.state.count_unknown(batch);
        }
        Ok(count)
    }

    fn send(
        &mut self,
        batch: &mut SendBatch,
        mut failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool> {
        if self.state.is_mute.load(Ordering::Acquire) {
            batch.remove(batch.len());
            return Ok(true);
        }
        if !self.twice && !self.sums {
            return self.socket.send(batch, failed);
        }
        while let Some(next) = batch.next() {
            if self.copies.is_empty() {
                self.copy(next);
            }
            if !self.socket.send(&mut self.copies, &mut failed)? {
                return Ok(false);
            }
            batch.remove(1);
        }
        Ok(true)
    }

    fn take_failures(&mut self, each: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        self.socket.take_failures(each)
    }

    async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    fn pause(&mut self) {
        self.socket.pause();
    }

    fn resume(&mut self) -> io::Result<()> {
        self.socket.resume()
    }

    fn kernel_drops(&self) -> Option<u64> {
        self.socket.kernel_drops()
    }

    fn receive_buffer(&self) -> usize {
        self.socket.receive_buffer()
    }

    fn local_address(&self) -> Option<Ipv4Addr> {
        self.socket.local_address()
    }
}

/// A GRE datagram with a checksum as RFC 1701 has it: bit C, and two more fields before the key
fn with_checksum(gre: &[u8]) -> Vec<u8> {
    let (begin, rest) = gre.split_at_checked(4).unwrap_or((gre, &[]));
    let mut summed = [begin, &[0; 4], rest].concat();
    if let Some(first) = summed.first_mut() {
        *first |= 0x80;
    }
    let words = summed.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let sum = words.fold(0_u32, u32::wrapping_add);
    let folded = [(); 2].iter().fold(sum, |sum, ()| (sum & 0xFFFF).wrapping_add(sum >> 16));
    let [.., high, low] = (!folded).to_be_bytes();
    if let Some(field) = summed.get_mut(4..6) {
        field.copy_from_slice(&[high, low]);
    }
    summed
}
