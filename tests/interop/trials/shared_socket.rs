//! One raw socket carries all tunnels, and nothing of one tunnel hurts another.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{Client, Tunnel};
use pptp_interop::{Building, Lab, Nft, Outcome, Route, get, trial};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::{config, dial};

/// The buildings whose tunnels stay well: many, since each of pptpd's processes reads all GRE of its
/// building, so that the work there grows with the square of the tunnels
const WELL: [Building; 5] =
    [Building::ONE, Building::TWO, Building::SMALL_MRU, Building::CHATTY, Building::STATEFUL];
/// How many datagrams each tunnel sends, one at a time
const ROUNDS: u8 = 20;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("of_100_tunnels_two_lose_their_way_and_98_lose_nothing", ninety_eight),
        trial("clients_of_one_process_share_one_raw_socket", one_raw_socket),
        trial("drivers_have_a_raw_socket_each_and_share_the_tunnels", a_socket_for_each_driver),
    ]
}

/// That to building three is forbidden, that to four has no route.
async fn ninety_eight(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    let began = Instant::now();
    let well = dial_many(&client, &WELL, 98).await?;
    let forbidden = dial(&client, Building::THREE).await?;
    let unrouted = dial(&client, Building::FOUR).await?;
    println!("  100 tunnels up after {:.1?}", began.elapsed());
    assert_eq!(raw_sockets()?, 1, "100 tunnels share one raw socket");

    let rule = Nft::forbid_gre_to(Building::THREE.server())?;
    let route = Route::unreachable(Building::FOUR.server())?;
    let mut echoes = JoinSet::new();
    for (building, tunnel) in &well {
        let (device, tunnel) = (building.device(7), tunnel.clone());
        echoes.spawn(async move { echo(device, &tunnel).await });
    }
    let all_echoed = async {
        while let Some(echoed) = echoes.join_next().await {
            echoed??;
        }
        Outcome::Ok(())
    };
    tokio::select! {
        echoed = all_echoed => echoed?,
        never = send_in_vain(&forbidden) => return Err(format!("sending ended: {never:?}").into()),
        never = send_in_vain(&unrouted) => return Err(format!("sending ended: {never:?}").into()),
    }
    println!("  98 × {ROUNDS} datagrams there and back after {:.1?}", began.elapsed());
    let refused = |tunnel: &Tunnel| tunnel.stats().unsendable;
    println!("  refused: {} and {}", refused(&forbidden), refused(&unrouted));
    assert!(refused(&forbidden) > 0 && refused(&unrouted) > 0);
    assert!(well.iter().all(|(_, tunnel)| refused(tunnel) == 0));
    drop((rule, route));
    for (_, tunnel) in &well {
        tunnel.hang_up();
    }
    drop((well, forbidden, unrouted));
    client.wait_idle().await;
    servers_are_done(lab).await
}

/// The guest takes its time with a hundred hang-ups, and the next trial wants it rested
async fn servers_are_done(lab: &Lab) -> Outcome {
    for _ in 0..60 {
        if lab.sh("pgrep -cx pppd || true")?.trim() == "0" {
            return Ok(());
        }
        sleep(Duration::from_secs(1)).await;
    }
    Err("pppd is still running a minute after the last hang-up".into())
}

/// pptpd's listening queue has room for few, so some at a time
async fn dial_many(
    client: &Client,
    buildings: &[Building],
    count: usize,
) -> Result<Vec<(Building, Tunnel)>, Failed> {
    let turns = Arc::new(Semaphore::new(6));
    let mut dialling = JoinSet::new();
    for building in buildings.iter().copied().cycle().take(count) {
        let (client, turns) = (client.clone(), turns.clone());
        dialling.spawn(async move {
            let _turn = turns.acquire().await;
            client.connect(config(building)).await.map(|tunnel| (building, tunnel))
        });
    }
    let mut tunnels = Vec::new();
    while let Some(dialled) = dialling.join_next().await {
        tunnels.push(dialled??);
    }
    Ok(tunnels)
}

/// Datagrams to the device and back, one at a time: each one must return.
async fn echo(device: SocketAddr, tunnel: &Tunnel) -> io::Result<()> {
    let socket = tunnel.udp_bind(0)?;
    for round in 0..ROUNDS {
        socket.send_to(&[round; 100], device).await?;
        let mut heard = [0; 200];
        let came = timeout(Duration::from_secs(20), socket.recv_from(&mut heard)).await;
        let (length, _) =
            came.map_err(|_| io::Error::other(format!("datagram {round} was lost")))??;
        assert_eq!(heard[..length], [round; 100]);
    }
    Ok(())
}

/// A datagram every few milliseconds, without end unless sending fails
async fn send_in_vain(tunnel: &Tunnel) -> io::Result<Infallible> {
    let socket = tunnel.udp_bind(0)?;
    loop {
        socket.send_to(&[0; 100], Building::THREE.device(7)).await?;
        sleep(Duration::from_millis(5)).await;
    }
}

async fn one_raw_socket(_: &Lab) -> Outcome {
    let (first, second) = (Client::new()?, Client::new()?);
    let (one, two) = tokio::try_join!(dial(&first, Building::ONE), dial(&second, Building::TWO))?;
    assert_eq!(raw_sockets()?, 1);
    tokio::join!(one.close(), two.close());
    Ok(())
}

async fn a_socket_for_each_driver(_: &Lab) -> Outcome {
    let clients = [Client::builder().drivers(3).build()?, Client::builder().drivers(3).build()?];
    let mut tunnels = Vec::new();
    for client in &clients {
        for building in [Building::ONE, Building::TWO, Building::THREE, Building::FOUR] {
            let tunnel = dial(client, building).await?;
            let page = get(tunnel.tcp_connect(building.device(80)).await?, "/").await?;
            assert_eq!(page, format!("building {}\n", building.number()).into_bytes());
            tunnels.push(tunnel);
        }
    }
    assert_eq!(raw_sockets()?, 3, "as many as drivers, for both clients and all tunnels");
    tunnels.iter().for_each(Tunnel::hang_up);
    for client in &clients {
        client.wait_idle().await;
    }
    Ok(())
}

/// How many raw IPv4 sockets there are in this network namespace, all processes counted
fn raw_sockets() -> io::Result<usize> {
    Ok(fs::read_to_string("/proc/self/net/raw")?.lines().count() - 1)
}
