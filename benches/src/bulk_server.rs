//! A server in the network in memory that allocates nothing once a transfer runs

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    time::Instant,
};

use pptp_gre_socket::{GreSocket, Outgoing, ReceiveBatch, SendBatch};
use pptp_memory_net::Host as NetworkHost;
use pptp_packet::Egress;
use pptp_tunnel::Tunnel;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    select,
};

use crate::path::{FULL, HEADERS, HOST, Host, SEGMENTS_ACKNOWLEDGED, server_config};

/// Serves one client with one TCP connection, over which it sends and takes as much as goes
pub(crate) async fn serve(on: NetworkHost) -> io::Result<()> {
    let listener = on.listen_tcp(1723)?;
    let mut gre = on.open_gre();
    let (mut control, client) = listener.accept().await?;
    let mut server = Server::new(*client.ip());
    let (mut receive, mut octets, mut answer) = (ReceiveBatch::new(), [0; 2048], Vec::new());
    loop {
        select! {
            read = control.read(&mut octets) => match read? {
                0 => return Ok(()),
                count => server.machine.handle_control(now(), &octets[..count]),
            },
            readable = gre.readable() => {
                readable?;
                gre.receive(&mut receive)?;
                server.receive(&mut receive);
            }
        }
        server.turn();
        gre.send(&mut server.out.send, |_, error| panic!("{error}"))?;
        answer.clear();
        if server.machine.poll_control(now(), &mut answer) {
            control.write_all(&answer).await?;
        }
        tokio::task::yield_now().await;
    }
}

struct Server {
    machine: Tunnel,
    host: Host,
    /// The client's SYN has come and waits for its answer, or is answered
    syn: Syn,
    out: Out,
    packet: Vec<u8>,
    data: [u8; FULL - HEADERS],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Syn {
    Awaited,
    Unanswered,
    Answered,
}

impl Server {
    fn new(client: Ipv4Addr) -> Self {
        Self {
            machine: Tunnel::accept(server_config(), CALL, [2; 32], now()),
            host: Host::new(SocketAddrV4::new(HOST, 80)),
            syn: Syn::Awaited,
            out: Out { send: SendBatch::new(SLOTS), client },
            packet: Vec::new(),
            data: [0x5A; FULL - HEADERS],
        }
    }

    fn receive(&mut self, batch: &mut ReceiveBatch) {
        for datagram in batch.datagrams() {
            if let Some(packet) = self.machine.handle_gre(now(), datagram.gre)
                && self.host.handle(packet)
            {
                self.syn = Syn::Unanswered;
            }
        }
    }

    fn turn(&mut self) {
        self.machine.handle_timeout(now());
        while self.machine.poll_event().is_some() {}
        self.machine.poll_frames(now(), &mut self.out);
        match self.syn {
            Syn::Awaited => {}
            Syn::Unanswered => {
                self.host.syn_ack(&mut self.packet);
                self.seal();
                self.syn = Syn::Answered;
            }
            Syn::Answered => self.transfer(),
        }
        self.machine.poll_gre(now(), &mut self.out);
    }

    fn transfer(&mut self) {
        let step = SEGMENTS_ACKNOWLEDGED * self.data.len();
        while self.out.has_room() && self.host.acknowledge(&mut self.packet, step) {
            self.seal();
        }
        while self.out.has_room() && self.host.may_send(self.data.len()) {
            self.host.segment(&mut self.packet, &self.data);
            self.seal();
        }
    }

    fn seal(&mut self) {
        let Some(mut slot) = self.out.send.take_slot() else { return };
        slot.reset(self.packet.len()).copy_from_slice(&self.packet);
        self.machine.seal(now(), &mut slot);
        self.out.push(slot);
    }
}

/// The way back to the client
struct Out {
    send: SendBatch,
    client: Ipv4Addr,
}

impl Out {
    fn push(&mut self, packet: pptp_packet::PacketBuf) {
        self.send.push(Outgoing { packet, destination: self.client, source: None, tag: 0 });
    }
}

impl Egress for Out {
    fn has_room(&self) -> bool {
        self.send.has_room()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut packet = self.send.take_slot().expect("asked for room first");
        let filled = fill(packet.reset(len));
        self.push(packet);
        filled
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

const CALL: u16 = 7;
const SLOTS: usize = 64;
