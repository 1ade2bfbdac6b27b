//! The state machine of one TCP connection

use pptp_packet::Egress;
use smoltcp::{
    iface::{PollResult, SocketHandle, SocketSet},
    socket::tcp::{CongestionControl as Controller, Socket, SocketBuffer},
    time::Duration,
};

use super::{Engine, State, from_smoltcp, ip_endpoint, port::Port, to_smoltcp};
use crate::{CongestionControl, SocketError, ip::Endpoint, shared::time::Time};

/// The state machine of one TCP connection, with its buffers
///
/// smoltcp's socket is alone in its set. So a segment is given to its own socket without asking the
/// others, a turn touches only sockets with something to do, and the order in which packets leave is
/// decided by [`Stack`](crate::Stack), not by the order of the set.
pub(crate) struct TcpEngine {
    set: SocketSet<'static>,
}

impl TcpEngine {
    /// A closed connection with buffers of so many octets
    pub(crate) fn new(receive: usize, send: usize, congestion_control: CongestionControl) -> Self {
        let buffer = |len: usize| SocketBuffer::new(vec![0; len]);
        let mut socket = Socket::new(buffer(receive), buffer(send));
        socket.set_congestion_control(match congestion_control {
            CongestionControl::None | CongestionControl::Westwood => Controller::None,
            CongestionControl::Reno => Controller::Reno,
            CongestionControl::Cubic => Controller::Cubic,
        });
        let mut set = SocketSet::new(Vec::with_capacity(1));
        set.add(socket);
        Self { set }
    }

    /// Starts the handshake; `engine` is one whose next initial sequence number is the wanted one
    pub(crate) fn connect(
        &mut self,
        engine: &mut Engine,
        local: Endpoint,
        peer: Endpoint,
    ) -> Result<(), SocketError> {
        let context = engine.interface.context();
        let (Some(peer), Some(local)) = (ip_endpoint(peer), ip_endpoint(local)) else {
            return Err(SocketError::Ipv6);
        };
        let started = self.socket_mut().connect(context, peer, local);
        started.map_err(|_| SocketError::InvalidDestination)
    }

    /// Waits for a SYN to this address and port
    pub(crate) fn listen(&mut self, local: Endpoint) {
        if let Some(local) = ip_endpoint(local) {
            // fails for an open socket and for port 0 only
            let _ = self.socket_mut().listen(local);
        }
    }

    pub(crate) fn state(&self) -> State {
        self.socket().state().into()
    }

    /// Returns true if a reset is still to leave for a connection that has ended
    pub(crate) fn has_peer(&self) -> bool {
        self.socket().remote_endpoint().is_some()
    }

    pub(crate) fn may_recv(&self) -> bool {
        self.socket().may_recv()
    }

    pub(crate) fn can_recv(&self) -> bool {
        self.socket().can_recv()
    }

    pub(crate) fn may_send(&self) -> bool {
        self.socket().may_send()
    }

    pub(crate) fn can_send(&self) -> bool {
        self.socket().can_send()
    }

    /// Octets that were received and not read
    pub(crate) fn recv_queue(&self) -> usize {
        self.socket().recv_queue()
    }

    pub(crate) fn recv_capacity(&self) -> usize {
        self.socket().recv_capacity()
    }

    /// Octets that were written and not acknowledged
    pub(crate) fn send_queue(&self) -> usize {
        self.socket().send_queue()
    }

    pub(crate) fn send_capacity(&self) -> usize {
        self.socket().send_capacity()
    }

    /// Reads octets; returns how many
    pub(crate) fn recv(&mut self, into: &mut [u8]) -> usize {
        self.socket_mut().recv_slice(into).unwrap_or(0)
    }

    /// Copies octets that stay unread; returns how many
    pub(crate) fn peek(&mut self, into: &mut [u8]) -> usize {
        self.socket_mut().peek_slice(into).unwrap_or(0)
    }

    /// Drops the octets that were received and not read; returns how many there were
    pub(crate) fn discard_received(&mut self) -> usize {
        let socket = self.socket_mut();
        let discarded = socket.recv_queue();
        while socket.recv(|octets| (octets.len(), octets.len())).is_ok_and(|read| read > 0) {}
        discarded
    }

    /// Writes octets; returns how many there was room for
    pub(crate) fn send(&mut self, octets: &[u8]) -> usize {
        self.socket_mut().send_slice(octets).unwrap_or(0)
    }

    /// Sends a FIN behind the octets that were written
    pub(crate) fn close(&mut self) {
        self.socket_mut().close();
    }

    /// Ends the connection with a reset
    pub(crate) fn abort(&mut self) {
        self.socket_mut().abort();
    }

    pub(crate) fn nodelay(&self) -> bool {
        !self.socket().nagle_enabled()
    }

    pub(crate) fn set_nodelay(&mut self, nodelay: bool) {
        self.socket_mut().set_nagle_enabled(!nodelay);
    }

    /// The time after which an idle connection is probed
    pub(crate) fn keepalive(&self) -> Option<Time> {
        self.socket().keep_alive().map(|every| every.total_micros())
    }

    pub(crate) fn set_keepalive(&mut self, every: Option<Time>) {
        self.socket_mut().set_keep_alive(every.map(Duration::from_micros));
    }

    /// The time to live of its packets, if one was set
    pub(crate) fn hop_limit(&self) -> Option<u8> {
        self.socket().hop_limit()
    }

    pub(crate) fn set_hop_limit(&mut self, hop_limit: u8) {
        self.socket_mut().set_hop_limit(Some(hop_limit));
    }

    fn socket(&self) -> &Socket<'static> {
        self.set.get(alone())
    }

    fn socket_mut(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(alone())
    }
}

impl Engine {
    /// Lets a connection process one segment; an answer that it draws goes to `out`
    pub(crate) fn tcp_ingress(
        &mut self,
        connection: &mut TcpEngine,
        packet: &[u8],
        now: Time,
        sent: &mut u64,
        out: &mut impl Egress,
    ) {
        let mut port = Port { packet: Some(packet), out, sent, mtu: self.mtu };
        self.interface.poll_ingress_single(to_smoltcp(now), &mut port, &mut connection.set);
    }

    /// Lets a connection send one segment; false if it had none to send
    pub(crate) fn tcp_egress(
        &mut self,
        connection: &mut TcpEngine,
        now: Time,
        sent: &mut u64,
        out: &mut impl Egress,
    ) -> bool {
        let mut port = Port { packet: None, out, sent, mtu: self.mtu };
        let result = self.interface.poll_egress(to_smoltcp(now), &mut port, &mut connection.set);
        result == PollResult::SocketStateChanged
    }

    /// The time at which a connection wants its next turn
    pub(crate) fn tcp_deadline(&mut self, connection: &TcpEngine, now: Time) -> Time {
        from_smoltcp(self.interface.poll_at(to_smoltcp(now), &connection.set))
    }
}

/// The only socket of its set
fn alone() -> SocketHandle {
    SocketHandle::default()
}
