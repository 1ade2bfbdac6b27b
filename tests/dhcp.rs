//! What a network's DHCP server says of its routes

use std::{io, net::Ipv4Addr, time::Duration};

use pptp::net::{DhcpInform, Route};
use pptp_testkit::{Dhcp, ROUTER, Server};
use pptp_tests::World;
use tokio::time::Instant;

fn route(network: [u8; 4], prefix_len: u8) -> Route {
    Route { network: network.into(), prefix_len, gateway: ROUTER }
}

fn known() -> Dhcp {
    Dhcp {
        routes: vec![route([10, 1, 0, 0], 16), route([192, 168, 7, 0], 24), route([0; 4], 0)],
        domain: Some("plant.example".into()),
        dns: vec![ROUTER, Ipv4Addr::new(9, 9, 9, 9)],
        ..Dhcp::default()
    }
}

#[tokio::test(start_paused = true)]
async fn routes_dns_servers_and_domain_are_told() {
    for microsoft in [false, true] {
        let world = World::new(10);
        let building = world.serve(1, Server::builder(1).dhcp(Dhcp { microsoft, ..known() }));
        let tunnel = world.connect(&building).await;
        let began = Instant::now();
        let answer = tunnel.dhcp_inform().await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(20), "one round trip");
        assert_eq!(answer.server, ROUTER);
        assert_eq!(answer.routes, known().routes[..2]);
        assert_eq!(answer.routes_ignored, 1, "the default route");
        assert_eq!(answer.dns, known().dns);
        assert_eq!(answer.domain.as_deref(), Some("plant.example"));
        assert_eq!(answer.subnet_mask, Some(Ipv4Addr::new(255, 255, 255, 0)));
        assert_eq!(answer.routers, [ROUTER]);

        let how = DhcpInform { default_route: true, ..DhcpInform::default() };
        let answer = tunnel.dhcp_inform_with(how).await.unwrap();
        assert_eq!((answer.routes, answer.routes_ignored), (known().routes, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_twice_and_then_it_is_enough() {
    let world = World::new(10);
    let building = world.serve(1, Server::builder(1).dhcp(Dhcp { deaf_to: 1, ..known() }));
    let tunnel = world.connect(&building).await;
    let began = Instant::now();
    assert_eq!(tunnel.dhcp_inform().await.unwrap().routes.len(), 2);
    assert_eq!(began.elapsed(), Duration::from_millis(3020));

    let without = world.building(2);
    let tunnel = world.connect(&without).await;
    let began = Instant::now();
    let error = tunnel.dhcp_inform().await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, Duration::from_secs(6)));
    assert!(!tunnel.state().borrow().is_down(), "and the tunnel goes on");
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_ends_says_so_at_once_and_a_dropped_question_frees_its_port() {
    let world = World::new(10);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let asking = tokio::time::timeout(Duration::from_millis(100), tunnel.dhcp_inform());
    assert!(asking.await.is_err());
    let asking = tokio::spawn({
        let tunnel = tunnel.clone();
        async move { tunnel.dhcp_inform().await.unwrap_err() }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = tunnel.dhcp_inform().await.unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    tunnel.close().await;
    let began = Instant::now();
    assert_eq!(asking.await.unwrap().kind(), io::ErrorKind::NotConnected);
    assert!(began.elapsed() < Duration::from_millis(1));
}
