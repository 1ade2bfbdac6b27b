//! A tunnel that is up with a connection through it, and its peer

use std::time::Instant;

use pptp_packet::PacketBuf;
use pptp_tunnel::Tunnel;

use super::{
    client::{Client, Socket},
    dialling::{Dialling, exchange_control, seal},
    host::{HEADERS, Host},
    queues::SendQueue,
    road::Road,
    sizes::{Direction, PACKETS, SEGMENTS_ACKNOWLEDGED},
};

/// A tunnel with a TCP connection through it, and the peer of both
#[derive(Debug)]
pub struct Path {
    client: Client,
    socket: Socket,
    _idle: Vec<Socket>,
    server: Box<Tunnel>,
    host: Host,
    /// Octets of data in a segment
    segment: usize,
}

impl Path {
    /// Dials, and connects a socket with buffers of that many octets
    ///
    /// Needs a tokio runtime around it.
    pub fn new(road: &mut Road, buffer: usize) -> Self {
        Self::with_idle_sockets(road, buffer, 0)
    }

    /// The same, and before it connects sockets that stay idle
    pub fn with_idle_sockets(road: &mut Road, buffer: usize, count: usize) -> Self {
        let mut dialling = Dialling::new(road);
        dialling.come_up(road);
        let idle = (0..count).map(|_| dialling.connect(road, IDLE_BUFFER)).collect();
        let socket = dialling.connect(road, buffer);
        let Dialling { client, server, host } = dialling;
        let segment = client.mtu() - HEADERS;
        Self { client, socket, _idle: idle, server, host, segment }
    }

    /// Composes and seals a batch of the peer's: segments, or acknowledgments of segments
    pub(super) fn prepare(&mut self, road: &mut Road, direction: Direction) {
        let Road { received, packet, octets, now, .. } = road;
        match direction {
            Direction::Download => {
                for _ in 0..PACKETS {
                    self.host.segment(packet, &octets[..self.segment]);
                    seal(&mut self.server, *now, received, packet);
                }
            }
            Direction::Upload => {
                let step = SEGMENTS_ACKNOWLEDGED * self.segment;
                for _ in 0..PACKETS / SEGMENTS_ACKNOWLEDGED {
                    if self.host.acknowledge(packet, step) {
                        seal(&mut self.server, *now, received, packet);
                    }
                }
            }
        }
    }

    /// Does the work of the socket's task when it is woken
    pub(super) fn use_socket(&mut self, octets: &mut [u8], direction: Direction) {
        match direction {
            Direction::Download => {
                let read = self.socket.read(octets);
                assert_eq!(read, PACKETS * self.segment, "all was read");
            }
            Direction::Upload => _ = self.socket.write(octets),
        }
    }

    /// The peer takes a datagram
    pub(super) fn deliver(&mut self, now: Instant, datagram: &mut [u8]) {
        if let Some(packet) = self.server.handle_gre(now, datagram) {
            self.host.handle(packet);
        }
    }

    /// The client takes the datagrams of a turn
    pub(super) fn inputs(
        &mut self,
        now: Instant,
        datagrams: &mut [PacketBuf],
        sent: &mut SendQueue,
    ) {
        self.client.inputs(now, datagrams, sent);
    }

    /// The client sends what the turn left it with
    pub(super) fn outputs(&mut self, now: Instant, sent: &mut SendQueue) {
        self.client.outputs(now, sent);
    }

    /// Both ends say on the control connection what they have to say
    pub(super) fn exchange_control(&mut self, now: Instant) {
        exchange_control(&self.client, &mut self.server, now);
    }
}

/// Size of the buffers of a socket without traffic, in octets
const IDLE_BUFFER: usize = 4 << 10;
