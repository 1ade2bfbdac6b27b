//! Dials real servers and uses their tunnels a little, so that a capture has something of everything
//!
//! `dial FOLDER SERVER…` connects to each server with whatever it wants, and leaves what was inside
//! the tunnel in `FOLDER/SERVER.pcapng`. Then it dials with a wrong password, to be refused. What is outside is for tcpdump; `fuzz/README.md` says how.

use std::{env, error::Error, net::Ipv4Addr, path::Path, time::Duration};

use pptp::{
    Client, Tunnel, TunnelConfig,
    config::{EncryptionDemand, KeyStrength, StatefulReset},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// The lab's account, which is no secret
const USER: &str = "testuser";
const PASSWORD: &str = "test123";
/// The lab's device behind each server
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, servers @ ..] = arguments.as_slice() else {
        return Err("dial FOLDER SERVER…".into());
    };
    let client = Client::new()?;
    for server in servers {
        let file = Path::new(folder).join(format!("{server}.pcapng"));
        match use_tunnel(&client, server, &file).await {
            Ok(()) => println!("{server}: captured"),
            Err(error) => println!("{server}: {error}"),
        }
        let refused = client.connect(config(server, "wrong")).await.err();
        println!("{server}: {}", refused.ok_or("took a wrong password")?);
    }
    client.wait_idle().await;
    Ok(())
}

async fn use_tunnel(client: &Client, server: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    let tunnel = client.connect(config(server, PASSWORD)).await?;
    let mut capture = tunnel.capture();
    say_something(&tunnel).await;
    sleep(Duration::from_secs(1)).await;
    capture.stop();
    let mut octets = Vec::new();
    capture.read_to_end(&mut octets).await?;
    tokio::fs::write(file, octets).await?;
    tunnel.close().await;
    Ok(())
}

/// Everything is agreed to: what the weaker servers say is wanted too
fn config(server: &str, password: &str) -> TunnelConfig {
    TunnelConfig::new(server, USER, password)
        .insecure_mschap_v1()
        .insecure_chap_md5()
        .insecure_pap()
        .insecure_encryption(EncryptionDemand::InsecurePrefer)
        .insecure_least_key(KeyStrength::Bits40)
        .insecure_stateful_mppe(StatefulReset::Linux)
        .ipv6(true)
}

/// One of each: what fails is in the capture too
async fn say_something(tunnel: &Tunnel) {
    let _ = tunnel.ping(DEVICE, PATIENCE).await;
    let _ = timeout(PATIENCE, tunnel.lookup_txt("whoami.lan")).await;
    let _ = timeout(PATIENCE, tunnel.lookup_host("knx.lan")).await;
    let _ = timeout(PATIENCE, tunnel.dhcp_inform()).await;
    let _ = timeout(PATIENCE, get(tunnel)).await;
    let _ = timeout(PATIENCE, tunnel.tcp_connect((DEVICE, 4))).await;
    let _ = timeout(PATIENCE, echo(tunnel)).await;
}

async fn get(tunnel: &Tunnel) -> std::io::Result<()> {
    let mut stream = tunnel.tcp_connect((DEVICE, 80)).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

async fn echo(tunnel: &Tunnel) -> std::io::Result<()> {
    let socket = tunnel.udp_bind(0)?;
    socket.send_to(b"echo", (DEVICE, 7)).await?;
    socket.recv_from(&mut [0; 16]).await?;
    Ok(())
}
