//! Accounts of a server: changed while it runs, and with one session each

use std::{net::Ipv4Addr, time::Duration};

use pptp::{Client, Tunnel, TunnelConfig, TunnelError};
use pptp_testkit::{EchoPolicy, Server, ServerBuilder, memory};
use tokio::time::sleep;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

struct World {
    network: memory::Network,
    server: Server,
}

impl World {
    fn new(builder: ServerBuilder) -> Self {
        let network = memory::Network::new(0);
        let server = builder.serve_memory(&network, SERVER).unwrap();
        Self { network, server }
    }

    async fn connect(&self, host: u8, user: &str, password: &str) -> Result<Tunnel, TunnelError> {
        let host = self.network.host(Ipv4Addr::new(10, 99, 1, host));
        let client = Client::builder().memory(host).build().unwrap();
        client.connect(TunnelConfig::new(SERVER.to_string(), user, password)).await
    }
}

fn builder() -> ServerBuilder {
    Server::builder(1).secret("north", "one").secret("south", "two")
}

#[tokio::test(start_paused = true)]
async fn accounts_change_for_the_next_login_and_a_restart_keeps_them() {
    let mut world = World::new(builder());
    let before = world.connect(1, "north", "one").await.unwrap();
    world.server.set_secret("north", "new");
    world.server.set_secret("west", "three");
    world.server.remove_secret("south");
    assert!(before.ping(Ipv4Addr::new(192, 168, 1, 1), Duration::from_secs(1)).await.is_ok());
    for restarted in [false, true] {
        if restarted {
            world.server.restart().await.unwrap();
        }
        for (user, password) in [("north", "one"), ("south", "two")] {
            let error = world.connect(2, user, password).await.unwrap_err();
            assert_eq!(error.name(), "AuthFailed", "{user}");
        }
        for (user, password) in [("north", "new"), ("west", "three")] {
            world.connect(3, user, password).await.unwrap().close().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_with_one_session_is_refused_another_until_the_first_is_over() {
    let dead_after = EchoPolicy::default();
    let world = World::new(builder().one_session().echo(dead_after));
    let first = world.connect(1, "north", "one").await.unwrap();
    let error = world.connect(2, "north", "one").await.unwrap_err();
    assert_eq!((error.name(), error.codes()[0].number), ("AuthFailed", 691));
    world.connect(3, "south", "two").await.expect("another account").close().await;
    first.close().await;
    world.server.until(|stats| stats.up == 0).await;
    let _second = world.connect(2, "north", "one").await.expect("the first has hung up");

    // a client that vanishes leaves its session behind, until the server's echoes are not answered
    world.network.host(Ipv4Addr::new(10, 99, 1, 2)).unplug();
    let error = world.connect(4, "north", "one").await.unwrap_err();
    assert_eq!(error.name(), "AuthFailed");
    sleep(Duration::from_mins(3)).await;
    world.connect(4, "north", "one").await.expect("the server has noticed");
}

#[tokio::test(start_paused = true)]
async fn the_newest_session_of_an_account_ends_the_earlier_one() {
    let world = World::new(builder().newest_session());
    let first = world.connect(1, "north", "one").await.unwrap();
    let other = world.connect(2, "south", "two").await.unwrap();
    let second = world.connect(3, "north", "one").await.unwrap();
    assert_eq!(first.closed().await.name(), "TerminatedByPeer");
    sleep(Duration::from_mins(3)).await;
    for tunnel in [other, second] {
        tunnel.ping(Ipv4Addr::new(192, 168, 1, 1), Duration::from_secs(1)).await.unwrap();
    }
}
