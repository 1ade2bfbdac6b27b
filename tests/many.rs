//! Many tunnels on one driver: what happens to some is nothing to the others

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use pptp::{State, Tunnel};
use pptp_testkit::{DEVICE, Ended, Server};
use pptp_tests::{CLIENT, World, get, upload};
use tokio::time::{sleep, timeout};

/// Error numbers of the kernel
const ENETUNREACH: i32 = 101;
const EPERM: i32 = 1;

async fn connect_all(world: &World, servers: &[Server], count: usize) -> Vec<Tunnel> {
    let dials = (0..count).map(|index| {
        let connecting = world.dial(&servers[index % servers.len()]);
        tokio::spawn(async move { connecting.await.expect("a tunnel") })
    });
    let mut tunnels = Vec::new();
    for dial in dials.collect::<Vec<_>>() {
        tunnels.push(dial.await.unwrap());
    }
    tunnels
}

/// Sends datagrams to the echo service, waits for none of them, and counts those that come back
async fn echoes(tunnel: Tunnel, count: u8) -> u8 {
    let socket = tunnel.udp_bind(0).unwrap();
    let sending = async {
        for number in 0..count {
            socket.send_to(&[number], (DEVICE, 7)).await.unwrap();
            sleep(Duration::from_millis(7)).await;
        }
        sleep(Duration::from_secs(2)).await;
    };
    let mut back = 0;
    let counting = async {
        while let Ok((1, _)) = socket.recv_from(&mut [0; 8]).await {
            back += 1;
        }
    };
    tokio::select! { () = sending => {}, () = counting => {} }
    back
}

#[tokio::test(start_paused = true)]
async fn of_a_hundred_tunnels_two_cannot_send_and_the_others_lose_nothing() {
    let world = World::new(10);
    let servers: Vec<_> = (1..=4).map(|number| world.building(number)).collect();
    let mut tunnels = connect_all(&world, &servers[..2], 98).await;
    tunnels.extend(connect_all(&world, &servers[2..], 2).await);
    world.network.refuse(servers[2].address(), ENETUNREACH);
    world.network.refuse(servers[3].address(), EPERM);

    let tasks: Vec<_> =
        tunnels.iter().map(|tunnel| tokio::spawn(echoes(tunnel.clone(), 100))).collect();
    for (index, task) in tasks.into_iter().enumerate() {
        let back = task.await.unwrap();
        let (expected, unsendable) = if index < 98 { (100, false) } else { (0, true) };
        assert_eq!(back, expected, "tunnel {index}");
        assert_eq!(tunnels[index].stats().unsendable > 0, unsendable, "tunnel {index}");
    }
    assert_eq!(world.client.stats().kernel_drops, 0);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_idle_tunnels_live_for_an_hour() {
    let world = World::new(25);
    let servers: Vec<_> = (1..=2).map(|number| world.building(number)).collect();
    let tunnels = connect_all(&world, &servers, 200).await;
    sleep(Duration::from_hours(1)).await;
    for (index, tunnel) in tunnels.iter().enumerate() {
        assert!(matches!(&*tunnel.state().borrow(), State::Up), "tunnel {index}");
        let building = index % 2 + 1;
        let page = get(tunnel, "/").await.unwrap();
        assert_eq!(String::from_utf8_lossy(&page), format!("building {building}\n"));
    }
    drop(tunnels);
    timeout(Duration::from_secs(8), world.client.wait_idle()).await.unwrap();
    for server in servers {
        server.idle().await;
        let stats = server.stats();
        assert_eq!((stats.up_ever, stats.ended.len()), (100, 100));
        assert!(stats.ended.iter().all(Ended::is_clean));
    }
}

#[tokio::test(start_paused = true)]
async fn a_building_has_two_hundred_addresses() {
    let world = World::new(5);
    let servers = [world.building(1)];
    let tunnels = connect_all(&world, &servers, 200).await;
    let mut addresses: Vec<_> = tunnels.iter().map(|t| t.info().inner_address).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 200);
    assert_eq!(addresses.last(), Some(&Ipv4Addr::new(192, 168, 1, 219)));
    let error = world.dial(&servers[0]).await.unwrap_err();
    assert_eq!(error.name(), "CallRefused", "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_full_send_buffer_holds_everybody_up_and_loses_nothing() {
    let world = World::new(5);
    let servers: Vec<_> = (1..=2).map(|number| world.building(number)).collect();
    let tunnels = connect_all(&world, &servers, 6).await;
    let host = world.network.host(CLIENT);
    let stalling = tokio::spawn(async move {
        for _ in 0..20 {
            host.stall_gre(true);
            sleep(Duration::from_millis(40)).await;
            host.stall_gre(false);
            sleep(Duration::from_millis(15)).await;
        }
    });
    let body: Arc<Vec<u8>> = Arc::new((0..1 << 17).flat_map(u32::to_be_bytes).collect());
    let uploads: Vec<_> = tunnels
        .iter()
        .cloned()
        .map(|tunnel| {
            let body = Arc::clone(&body);
            tokio::spawn(async move { upload(&tunnel, &body).await })
        })
        .collect();
    for task in uploads {
        task.await.unwrap().unwrap();
    }
    stalling.await.unwrap();
    assert!(tunnels.iter().all(|tunnel| tunnel.stats().unsendable == 0));
}

#[tokio::test(start_paused = true)]
async fn one_socket_serves_many_tasks() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let socket = Arc::new(tunnel.udp_bind(0).unwrap());
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let socket = Arc::clone(&socket);
            tokio::spawn(async move {
                let mut got = Vec::new();
                let mut buffer = [0; 8];
                while let Ok(received) = timeout(IDLE, socket.recv_from(&mut buffer)).await {
                    assert_eq!(received.unwrap().0, 2);
                    got.push(u16::from_be_bytes([buffer[0], buffer[1]]));
                }
                got
            })
        })
        .collect();
    let writers = (0..20_u16).map(|writer| {
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            for number in 0..20 {
                let datagram = (writer * 20 + number).to_be_bytes();
                socket.send_to(&datagram, (DEVICE, 7)).await.unwrap();
                sleep(Duration::from_millis(3)).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut got = Vec::new();
    for reader in readers {
        got.extend(reader.await.unwrap());
    }
    got.sort_unstable();
    assert!(got.iter().copied().eq(0..400), "each comes once, to one of them");
}

/// Longer than any echo takes
const IDLE: Duration = Duration::from_secs(1);
