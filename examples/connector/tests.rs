use std::{fs, future::Future, net::Ipv4Addr};

use pptp::Client;
use pptp_fleet::{Fleet, FleetOptions, Secret, SiteConfig};
use pptp_testkit::{DEVICE, ROUTER, Server, TcpOptions, UdpOptions, memory::Network};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 11);

/// A building, and forwards into it
struct World {
    server: Server,
    fleet: Fleet,
    site: Site,
}

impl World {
    async fn new() -> Self {
        let world = Self::with_server(|_| {}).await;
        world.site.tunnel(PATIENCE).await.unwrap();
        world
    }

    async fn with_server(change: impl FnOnce(&mut Server)) -> Self {
        let network = Network::new(0);
        let mut server = Server::builder(1).serve_memory(&network, SERVER).unwrap();
        change(&mut server);
        let host = network.host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let fleet = Fleet::new(client, &FleetOptions::default());
        let config = SiteConfig::new(SERVER.to_string(), "testuser", Secret::literal("test123"));
        fleet.set("here".parse().unwrap(), config).await;
        Self { server, site: fleet.site("here").unwrap(), fleet }
    }

    fn way(&self, (target, port): (Ipv4Addr, u16)) -> Way {
        Way { site: self.site.clone(), target: SocketAddrV4::new(target, port) }
    }

    /// The local address of a UDP forward, and what forwards
    async fn udp_forward(&self, target: (Ipv4Addr, u16)) -> (SocketAddr, JoinSet<()>) {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let Ok(Listener::Udp(socket)) = Listener::bind(Protocol::Udp, local).await else {
            panic!("no socket");
        };
        let local = socket.local_addr().unwrap();
        let mut forwarding = JoinSet::new();
        forwarding.spawn(Listener::Udp(socket).forward(self.way(target)));
        (local, forwarding)
    }

    /// A connection to a forward, and what forwards
    async fn connect(&self, target: (Ipv4Addr, u16)) -> (TcpStream, JoinSet<()>) {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let Ok(Listener::Tcp(listener)) = Listener::bind(Protocol::Tcp, local).await else {
            panic!("no listener");
        };
        let local = listener.local_addr().unwrap();
        let mut forwarding = JoinSet::new();
        forwarding.spawn(Listener::Tcp(listener).forward(self.way(target)));
        (TcpStream::connect(local).await.unwrap(), forwarding)
    }

    /// An endless download of which some has come
    async fn download(&self) -> (TcpStream, JoinSet<()>) {
        let (mut local, forwarding) = self.connect((DEVICE, 19)).await;
        local.write_all(b"\n").await.unwrap();
        local.read_exact(&mut vec![0; 100_000]).await.unwrap();
        (local, forwarding)
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), what).await.expect("it takes too long")
}

/// Reads to the end, which has to be a reset
async fn is_reset(mut local: TcpStream) {
    let end = soon(tokio::io::copy(&mut local, &mut tokio::io::sink())).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_is_complete_ends_cleanly_also_when_half_closed() {
    let world = World::new().await;
    let (mut local, _forwarding) = world.connect((DEVICE, 80)).await;
    local.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    soon(local.read_to_string(&mut page)).await.unwrap();
    assert!(page.ends_with("building 1\n"), "{page}");
    let (mut local, _forwarding) = world.connect((DEVICE, 9)).await;
    local.write_all(&vec![7; 100_000]).await.unwrap();
    local.shutdown().await.unwrap();
    let mut digest = String::new();
    soon(local.read_to_string(&mut digest)).await.unwrap();
    assert_eq!(digest.len(), 65);
}

#[tokio::test]
async fn a_download_is_reset_when_the_tunnel_is_lost() {
    let world = World::new().await;
    let (local, _forwarding) = world.download().await;
    drop(world.server);
    is_reset(local).await;
}

#[tokio::test]
async fn a_download_is_reset_when_the_connector_stops() {
    let world = World::new().await;
    let (local, mut forwarding) = world.download().await;
    forwarding.shutdown().await;
    is_reset(local).await;
}

#[tokio::test]
async fn an_upload_is_reset_when_its_client_resets_it() {
    let world = World::new().await;
    let listener = world.server.net().tcp_listen((ROUTER, 8080).into(), 1, TcpOptions::default());
    let (mut local, _forwarding) = world.connect((ROUTER, 8080)).await;
    let (mut inner, _) = soon(listener.unwrap().accept()).await.unwrap();
    local.write_all(b"half of").await.unwrap();
    inner.read_exact(&mut [0; 7]).await.unwrap();
    local.set_zero_linger().unwrap();
    drop(local);
    let end = soon(inner.read(&mut [0; 7])).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_connection_that_cannot_be_forwarded_is_reset() {
    let world = World::new().await;
    let (refused, _forwarding) = world.connect((DEVICE, 81)).await;
    is_reset(refused).await;
    let by = pptp_fleet::Caller("a test".to_owned());
    world.fleet.down(world.site.name(), by).await;
    let (nowhere, _forwarding) = world.connect((DEVICE, 80)).await;
    is_reset(nowhere).await;
}

#[tokio::test]
async fn each_local_udp_peer_has_its_own_answers() {
    let world = World::new().await;
    let (local, _forwarding) = world.udp_forward((DEVICE, 7)).await;
    for name in [b"one", b"two"] {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        peer.send_to(name, local).await.unwrap();
        let mut answer = [0; 16];
        let (count, from) = soon(peer.recv_from(&mut answer)).await.unwrap();
        assert_eq!((&answer[..count], from), (&name[..], local));
    }
}

/// As after a burst of connections that a small backlog did not take: a kernel asks for two minutes
#[tokio::test(start_paused = true)]
async fn a_target_that_answers_late_is_waited_for() {
    let world = World::new().await;
    world.server.mute_gre(true);
    let (mut local, _forwarding) = world.connect((DEVICE, 7)).await;
    // three SYNs, and less than the 30 s after which the device drops what is half open
    sleep(Duration::from_secs(14)).await;
    world.server.mute_gre(false);
    local.write_all(b"late").await.unwrap();
    let mut answer = [0; 4];
    timeout(Duration::from_mins(1), local.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"late");
}

/// Another host of the building must not speak for the target.
#[tokio::test]
async fn a_udp_forward_passes_on_the_target_alone() {
    let world = World::new().await;
    let bind = |address: (Ipv4Addr, u16)| {
        world.server.net().udp_bind(address.into(), UdpOptions::default()).unwrap()
    };
    let (target, other) = (bind((DEVICE, 4000)), bind((ROUTER, 6666)));
    let (local, _forwarding) = world.udp_forward((DEVICE, 4000)).await;
    let program = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    program.send_to(b"question", local).await.unwrap();
    let mut buffer = [0; 64];
    let (_, from) = soon(target.recv_from(&mut buffer)).await.unwrap();
    for (socket, words) in [(&other, &b"forged"[..]), (&target, b"true")] {
        socket.send_to(words, from).await.unwrap();
    }
    let (length, _) = soon(program.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..length], b"true", "the one that was sent first was forged");
}

/// Each program that comes is served, although those before it took all places and keep them.
#[tokio::test]
async fn a_program_with_many_ports_shuts_no_other_out_of_a_udp_forward() {
    let world = World::new().await;
    let (local, _forwarding) = world.udp_forward((DEVICE, 7)).await;
    for n in 0..MAX_PEERS + 8 {
        let program = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        program.connect(local).await.unwrap();
        program.send(b"me too").await.unwrap();
        let mut answer = [0; 16];
        let length = soon(program.recv(&mut answer)).await.unwrap();
        assert_eq!(&answer[..length], b"me too", "program {n}");
    }
}

/// A site that is down holds no more connections than a forward has places.
#[tokio::test]
async fn connections_to_a_forward_are_bounded() {
    // it is dialled, and does not answer for half a minute
    let world = World::with_server(|server| server.power_off().unwrap()).await;
    let (first, mut forwarding) = world.connect((DEVICE, 80)).await;
    let local = first.peer_addr().unwrap();
    let mut held = vec![first];
    for _ in 1..MAX_CONNECTIONS + 100 {
        held.push(TcpStream::connect(local).await.unwrap());
    }
    sleep(Duration::from_millis(200)).await;
    let accepted = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let (port, established) = (format!("0100007F:{:04X}", local.port()), "01");
    let with_an_owner = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[1] == port && fields[3] == established && fields[9] != "0"
    };
    assert_eq!(accepted.lines().skip(1).filter(with_an_owner).count(), MAX_CONNECTIONS);
    forwarding.shutdown().await;
}
