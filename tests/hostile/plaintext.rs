//! IP in the clear, or dressed up as encrypted: none of it comes up
//!
//! Somebody on the way puts it before each datagram for the client, under the right Call ID and
//! sequence number, from the first one of a connect until long after the tunnel has ended.

use std::{net::Ipv4Addr, time::Duration};

use pptp::{IpPackets, State, Tunnel, net::UdpSocket};
use pptp_testkit::{DEVICE, Server, UdpOptions, memory::Network};
use pptp_tests::{CLIENT, World, address_of, config};
use tokio::time::{sleep, timeout};

use crate::attacker::{Seen, gre, ppp, udp};

/// The first address that a building gives
const INNER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
const PORT: u16 = 5000;
const FORGED: &[u8] = b"nobody sent this";

/// Every frame that holds a packet as it is; the count is the next of the true frames
fn frames(count: u16) -> Vec<Vec<u8>> {
    let ipv4 = udp((DEVICE, 7), (INNER, PORT), FORGED);
    let ipv6 = [&[0x60, 0, 0, 0, 0, 16, 59, 64][..], &[0xFE; 32], FORGED].concat();
    let mut frames = Vec::new();
    for (protocol, packet) in [(0x21, &ipv4), (0x57, &ipv6), (0x2D, &ipv4), (0x2F, &ipv4)] {
        // with and without address and control, a protocol of two octets and of one
        for head in [&[0xFF, 3, 0, protocol][..], &[0, protocol], &[0xFF, 3, protocol], &[protocol]]
        {
            frames.push([head, packet].concat());
        }
    }
    // all sixteen settings of MPPE's four bits, of which D says whether it is encrypted
    for bits in 0..16_u16 {
        let header = (bits << 12 | count).to_be_bytes();
        for mppe in [&[0xFF, 3, 0, 0xFD][..], &[0, 0xFD], &[0xFF, 3, 0xFD], &[0xFD]] {
            for inner in [&[0, 0x21][..], &[0x21], &[]] {
                frames.push([mppe, &header, inner, &ipv4].concat());
            }
            frames.push([mppe, &header, &[0, 0x57], &ipv6].concat());
        }
    }
    frames
}

/// Five of them go before each datagram, all in turn
///
/// While there are no good packets yet, only those in the clear and those with the bits A and D
/// alone: sixteen wrong headers in a row end a link, whoever sent them.
fn inject(network: &Network) {
    let mut turn = 0;
    network.wiretap_gre(move |_, to, gre| {
        let Some(seen) = Seen::parse(gre).filter(|_| to == CLIENT) else { return Vec::new() };
        let header = seen.mppe_header().map(|at| [seen.frame[at], seen.frame[at + 1]]);
        let mut all = frames(u16::from_be_bytes(header.unwrap_or_default()) & 0xFFF);
        if header.is_none() {
            all.retain(|frame| {
                !frame.iter().take(4).any(|octet| *octet == 0xFD) || is_usual(frame)
            });
        }
        let few: Vec<_> = (turn..turn + 5).map(|which| all[which % all.len()].clone()).collect();
        turn += 5;
        few.into_iter().map(|frame| Seen { frame, ..seen.clone() }.emit()).collect()
    });
}

/// Whether MPPE's header has the bits A and D alone
fn is_usual(frame: &[u8]) -> bool {
    let at = frame.iter().position(|octet| *octet == 0xFD).expect("MPPE");
    frame[at + 1] >> 4 == 9
}

/// Whoever could get it: a socket, or the reader of all packets
enum Reader {
    Socket(UdpSocket),
    Packets(IpPackets),
}

impl Reader {
    /// Takes what came; nothing of it may be forged
    async fn check(&self) {
        let mut octets = vec![0; 2000];
        loop {
            let next = async {
                match self {
                    Self::Socket(socket) => socket.recv(&mut octets).await,
                    Self::Packets(packets) => packets.recv(&mut octets).await,
                }
            };
            let Ok(Ok(count)) = timeout(Duration::from_millis(1), next).await else { return };
            let came = octets[..count].windows(FORGED.len()).any(|part| part == FORGED);
            assert!(!came, "it came up");
        }
    }
}

/// Both ends talk: 150 datagrams of the building's, so that all frames have their turn
async fn talk(server: &Server, tunnel: &Tunnel, reader: &Reader) {
    let from =
        server.net().udp_bind((DEVICE, 9000).into(), UdpOptions::default()).expect("a socket");
    for _ in 0..150 {
        from.send_to(b"good", (INNER, PORT)).await.expect("sent");
        sleep(Duration::from_millis(1)).await;
        reader.check().await;
    }
    let _ = tunnel.stats();
}

/// How the link's encryption is to be taken away in the end: the frame that asks for it
#[derive(Debug, Clone, Copy)]
enum Last {
    TerminateCcp,
    RejectCcp,
    ConfigureLcp,
    ConfigureCcp,
}

impl Last {
    fn frame(self) -> Vec<u8> {
        match self {
            Self::TerminateCcp => ppp(0x80FD, 5, 99, &[]),
            Self::RejectCcp => ppp(0xC021, 8, 99, &[0x80, 0xFD, 1, 1, 0, 10]),
            Self::ConfigureLcp => ppp(0xC021, 1, 99, &[5, 6, 1, 2, 3, 4]),
            Self::ConfigureCcp => ppp(0x80FD, 1, 99, &[18, 6, 0, 0, 0, 0]),
        }
    }
}

async fn injected(raw: bool, last: Last) {
    let world = World::new(10);
    let server = world.building(1);
    inject(&world.network);
    let tunnel = world.client.connect(config(server.address())).await.expect("a tunnel");
    assert_eq!(tunnel.info().inner_address, INNER);
    let reader = if raw {
        Reader::Packets(tunnel.ip_packets().expect("the packets"))
    } else {
        Reader::Socket(tunnel.udp_bind(PORT).expect("a socket"))
    };
    reader.check().await;
    talk(&server, &tunnel, &reader).await;
    server.renegotiate_all();
    negotiated_anew(&tunnel).await;
    talk(&server, &tunnel, &reader).await;
    let stats = tunnel.stats().tunnel;
    println!("raw {raw}: {:?}", stats.link);
    assert!(stats.link.plaintext > 50 && stats.link.undecryptable > 200, "{:?}", stats.link);
    assert!(stats.ip_received > 200, "the true ones came: {}", stats.ip_received);

    let call = calls(&world.network, &server, &tunnel).await;
    let next = 1000;
    let last = gre(call, Some(next), None, &last.frame());
    world.network.forge_gre(address_of(1), CLIENT, &last);
    for number in 0..2000 {
        let all = frames(0);
        let frame = &all[number % all.len()];
        let sequence = next + 1 + u32::try_from(number).expect("few");
        world.network.forge_gre(address_of(1), CLIENT, &gre(call, Some(sequence), None, frame));
        sleep(Duration::from_millis(5)).await;
        reader.check().await;
    }
    println!("in the end: {:?}", *tunnel.state().borrow());
}

/// The client asks before it believes that the server has begun anew
async fn negotiated_anew(tunnel: &Tunnel) {
    let mut states = tunnel.state();
    for wanted in [State::Renegotiating, State::Up] {
        let is_wanted =
            |state: &State| std::mem::discriminant(state) == std::mem::discriminant(&wanted);
        timeout(Duration::from_secs(10), states.wait_for(is_wanted))
            .await
            .expect("soon")
            .expect("alive");
    }
}

/// The client's Call ID, as somebody on the way learns it
async fn calls(network: &Network, server: &Server, tunnel: &Tunnel) -> u16 {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    network.wiretap_gre(move |_, to, gre| {
        if to == CLIENT {
            // nobody listens any more: it is known
            let _ = tell.send(u16::from_be_bytes([gre[6], gre[7]]));
        }
        Vec::new()
    });
    let from =
        server.net().udp_bind((DEVICE, 9001).into(), UdpOptions::default()).expect("a socket");
    from.send_to(b"good", (tunnel.info().inner_address, PORT)).await.expect("sent");
    told.recv().await.expect("a datagram")
}

#[tokio::test(start_paused = true)]
async fn to_sockets_until_ccp_is_terminated() {
    injected(false, Last::TerminateCcp).await;
}

#[tokio::test(start_paused = true)]
async fn to_sockets_until_ccp_is_negotiated_for_no_encryption() {
    injected(false, Last::ConfigureCcp).await;
}

#[tokio::test(start_paused = true)]
async fn to_a_reader_of_packets_until_ccp_is_rejected() {
    injected(true, Last::RejectCcp).await;
}

#[tokio::test(start_paused = true)]
async fn to_a_reader_of_packets_until_lcp_is_negotiated_anew() {
    injected(true, Last::ConfigureLcp).await;
}
