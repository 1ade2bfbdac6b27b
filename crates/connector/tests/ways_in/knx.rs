//! KNX forwards: gateways of every kind, ETS's ports, clients that vanish, tunnels that are lost

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use pptp_connector::{
    settings::{Clients, ForwardSettings, Protocol},
    way_in::{Datagrams, MemoryDatagrams},
};
use pptp_fleet::Connect;
use pptp_knxnetip::{Frame, Hpai, Message, Service, description_request, relay::Endpoint};
use pptp_testkit::{KnxEndpoints, KnxGateway, Server};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep, timeout},
};

use crate::world::{World, local, log_lines, name, outer, soon};

const PORT: u16 = 3671;

/// A building whose gateway has its ways, and a KNX forward to it
async fn with(gateway: KnxGateway, protocol: Protocol) -> (World, Server) {
    let mut world = World::new();
    let server = serve(&world, 1, gateway);
    world.add(1);
    world.forward(1, local(PORT), "192.168.1.3:3671", protocol);
    world.apply().await;
    world.until("b1", "up").await;
    (world, server)
}

fn serve(world: &World, building: u8, gateway: KnxGateway) -> Server {
    let server = Server::builder(building.into()).knx(gateway);
    server.serve_memory(&world.network, outer(building)).unwrap()
}

fn first_forward(world: &mut World) -> &mut ForwardSettings {
    &mut world.settings.sites.get_mut(&name(1)).unwrap().forwards[0]
}

/// A program that speaks KNXnet/IP, at a control port and a data port of this machine
struct Program<'d> {
    clients: &'d MemoryDatagrams,
    control: u16,
    data: u16,
    channel: u8,
    /// The place to which telegrams go, as the gateway told it
    told: Hpai,
}

fn endpoint(port: u16) -> Hpai {
    let SocketAddr::V4(address) = local(port) else { unreachable!() };
    Hpai::udp(address)
}

fn connect_request(control: Hpai, data: Hpai) -> Vec<u8> {
    let body = [&control.emit()[..], &data.emit(), &[4, 4, 2, 0]].concat();
    [&[6, 0x10, 2, 5, 0, 26], &body[..]].concat()
}

/// What comes next, and to which port of this machine
async fn next(clients: &MemoryDatagrams) -> Option<(Vec<u8>, u16)> {
    let received = timeout(Duration::from_secs(8), clients.receive()).await;
    received.ok().map(|received| received.unwrap()).map(|(octets, to)| (octets, to.port()))
}

fn service(octets: &[u8]) -> Service {
    Frame::parse(octets).unwrap().service()
}

impl<'d> Program<'d> {
    /// Connects from a control port, with telegrams at a data port
    async fn connect(clients: &'d MemoryDatagrams, control: u16, data: u16) -> Self {
        let wish = connect_request(endpoint(control), endpoint(data));
        Self::wish(clients, control, data, &wish).await.expect("a connection")
    }

    /// Connects with "route back"
    async fn route_back(clients: &'d MemoryDatagrams, port: u16) -> Self {
        let wish = connect_request(Hpai::ROUTE_BACK, Hpai::ROUTE_BACK);
        Self::wish(clients, port, port, &wish).await.expect("a connection")
    }

    /// The status of the refusal is the error; 0 if there is no answer
    async fn wish(
        clients: &'d MemoryDatagrams,
        control: u16,
        data: u16,
        wish: &[u8],
    ) -> Result<Self, u8> {
        clients.try_send_to(wish, local(control)).unwrap();
        let Some((octets, to)) = next(clients).await else { return Err(0) };
        assert_eq!(to, control);
        match Frame::parse(&octets).unwrap().message() {
            Message::ConnectResponse { channel, status: 0, data: Some(told) } => {
                Ok(Self { clients, control, data, channel, told })
            }
            Message::ConnectResponse { status, .. } => Err(status),
            other => panic!("{other:?}"),
        }
    }

    fn send(&self, octets: &[u8], from: u16) {
        self.clients.try_send_to(octets, local(from)).unwrap();
    }

    /// Writes a value, and waits for acknowledgment and confirmation
    async fn write(&self, sequence: u8, value: u8) {
        let header = [6, 0x10, 4, 0x20, 0, 21, 4, self.channel, sequence, 0];
        let telegram = [0x11, 0, 0xBC, 0xE0, 0, 0, 0x0A, 0x03, 1, 0, 0x80 | value];
        self.send(&[&header[..], &telegram].concat(), self.data);
        for wanted in [Service::TUNNELLING_ACK, Service::TUNNELLING_REQUEST] {
            let (octets, to) = next(self.clients).await.expect("an answer");
            assert_eq!((service(&octets), to), (wanted, self.data));
            let Message::Data { channel, .. } = Frame::parse(&octets).unwrap().message() else {
                panic!()
            };
            assert_eq!(channel, self.channel);
        }
    }

    /// A heartbeat from a port, and the port at which the answer comes with its status
    async fn beat(&self, from: u16, told: Hpai) -> (u16, u8) {
        let beat = [&[6, 0x10, 2, 7, 0, 16, self.channel, 0], &told.emit()[..]].concat();
        self.send(&beat, from);
        let (octets, to) = next(self.clients).await.expect("an answer");
        let Message::ChannelResponse { channel, status } = Frame::parse(&octets).unwrap().message()
        else {
            panic!("{octets:?}")
        };
        assert_eq!(channel, self.channel);
        (to, status)
    }

    async fn disconnect(self) {
        let own = endpoint(self.control).emit();
        self.send(&[&[6, 0x10, 2, 9, 0, 16, self.channel, 0], &own[..]].concat(), self.control);
        let (octets, to) = next(self.clients).await.expect("an answer");
        assert_eq!((service(&octets), to), (Service::DISCONNECT_RESPONSE, self.control));
    }
}

/// Waits until the gateway has so many connections
async fn until_open(server: &Server, count: usize) {
    let began = Instant::now();
    while server.knx().open.len() != count {
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", server.knx());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_programs_write_both_ways_and_learn_no_address_of_the_building() {
    let (world, server) = with(KnxGateway::default(), Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let one = Program::connect(&clients, 50_000, 50_000).await;
    let two = Program::route_back(&clients, 50_001).await;
    assert_eq!(one.told, endpoint(PORT), "the forward itself");
    assert_eq!(two.told, Hpai::ROUTE_BACK, "zeros for zeros");
    // the device sees our inner address, and a port for each
    let open = server.knx().open;
    let endpoints: Vec<_> = open.values().copied().collect();
    let inner = Ipv4Addr::new(192, 168, 1, 20);
    assert!(endpoints.iter().all(|(control, data)| control == data && *control.ip() == inner));
    assert_ne!(endpoints[0], endpoints[1]);
    for (sequence, value) in [(0, 1), (1, 0)] {
        for (from, to) in [(&one, &two), (&two, &one)] {
            from.write(sequence, value).await;
            let (octets, port) = next(&clients).await.expect("the other one hears it");
            assert_eq!((service(&octets), port), (Service::TUNNELLING_REQUEST, to.data));
            assert_eq!(octets.last(), Some(&(0x80 | value)));
        }
    }
    assert_eq!(server.knx().telegrams.len(), 4);
    let counters = world.counters(PORT).await;
    assert_eq!((counters.accepted(), counters.now(), counters.dropped()), (2, 2, 0));
    one.disconnect().await;
    two.disconnect().await;
    until_open(&server, 0).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(counters.now(), 0, "the sockets end with their connections");
}

#[tokio::test(start_paused = true)]
async fn gateways_of_every_kind_are_reached_and_no_telegram_is_lost() {
    let other = Some(Ipv4Addr::new(10, 77, 0, 3));
    let usual = KnxGateway::default();
    for (gateway, what) in [
        (KnxGateway { data_port: Some(50_100), ..usual.clone() }, "a data port of its own"),
        (KnxGateway { announces: other, ..usual.clone() }, "another address announced"),
        (
            KnxGateway { announces: other, data_port: Some(50_100), ..usual.clone() },
            "another address and port announced",
        ),
        (KnxGateway { announces: Some(Ipv4Addr::UNSPECIFIED), ..usual.clone() }, "zeros announced"),
        (KnxGateway { endpoints: KnxEndpoints::RefusesZeros, ..usual.clone() }, "zeros refused"),
        (
            KnxGateway { endpoints: KnxEndpoints::TakesZerosLiterally, ..usual.clone() },
            "zeros taken literally",
        ),
        (KnxGateway { endpoints: KnxEndpoints::ZerosOnly, ..usual.clone() }, "only zeros"),
    ] {
        let (world, server) = with(gateway, Protocol::KNX).await;
        let clients = world.datagrams(PORT).await;
        let program = Program::connect(&clients, 50_000, 50_000).await;
        assert_eq!(program.told, endpoint(PORT), "{what}");
        program.write(0, 1).await;
        let back = Program::route_back(&clients, 50_001).await;
        assert_eq!(back.told, Hpai::ROUTE_BACK, "{what}");
        program.disconnect().await;
        back.disconnect().await;
        until_open(&server, 0).await;
        assert_eq!(server.knx().telegrams.len(), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_gateway_that_is_silent_costs_two_seconds_and_once_for_a_tunnel() {
    for (endpoints, seconds) in [(KnxEndpoints::Any, 0), (KnxEndpoints::ZerosOnly, 2)] {
        let gateway = KnxGateway { endpoints, ..KnxGateway::default() };
        let (world, mut server) = with(gateway, Protocol::KNX).await;
        let clients = world.datagrams(PORT).await;
        let took = async |port| {
            let began = Instant::now();
            Program::connect(&clients, port, port).await.disconnect().await;
            began.elapsed().as_secs()
        };
        assert_eq!((took(50_000).await, took(50_001).await), (seconds, 0), "{endpoints:?}");
        server.restart().await.unwrap();
        sleep(Duration::from_secs(10)).await;
        world.until("b1", "up").await;
        assert_eq!(took(50_002).await, seconds, "another tunnel is asked again");
    }
}

#[tokio::test(start_paused = true)]
async fn the_form_of_our_endpoint_can_be_fixed() {
    for (endpoints, hpai, works) in [
        (KnxEndpoints::RefusesZeros, Endpoint::Zero, Err(0x01)),
        (KnxEndpoints::RefusesZeros, Endpoint::True, Ok(())),
        (KnxEndpoints::TakesZerosLiterally, Endpoint::Zero, Err(0)),
        (KnxEndpoints::TakesZerosLiterally, Endpoint::True, Ok(())),
        (KnxEndpoints::ZerosOnly, Endpoint::True, Err(0)),
        (KnxEndpoints::ZerosOnly, Endpoint::Zero, Ok(())),
    ] {
        let gateway = KnxGateway { endpoints, ..KnxGateway::default() };
        let protocol = Protocol::Knx { hpai, remote_configuration: false };
        let (world, _server) = with(gateway, protocol).await;
        let clients = world.datagrams(PORT).await;
        let wish = connect_request(endpoint(50_000), endpoint(50_000));
        let connected = Program::wish(&clients, 50_000, 50_000, &wish).await;
        assert_eq!(connected.map(|_| ()), works, "{endpoints:?} {hpai:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ets_has_three_ports() {
    let gateway = KnxGateway { data_port: Some(50_100), ..KnxGateway::default() };
    let (world, server) = with(gateway, Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let ets = Program::connect(&clients, 50_000, 50_001).await;
    ets.write(0, 1).await;
    // a later request comes from a third port, which names itself, or the control port, or nothing
    assert_eq!(ets.beat(50_002, endpoint(50_002)).await, (50_002, 0));
    assert_eq!(ets.beat(50_002, endpoint(50_000)).await, (50_000, 0));
    assert_eq!(ets.beat(50_003, Hpai::ROUTE_BACK).await, (50_003, 0));
    ets.write(1, 0).await;
    assert_eq!(server.knx().open.len(), 1);
    assert_eq!(world.counters(PORT).await.now(), 1, "all three are one client");
    ets.disconnect().await;
    until_open(&server, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_frees_the_only_place() {
    let one_slot = KnxGateway { slots: 1, ..KnxGateway::default() };
    let (world, server) = with(one_slot, Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let first = Program::connect(&clients, 50_000, 50_001).await;
    let wish = connect_request(endpoint(50_002), endpoint(50_002));
    let refused = Program::wish(&clients, 50_002, 50_002, &wish).await;
    assert_eq!(refused.map(|_| ()), Err(0x24), "E_NO_MORE_CONNECTIONS");
    // its port refuses: at once
    clients.refuse(local(first.data));
    until_open(&server, 0).await;
    Program::connect(&clients, 50_002, 50_002).await;
    // nobody says so: after two minutes, though telegrams came for it
    sleep(Duration::from_secs(119)).await;
    assert_eq!(server.knx().open.len(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.knx().open.len(), 0);
    assert_eq!(world.counters(PORT).await.now(), 0);
    Program::connect(&clients, 50_003, 50_003).await.disconnect().await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_connection_for_hours() {
    let (world, server) = with(KnxGateway::default(), Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let program = Program::connect(&clients, 50_000, 50_000).await;
    for _ in 0..180 {
        sleep(Duration::from_secs(70)).await;
        assert_eq!(program.beat(50_000, endpoint(50_000)).await, (50_000, 0));
    }
    program.write(0, 1).await;
    assert_eq!(server.knx().open.len(), 1);
    assert_eq!(server.knx().disconnected, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_tunnel_is_told_at_once_and_the_next_one_is_used() {
    let (world, mut server) = with(KnxGateway::default(), Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let program = Program::connect(&clients, 50_000, 50_000).await;
    let began = Instant::now();
    server.restart().await.unwrap();
    let (octets, to) = next(&clients).await.expect("a word about it");
    assert_eq!((service(&octets), to), (Service::DISCONNECT_REQUEST, 50_000));
    let told = Frame::parse(&octets).unwrap().message();
    let control = endpoint(PORT);
    assert_eq!(told, Message::ChannelRequest { channel: program.channel, control });
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // a program that has not heard it is told at its next heartbeat
    assert_eq!(program.beat(50_000, endpoint(50_000)).await, (50_000, 0x21));
    world.until("b1", "up").await;
    let again = Program::connect(&clients, 50_000, 50_000).await;
    again.write(0, 1).await;
}

#[tokio::test(start_paused = true)]
async fn requests_to_change_the_device_are_dropped_counted_and_logged() {
    let (mut world, server) = with(KnxGateway::default(), Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let own = endpoint(50_000).emit();
    let change = [&[6, 0x10, 7, 0x42, 0, 14], &own[..]].concat();
    let reset = [6, 0x10, 7, 0x43, 0, 10, 2, 1, 1, 0];
    for request in [&change[..], &reset] {
        clients.try_send_to(request, local(50_000)).unwrap();
    }
    clients.try_send_to(&description_request(endpoint(50_000)), local(50_000)).unwrap();
    let (octets, _) = next(&clients).await.expect("the description");
    assert_eq!(service(&octets), Service::DESCRIPTION_RESPONSE);
    assert_eq!(server.knx().configurations, 0);
    assert_eq!(world.counters(PORT).await.dropped_services(), 2);
    let lines = log_lines();
    assert!(lines[0].contains("remote_configuration = true"), "{lines:?}");
    let hpai = Endpoint::Auto;
    first_forward(&mut world).protocol = Protocol::Knx { hpai, remote_configuration: true };
    world.apply().await;
    for request in [&change[..], &reset] {
        clients.try_send_to(request, local(50_000)).unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.knx().configurations, 2);
    assert_eq!(world.counters(PORT).await.dropped_services(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_site_is_in_use_while_a_connection_lives() {
    let mut world = World::new();
    let _server = serve(&world, 1, KnxGateway::default());
    let idle = Duration::from_secs(30);
    let site = world.add(1);
    site.dial = site.dial.clone().connect(Connect::OnDemand { idle });
    let hosts = Arc::make_mut(&mut site.hosts);
    hosts.insert("knx".to_owned(), Ipv4Addr::new(192, 168, 1, 3));
    world.forward(1, local(PORT), "knx:3671", Protocol::KNX);
    world.apply().await;
    let clients = world.datagrams(PORT).await;
    let program = Program::connect(&clients, 50_000, 50_000).await;
    for _ in 0..3 {
        sleep(Duration::from_secs(100)).await;
        assert_eq!(program.beat(50_000, endpoint(50_000)).await.1, 0);
    }
    world.until("b1", "up").await;
    program.disconnect().await;
    sleep(Duration::from_secs(40)).await;
    world.until("b1", "idle").await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_device_ends_connections_and_a_change_of_clients_those_that_are_forbidden()
{
    let (mut world, server) = with(KnxGateway::default(), Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let program = Program::connect(&clients, 50_000, 50_000).await;
    first_forward(&mut world).max_clients = 2;
    world.apply().await;
    assert_eq!(program.beat(50_000, endpoint(50_000)).await.1, 0, "it goes on");
    first_forward(&mut world).clients = Clients::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
    world.apply().await;
    until_open(&server, 0).await;
    clients
        .try_send_to(&connect_request(endpoint(50_000), endpoint(50_000)), local(50_000))
        .unwrap();
    assert_eq!(next(&clients).await, None);
    assert_eq!(world.refused(PORT).await["client"], 1);
    first_forward(&mut world).clients = Clients::All;
    world.apply().await;
    let _program = Program::connect(&clients, 50_000, 50_000).await;
    first_forward(&mut world).target = "192.168.1.4:3671".parse().unwrap();
    world.apply().await;
    let (octets, _) = next(&clients).await.expect("a word about it");
    assert_eq!(service(&octets), Service::DISCONNECT_REQUEST);
    until_open(&server, 0).await;
    // the same socket may become that of a plain forward, and back
    let forward = first_forward(&mut world);
    (forward.target, forward.protocol) = ("192.168.1.3:7".parse().unwrap(), Protocol::UDP);
    world.apply().await;
    clients.try_send_to(b"echo", local(50_000)).unwrap();
    assert_eq!(next(&clients).await, Some((b"echo".to_vec(), 50_000)));
    let forward = first_forward(&mut world);
    (forward.target, forward.protocol) = ("192.168.1.3:3671".parse().unwrap(), Protocol::KNX);
    world.apply().await;
    Program::connect(&clients, 50_000, 50_000).await.disconnect().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_forward_frees_the_places_of_its_clients() {
    let (mut world, server) = with(KnxGateway::default(), Protocol::KNX).await;
    let clients = world.datagrams(PORT).await;
    let _one = Program::connect(&clients, 50_000, 50_000).await;
    let _two = Program::connect(&clients, 50_001, 50_001).await;
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.clear();
    world.apply().await;
    for _ in 0..2 {
        let (octets, _) = next(&clients).await.expect("a word about it");
        assert_eq!(service(&octets), Service::DISCONNECT_REQUEST);
    }
    until_open(&server, 0).await;
    assert_eq!(server.knx().disconnected, 2);
}

/// A forward with a socket of the kernel, in real time: its port
async fn with_socket(listen: Ipv4Addr) -> (World, Server, u16) {
    let mut world = World::with_sockets();
    let server = serve(&world, 1, KnxGateway::default());
    world.add(1);
    world.forward(1, (listen, 0), "192.168.1.3:3671", Protocol::KNX);
    world.apply().await;
    world.until("b1", "up").await;
    let bound = world.ways.status().await[0].bound.unwrap();
    (world, server, bound.port())
}

/// Connects a socket of the kernel to a forward: the channel, and the place to which telegrams are to go
async fn connect(socket: &UdpSocket, forward: SocketAddr) -> (u8, Hpai) {
    let SocketAddr::V4(own) = socket.local_addr().unwrap() else { unreachable!() };
    let wish = connect_request(Hpai::udp(own), Hpai::udp(own));
    socket.send_to(&wish, forward).await.unwrap();
    let (octets, from) = receive(socket).await;
    assert_eq!(from, forward, "it answers from where it was asked");
    match Frame::parse(&octets).unwrap().message() {
        Message::ConnectResponse { channel, status: 0, data: Some(told) } => (channel, told),
        other => panic!("{other:?}"),
    }
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut octets = vec![0; 1024];
    let (count, from) = soon(socket.recv_from(&mut octets)).await.unwrap();
    octets.truncate(count);
    (octets, from)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_killed_frees_its_place() {
    let (world, server, port) = with_socket(Ipv4Addr::LOCALHOST).await;
    let bind = async || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (killed, writer, reader) = (bind().await, bind().await, bind().await);
    connect(&killed, local(port)).await;
    let (channel, _) = connect(&writer, local(port)).await;
    connect(&reader, local(port)).await;
    assert_eq!(server.knx().open.len(), 3);
    drop(killed);
    // a telegram for all finds its port closed, and the others lose nothing by it
    for sequence in 0..5 {
        let header = [6, 0x10, 4, 0x20, 0, 21, 4, channel, sequence, 0];
        let telegram = [0x11, 0, 0xBC, 0xE0, 0, 0, 0x0A, 0x03, 1, 0, 0x80];
        writer.send_to(&[&header[..], &telegram].concat(), local(port)).await.unwrap();
        assert_eq!(service(&receive(&writer).await.0), Service::TUNNELLING_ACK);
        assert_eq!(service(&receive(&writer).await.0), Service::TUNNELLING_REQUEST);
        assert_eq!(service(&receive(&reader).await.0), Service::TUNNELLING_REQUEST);
    }
    soon(async {
        while server.knx().open.len() != 2 || world.counters(0).await.now() != 2 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(server.knx().disconnected, 1);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forward_on_all_addresses_names_the_one_that_a_client_knows() {
    let (_world, _server, port) = with_socket(Ipv4Addr::UNSPECIFIED).await;
    for last in [1, 2] {
        let forward = SocketAddr::from(([127, 0, 0, last], port));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (_, told) = connect(&socket, forward).await;
        assert_eq!(SocketAddr::V4(told.address), forward);
    }
}
