//! Datagrams larger than the tunnel's MTU: the kernel's fragments put together here, and ours there.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{Client, net::UdpSocket};
use pptp_interop::{Building, Lab, Outcome, sha256, trial};
use tokio::time::timeout;

use crate::{PATIENCE, dial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("datagrams_above_the_mtu_pass_each_way_in_fragments", each_way),
        trial("a_device_that_learns_the_mtu_answers_in_fragments_of_its_own", learnt),
    ]
}

/// Around one packet of a tunnel (1,368) and one of Ethernet (1,472), and far beyond
const SIZES: [usize; 8] = [1300, 1368, 1369, 1450, 1472, 2000, 9000, 60_000];

/// The device leaves Don't Fragment clear, so that the server's kernel cuts its packets
async fn each_way(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    for building in [Building::ONE, Building::SMALL_MRU] {
        let tunnel = dial(&client, building).await?;
        lengthen_queue(lab, building).await?;
        let socket = tunnel.udp_bind(0)?;
        for size in SIZES {
            let datagram = datagram(building, size);
            let digest = ask(&socket, building, 9, &datagram, PATIENCE).await?;
            assert_eq!(String::from_utf8(digest)?.trim_end(), sha256(&datagram), "{size} out");
            let answer = ask(&socket, building, 19, size.to_string().as_bytes(), PATIENCE).await?;
            assert!(answer == datagram, "{size} in");
        }
        println!("  building {}: {SIZES:?} octets at MTU {}", building.number(), tunnel.info().mtu);
        tunnel.close().await;
    }
    Ok(())
}

/// Linux sets Don't Fragment, hears from the router what fits, and makes fragments from then on
async fn learnt(lab: &Lab) -> Outcome {
    let building = Building::TWO;
    let tunnel = dial(&Client::new()?, building).await?;
    lengthen_queue(lab, building).await?;
    let socket = tunnel.udp_bind(0)?;
    let mut lost = 0;
    for size in SIZES {
        let datagram = datagram(building, size);
        let mut answer = Vec::new();
        while answer.is_empty() {
            match ask(&socket, building, 7, &datagram, Duration::from_secs(1)).await {
                Ok(echo) => answer = echo,
                Err(error) if lost > 0 => return Err(error),
                Err(_) => lost += 1,
            }
        }
        assert!(answer == datagram, "{size} each way");
    }
    println!("  {lost} answers were lost before the device knew the tunnel's MTU");
    tunnel.close().await;
    Ok(())
}

/// Gives the server's PPP interfaces room for all fragments of a datagram
///
/// They have a queue of three packets, and lose most of a datagram of 60,000 octets.
async fn lengthen_queue(lab: &Lab, building: Building) -> Outcome {
    let router = format!("b{}", building.number());
    let interfaces =
        format!("ip -n {router} -o link | sed -n 's/^[0-9]*: \\(ppp[0-9]*\\):.*/\\1/p'");
    let lengthen = format!("ip -n {router} link set dev $i txqueuelen 1000");
    lab.shell(&format!("for i in $({interfaces}); do {lengthen}; done")).await?;
    Ok(())
}

async fn ask(
    socket: &UdpSocket,
    building: Building,
    port: u16,
    question: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, Failed> {
    socket.send_to(question, building.device(port)).await?;
    let mut answer = vec![0; 65_536];
    let received = timeout(patience, socket.recv_from(&mut answer)).await;
    let (count, from) = received.map_err(|_| format!("no answer to {}", question.len()))??;
    assert_eq!(from, building.device(port));
    answer.truncate(count);
    Ok(answer)
}

/// What the device's source answers: each four octets tell the building and where they are
fn datagram(building: Building, len: usize) -> Vec<u8> {
    let words = (0..u16::MAX).map(|place| building.number() << 16 | u32::from(place));
    words.flat_map(u32::to_be_bytes).take(len).collect()
}
