//! Hosts that a test adds to the network behind a server

use std::{io, net::Ipv4Addr, time::Duration};

use pptp::{Client, Tunnel, TunnelConfig};
use pptp_testkit::{
    BLACK_HOLE, DEVICE, Faults, LanHost, ROUTER, Server, UdpOptions, content, memory,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const PLC: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);
/// An address of another network than the building's
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 5);
const SECOND: Duration = Duration::from_secs(1);

struct World {
    network: memory::Network,
    server: Server,
    client: Client,
}

impl World {
    fn new() -> Self {
        let network = memory::Network::new(0);
        network.set_latency(Duration::from_millis(10));
        let server = Server::builder(1).serve_memory(&network, SERVER).unwrap();
        let host = network.host(Ipv4Addr::new(10, 99, 1, 1));
        let client = Client::builder().memory(host).build().unwrap();
        Self { network, server, client }
    }

    async fn connect(&self) -> Tunnel {
        let config = TunnelConfig::new(SERVER.to_string(), "testuser", "test123");
        self.client.connect(config).await.expect("a tunnel")
    }
}

/// Serves an echo at TCP port 7 and writes the host's address in front of it
fn serve_echo(host: &LanHost) {
    let listener = host.tcp_listen(7, 8).unwrap();
    let name = host.address().octets();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut octets = [0; 5];
            stream.read_exact(&mut octets).await?;
            stream.write_all(&[&name[..], &octets].concat()).await?;
        }
        Ok::<_, io::Error>(())
    });
}

async fn is_echoed(tunnel: &Tunnel, host: Ipv4Addr) {
    let mut stream = tunnel.tcp_connect((host, 7)).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *[&host.octets()[..], b"hello"].concat());
}

#[tokio::test(start_paused = true)]
async fn a_client_reaches_each_host_at_its_own_address() {
    let world = World::new();
    let early = world.server.add_host(PLC).unwrap();
    serve_echo(&early);
    let tunnel = world.connect().await;
    let late = world.server.add_host(ELSEWHERE).unwrap();
    serve_echo(&late);
    for host in [PLC, ELSEWHERE] {
        is_echoed(&tunnel, host).await;
        let round_trip = tunnel.ping(host, SECOND).await.unwrap();
        assert_eq!(round_trip, Duration::from_millis(20), "{host}");
        let refused = tunnel.tcp_connect((host, 8)).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "{host}");
    }
    let nobody = tunnel.tcp_connect((Ipv4Addr::new(192, 168, 1, 51), 7)).await.unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::HostUnreachable);
    assert_eq!(format!("{early:?}"), "LanHost(192.168.1.50)");
}

#[tokio::test(start_paused = true)]
async fn a_host_reaches_clients_and_the_other_hosts() {
    let world = World::new();
    let (plc, other) =
        (world.server.add_host(PLC).unwrap(), world.server.add_host(ELSEWHERE).unwrap());
    serve_echo(&other);
    let tunnel = world.connect().await;
    let listener = tunnel.tcp_listen(2404, 8).unwrap();
    let calling = plc.tcp_connect((tunnel.info().inner_address, 2404));
    let (called, accepted) = tokio::join!(calling, listener.accept());
    assert_eq!(accepted.unwrap().1.ip(), PLC);
    called.unwrap();
    for host in [ROUTER, DEVICE, ELSEWHERE, tunnel.info().inner_address] {
        plc.ping(host, SECOND).await.unwrap();
    }
    // by its name, from the network's DNS server
    let mut http = plc.tcp_connect("knx.lan:80").await.unwrap();
    http.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).await.unwrap();
    assert!(page.ends_with("building 1\n"), "{page}");
    // more than what goes from host to host in one turn
    let mut source = plc.tcp_connect((DEVICE, 19)).await.unwrap();
    source.write_all(b"1000000\n").await.unwrap();
    let mut taken = vec![0; 1_000_000];
    source.read_exact(&mut taken).await.unwrap();
    let sent = (0..).flat_map(|index| content::block(1, index)).take(1_000_000);
    assert!(taken.into_iter().eq(sent), "something was lost between two hosts");
}

#[tokio::test(start_paused = true)]
async fn an_address_belongs_to_one_host_or_one_client() {
    let world = World::new();
    let kind = |address| world.server.add_host(address).unwrap_err().kind();
    world.server.add_host(PLC).unwrap();
    for taken in [ROUTER, DEVICE, BLACK_HOLE, PLC] {
        assert_eq!(kind(taken), io::ErrorKind::AddrInUse, "{taken}");
    }
    for of_none in [Ipv4Addr::BROADCAST, Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 168, 1, 255)] {
        assert_eq!(kind(of_none), io::ErrorKind::InvalidInput, "{of_none}");
    }
    let first = world.connect().await;
    assert_eq!(first.info().inner_address, Ipv4Addr::new(192, 168, 1, 20));
    assert_eq!(kind(first.info().inner_address), io::ErrorKind::AddrInUse, "a client has it");
    world.server.add_host(Ipv4Addr::new(192, 168, 1, 21)).unwrap();
    let second = world.connect().await;
    assert_eq!(second.info().inner_address, Ipv4Addr::new(192, 168, 1, 22));
}

#[tokio::test(start_paused = true)]
async fn what_is_for_everyone_reaches_clients_and_hosts() {
    let world = World::new();
    let (plc, other) = (
        world.server.add_host(PLC).unwrap(),
        world.server.add_host(Ipv4Addr::new(192, 168, 1, 51)).unwrap(),
    );
    let tunnel = world.connect().await;
    let options = || UdpOptions::default().broadcast(true);
    let of_client = tunnel.udp_bind_with(47808, options()).unwrap();
    let of_plc = plc.udp_bind_with(47808, options()).unwrap();
    let of_other = other.udp_bind(47808).unwrap();
    let all = (Ipv4Addr::new(192, 168, 1, 255), 47808);
    let mut octets = [0; 16];

    of_client.send_to(b"who-is", all).await.unwrap();
    for socket in [&of_plc, &of_other] {
        let (count, from) = timeout(SECOND, socket.recv_from(&mut octets)).await.unwrap().unwrap();
        assert_eq!(
            (&octets[..count], from.ip()),
            (&b"who-is"[..], tunnel.info().inner_address.into())
        );
    }
    of_plc.send_to(b"i-am", all).await.unwrap();
    let (count, from) = timeout(SECOND, of_other.recv_from(&mut octets)).await.unwrap().unwrap();
    assert_eq!((&octets[..count], from.ip()), (&b"i-am"[..], PLC.into()));
    let (count, from) = timeout(SECOND, of_client.recv_from(&mut octets)).await.unwrap().unwrap();
    assert_eq!((&octets[..count], from.ip()), (&b"i-am"[..], PLC.into()));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_removed_is_gone_and_may_come_back() {
    let world = World::new();
    let plc = world.server.add_host(PLC).unwrap();
    serve_echo(&plc);
    let tunnel = world.connect().await;
    let mut stream = tunnel.tcp_connect((PLC, 7)).await.unwrap();
    assert!(world.server.remove_host(PLC));
    assert!(!world.server.remove_host(PLC), "there is none any more");
    stream.write_all(b"hello").await.unwrap();
    let error = stream.read_exact(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "an open connection tries on: {error}");
    let error = tunnel.tcp_connect((PLC, 7)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::HostUnreachable, "{error}");
    assert!(plc.udp_bind(0).is_err(), "its own handle is of no more use");
    serve_echo(&world.server.add_host(PLC).unwrap());
    is_echoed(&tunnel, PLC).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_outlives_what_befalls_the_server_but_not_the_server() {
    let mut world = World::new();
    let plc = world.server.add_host(PLC).unwrap();
    serve_echo(&plc);
    let tunnel = world.connect().await;
    is_echoed(&tunnel, PLC).await;

    world.server.restart().await.unwrap();
    assert_eq!(tunnel.closed().await.name(), "ConnectionLost");
    let tunnel = world.connect().await;
    is_echoed(&tunnel, PLC).await;

    world.server.power_off().unwrap();
    let added = world.server.add_host(ELSEWHERE).expect("the network is there");
    serve_echo(&added);
    assert_eq!(tunnel.closed().await.name(), "EchoTimeout");
    world.server.restart().await.unwrap();
    let tunnel = world.connect().await;
    is_echoed(&tunnel, PLC).await;
    is_echoed(&tunnel, ELSEWHERE).await;
    assert_eq!(world.server.add_host(PLC).unwrap_err().kind(), io::ErrorKind::AddrInUse);

    let World { network: _network, server, client: _client } = world;
    drop(server);
    let gone = async {
        while plc.udp_bind(0).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SECOND, gone).await.expect("its sockets end with the server");
    assert_eq!(plc.tcp_listen(8, 1).unwrap_err().kind(), io::ErrorKind::NotConnected);
}

#[tokio::test(start_paused = true)]
async fn the_faults_of_a_network_are_those_of_its_added_hosts() {
    let world = World::new();
    world.server.add_host(PLC).unwrap();
    let tunnel = world.connect().await;
    world.server.set_faults(Faults { hosts_are_dead: true, ..Faults::default() });
    let began = Instant::now();
    let silent = tunnel.ping(PLC, SECOND).await.unwrap_err();
    assert_eq!((silent.kind(), began.elapsed()), (io::ErrorKind::TimedOut, SECOND));
    world.server.set_faults(Faults::default());
    tunnel.ping(PLC, SECOND).await.unwrap();
}
