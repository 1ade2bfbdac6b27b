//! An HTTP client with a pool of connections, for the servers behind a tunnel
//!
//!     cargo run --example hyper
//!
//! plays both sides: a PPTP server of the testkit in the same process, no root, no network. With `--server` it
//! dials a real one, which needs `CAP_NET_RAW`, and asks for the URIs that are named.

mod login;

use std::{error::Error, net::Ipv4Addr};

use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper::{Uri, body::Bytes};
use hyper_util::rt::TokioExecutor;
use pptp::{Client, Tunnel, TunnelConfig, net::HttpConnector};
use pptp_testkit::{Server, memory::Network};

/// Asks HTTP servers behind a PPTP server
#[derive(Parser)]
#[command(name = "hyper")]
struct Arguments {
    /// The PPTP server, host or host:port; without it, one of the testkit in this process
    #[arg(long)]
    server: Option<String>,
    /// The user on the server
    #[arg(long, default_value = "testuser", value_parser = login::user)]
    user: String,
    #[command(flatten)]
    password: login::Password,
    /// What to ask for; names are looked up inside the tunnel
    #[arg(default_values = ["http://192.168.1.3/", "http://knx.lan/"])]
    uris: Vec<Uri>,
}

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let password = arguments.password.find(std::env::var_os(login::VARIABLE))?;
    let password = password.unwrap_or_else(|| "test123".to_owned());
    let (client, server, _testkit) = match arguments.server {
        Some(server) => (Client::new()?, server, None),
        None => testkit()?,
    };
    let tunnel = client.connect(TunnelConfig::new(server, arguments.user, password)).await?;
    for line in ask(&tunnel, &arguments.uris).await? {
        println!("{line}");
    }
    tunnel.close().await;
    Ok(())
}

/// Asks for each of `uris` through one pool, and returns a line for each
async fn ask(tunnel: &Tunnel, uris: &[Uri]) -> Result<Vec<String>> {
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .build::<_, Empty<Bytes>>(HttpConnector::new(tunnel.clone()));
    let mut lines = Vec::new();
    for uri in uris {
        let response = http.get(uri.clone()).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        lines.push(format!("{uri}: {status}, {:?}", String::from_utf8_lossy(&body)));
    }
    Ok(lines)
}

/// A client on a network in memory, and a server with a building behind it
fn testkit() -> Result<(Client, String, Option<Server>)> {
    let network = Network::new(1);
    let address = Ipv4Addr::new(198, 51, 100, 1);
    let server = Server::builder(1).serve_memory(&network, address)?;
    let host = network.host(Ipv4Addr::new(198, 51, 100, 99));
    let client = Client::builder().memory(host).build()?;
    Ok((client, address.to_string(), Some(server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_building_answers_by_address_and_by_name() {
        let (client, server, _testkit) = testkit().unwrap();
        let tunnel =
            client.connect(TunnelConfig::new(server, "testuser", "test123")).await.unwrap();
        let uris = ["http://192.168.1.3/", "http://knx.lan/"].map(Uri::from_static);
        let lines = ask(&tunnel, &uris).await.unwrap();
        assert_eq!(lines[0], r#"http://192.168.1.3/: 200 OK, "building 1\n""#);
        assert_eq!(lines[1], r#"http://knx.lan/: 200 OK, "building 1\n""#);
    }
}
