//! Servers that ask for little or much in LCP and the NCPs, and what lies behind them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libtest_mimic::Trial;
use pptp::{Client, net::Route};
use pptp_interop::{Building, Lab, Outcome, ROUTER, trial};
use tokio::time::timeout;

use crate::buildings::{receive, send};
use crate::{PATIENCE, config, dial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("small_and_chatty_servers_move_sixteen_mebibytes_each_way", sixteen_mebibytes),
        trial("a_dhcp_server_tells_its_routes", routes),
        trial("ipv6_comes_up_beside_ipv4_and_pings_the_server", ipv6),
    ]
}

async fn sixteen_mebibytes(_: &Lab) -> Outcome {
    let client = Client::new()?;
    for building in [Building::SMALL_MRU, Building::CHATTY] {
        let config = config(building).header_compression(true);
        let tunnel = client.connect(config).await?;
        let info = tunnel.info();
        println!("  building {}: MTU {}", building.number(), info.mtu);
        assert_eq!(info.mtu, if building == Building::SMALL_MRU { 572 } else { 1396 });
        receive(building, &tunnel).await?;
        send(building, &tunnel).await?;
        tunnel.close().await;
    }
    Ok(())
}

async fn routes(_: &Lab) -> Outcome {
    let client = Client::new()?;
    let tunnel = dial(&client, Building::CHATTY).await?;
    let answer = tunnel.dhcp_inform().await?;
    println!("  {answer:?}");
    let network = Ipv4Addr::new(10, 77, 0, 0);
    assert_eq!(answer.routes, [Route { network, prefix_len: 16, gateway: ROUTER }]);
    assert_eq!((answer.routes_ignored, answer.server), (1, ROUTER));
    let domain = format!("building-{}.lan", Building::CHATTY.number());
    assert_eq!(answer.domain, Some(domain));
    tunnel.close().await;

    let without = dial(&client, Building::ONE).await?;
    let error = without.dhcp_inform().await.err().ok_or("an answer from nobody")?;
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    without.close().await;
    Ok(())
}

async fn ipv6(_: &Lab) -> Outcome {
    let client = Client::new()?;
    let tunnel = client.connect(config(Building::CHATTY).ipv6(true)).await?;
    let mut state = tunnel.state();
    while tunnel.info().ipv6.is_none() {
        timeout(PATIENCE, state.changed()).await??;
    }
    let addresses = tunnel.info().ipv6.ok_or("no addresses")?;
    println!("  {} and {}", addresses.address, addresses.peer_address);
    let packets = tunnel.ip_packets()?;
    let request = echo_request(addresses.address, addresses.peer_address);
    let answered = async {
        let mut reply = [0; 1500];
        loop {
            let length = packets.recv(&mut reply).await?;
            if is_echo_reply(&reply[..length], addresses.peer_address) {
                return io::Result::Ok(());
            }
        }
    };
    let asking = async {
        // the server's address is tentative for a second (RFC 4862)
        loop {
            if let Err(error) = packets.send(&request).await {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        answered = timeout(PATIENCE, answered) => answered??,
        failed = asking => return Err(failed.into()),
    }
    drop(packets);
    tunnel.close().await;
    Ok(())
}

/// An echo request of ICMP for IPv6 (RFC 4443 §4.1)
fn echo_request(from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let message = [128, 0, 0, 0, 0x12, 0x34, 0, 1];
    let header = [0x60, 0, 0, 0, 0, 8, 58, 64];
    let mut packet = [&header[..], &from.octets(), &to.octets(), &message].concat();
    // the pseudo-header's length and protocol, and what it covers
    let covered =
        packet[8..].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = covered.sum::<u32>() + 8 + 58;
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let folded = (folded & 0xFFFF) + (folded >> 16);
    packet[42..44].copy_from_slice(&(!folded).to_be_bytes()[2..]);
    packet
}

fn is_echo_reply(packet: &[u8], from: Ipv6Addr) -> bool {
    packet.len() == 48
        && packet[6] == 58
        && packet[8..24] == from.octets()
        && packet[40] == 129
        && packet[44..] == [0x12, 0x34, 0, 1]
}
