//! hyper's pooled client through a tunnel

use http_body_util::{BodyExt, Empty};
use hyper::{StatusCode, Uri, body::Bytes};
use hyper_util::{
    client::legacy::{Client, Error},
    rt::TokioExecutor,
};
use pptp::{Tunnel, TunnelError, net::HttpConnector};
use pptp_tests::World;

type Http = Client<HttpConnector, Empty<Bytes>>;

fn http(tunnel: &Tunnel) -> Http {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new(tunnel.clone()))
}

async fn get(http: &Http, uri: &'static str) -> Result<(StatusCode, Bytes), Error> {
    let response = http.get(Uri::from_static(uri)).await?;
    let status = response.status();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    Ok((status, body))
}

/// An error and all that caused it
fn told(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The same address in two buildings, and a name that is asked of each building's own DNS server
#[tokio::test(start_paused = true)]
async fn a_client_of_each_building_reaches_its_own_device() {
    let world = World::new(10);
    for number in [1, 2] {
        let server = world.building(number);
        let tunnel = world.connect(&server).await;
        let http = http(&tunnel);
        for uri in ["http://192.168.1.3/", "http://knx.lan/", "http://knx.lan:80/"] {
            let (status, body) = get(&http, uri).await.expect(uri);
            assert_eq!(status, StatusCode::OK);
            assert_eq!(body, format!("building {number}\n"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_pool_uses_a_connection_again() {
    let world = World::new(10);
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    let http = http(&tunnel);
    for _ in 0..5 {
        get(&http, "http://192.168.1.3/").await.expect("a page");
        assert_eq!(tunnel.stats().stack.expect("a stack").connections, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_uri_that_would_leave_in_the_clear_or_names_no_host_is_refused() {
    let world = World::new(10);
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    let error = get(&http(&tunnel), "https://192.168.1.3/").await.expect_err("no TLS here");
    assert!(told(&error).contains("its scheme is not http"), "{}", told(&error));
    // with TLS above the connector port 443 is tried, where this device has nothing
    let connector = HttpConnector::new(tunnel.clone()).accept_https();
    let secure: Http = Client::builder(TokioExecutor::new()).build(connector);
    let error = get(&secure, "https://192.168.1.3/").await.expect_err("nothing listens");
    assert!(told(&error).contains("refused"), "{}", told(&error));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_tunnel_is_found_in_the_error_of_the_client() {
    let world = World::new(10);
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    let http = http(&tunnel);
    get(&http, "http://192.168.1.3/").await.expect("a page");
    tunnel.close().await;
    let error = get(&http, "http://192.168.1.3/").await.expect_err("the tunnel is over");
    assert_eq!(TunnelError::find(&error).expect("its reason").name(), "Closed");
}
