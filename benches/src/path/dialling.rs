//! A tunnel that is not up yet, and what its peer does for it

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Instant,
};

use pptp_netstack::TcpOptions;
use pptp_tunnel::{
    Config, ConnectTimeline, ControlServerConfig, GreBehavior, LinkServerConfig, Password,
    ServerConfig, Tunnel,
};

use super::{
    client::{Client, Socket, complete},
    host::Host,
    queues::Slots,
    road::{Road, TURN},
};

/// A tunnel that is not up yet
pub(super) struct Dialling {
    pub(super) client: Client,
    pub(super) server: Box<Tunnel>,
    pub(super) host: Host,
}

impl Dialling {
    pub(super) fn new(road: &Road) -> Self {
        let server = Tunnel::accept(server_config(), SERVER_CALL, [2; 32], road.now);
        let mut config = Config::new(USER, Password::new(PASSWORD));
        config.link.proof.is_enabled = false; // this host answers no ping, and is asked again for 3 s
        let timeline = ConnectTimeline::new(road.now);
        let client = Tunnel::connect(config, CLIENT_CALL, [1; 32], timeline, road.now);
        let host = Host::new(SocketAddrV4::new(HOST, 80));
        Self { client: Client::new(client), server: Box::new(server), host }
    }

    pub(super) fn connect(&mut self, road: &mut Road, buffer: usize) -> Socket {
        let options =
            TcpOptions::default().receive_buffer(buffer).send_buffer(buffer).nodelay(true);
        let connect = self.client.connect(SocketAddrV4::new(HOST, 80), options);
        let stream = complete(connect, || self.turn(road));
        self.turn(road);
        Socket::new(stream.expect("the host answers"))
    }

    pub(super) fn come_up(&mut self, road: &mut Road) {
        for _ in 0..100 {
            self.turn(road);
            if self.client.is_up() {
                return;
            }
        }
        panic!("not up after 100 turns");
    }

    /// A turn of either end, and of the host
    fn turn(&mut self, road: &mut Road) {
        let Self { client, server, host } = self;
        let Road { received, sent, now, packet, .. } = road;
        *now += TURN;
        client.inputs(*now, received.datagrams(), sent);
        client.outputs(*now, sent);
        received.clear();
        server.handle_timeout(*now);
        let mut syn = false;
        sent.drain(|_, datagram| {
            if let Some(packet) = server.handle_gre(*now, datagram) {
                syn |= host.handle(packet);
            }
        });
        while server.poll_event().is_some() {}
        server.poll_frames(*now, received);
        if syn {
            host.syn_ack(packet);
            seal(server, *now, received, packet);
        }
        server.poll_gre(*now, received);
        exchange_control(client, server, *now);
    }
}

/// Hands over what the control connections have to say, echoes among it
pub(super) fn exchange_control(client: &Client, server: &mut Tunnel, now: Instant) {
    let mut control = client.exchange_control(now, &[]);
    if !control.is_empty() {
        server.handle_control(now, &control);
        control.clear();
    }
    if server.poll_control(now, &mut control) {
        client.exchange_control(now, &control);
    }
}

/// Seals a packet of the peer's, as a datagram that came for the client
pub(super) fn seal(server: &mut Tunnel, now: Instant, received: &mut Slots, packet: &[u8]) {
    let slot = received.take(packet.len());
    slot.as_mut_slice().copy_from_slice(packet);
    server.seal(now, slot);
}

/// The peer of the bench's tunnels
pub(crate) fn server_config() -> ServerConfig {
    let mut link = LinkServerConfig::new(HOST, Ipv4Addr::new(192, 168, 1, 200));
    link.secrets = vec![(USER.to_owned(), Password::new(PASSWORD))];
    // more than a round sends before it is acknowledged
    let control = ControlServerConfig { receive_window: Some(1024), ..Default::default() };
    ServerConfig { control, link, gre: GreBehavior::default() }
}

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const CLIENT_CALL: u16 = 1;
const SERVER_CALL: u16 = 2;
