//! The library in the program that uses it: what the connector does, without its local ports

use std::{fs, io, net::Ipv4Addr, thread};

use pptp::{Client, Tunnel, TunnelConfig, net::TcpStream};
use pptp_testkit::{
    DEVICE,
    content::{BLOCK, LENGTH, block},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::user::{GET, check_digest, length_in, put, wrong};
use crate::servers::real_time;

/// By this name its process is known
pub(super) const NAME: &str = "pptp-inside";

/// It says so when the tunnel is up
pub(super) const UP: &str = "up";
/// It says so when the building has answered, and after each transfer
pub(super) const DONE: &str = "done";
/// A line that tells it to take sixteen MiB from the building
pub(super) const DOWNLOAD: &str = "download";
/// A line that tells it to send as much there
pub(super) const UPLOAD: &str = "upload";

/// Connects, and moves octets as the lines of the standard input say, until that ends
///
/// # Errors
/// Of the tunnel, of a transfer, or if something else arrived than was sent.
pub fn run(server: Ipv4Addr) -> io::Result<()> {
    fs::write("/proc/self/comm", NAME)?;
    real_time().block_on(async {
        let client = Client::new().map_err(io::Error::other)?;
        let config = TunnelConfig::new(server.to_string(), "testuser", "test123");
        let tunnel = client.connect(config).await.map_err(io::Error::other)?;
        let served = serve(&tunnel).await;
        tunnel.close().await;
        served
    })
}

async fn serve(tunnel: &Tunnel) -> io::Result<()> {
    println!("{UP}");
    let mut device = tunnel.tcp_connect((DEVICE, 7)).await?;
    device.write_all(b"?").await?;
    device.read_exact(&mut [0]).await?;
    println!("{DONE}");
    let mut orders = orders();
    while let Some(order) = orders.recv().await {
        let device = tunnel.tcp_connect((DEVICE, 80)).await?;
        match order.as_str() {
            DOWNLOAD => download(device).await?,
            UPLOAD => upload(device).await?,
            other => return Err(wrong(other)),
        }
        println!("{DONE}");
    }
    Ok(())
}

/// The lines of the standard input
fn orders() -> UnboundedReceiver<String> {
    let (sender, orders) = unbounded_channel();
    thread::spawn(move || {
        let lines = io::stdin().lines().map_while(Result::ok);
        // once nobody hears them, the process ends
        lines.for_each(|line| _ = sender.send(line));
    });
    orders
}

async fn download(mut device: TcpStream) -> io::Result<()> {
    device.write_all(GET.as_bytes()).await?;
    let mut answer = BufReader::with_capacity(BLOCK, device);
    if body_length(&mut answer).await? != LENGTH {
        return Err(wrong("not sixteen MiB"));
    }
    let mut came = vec![0; BLOCK];
    for index in 0..LENGTH / BLOCK {
        answer.read_exact(&mut came).await?;
        if came != block(1, index as u64) {
            return Err(wrong("not what the building sent"));
        }
    }
    Ok(())
}

async fn upload(mut device: TcpStream) -> io::Result<()> {
    device.write_all(put().as_bytes()).await?;
    let zeros = vec![0; BLOCK];
    for _ in 0..LENGTH / BLOCK {
        device.write_all(&zeros).await?;
    }
    let mut answer = BufReader::new(device);
    let mut digest = vec![0; body_length(&mut answer).await?.min(BLOCK)];
    answer.read_exact(&mut digest).await?;
    check_digest(&digest)
}

async fn body_length(answer: &mut BufReader<TcpStream>) -> io::Result<usize> {
    let mut head = String::new();
    while answer.read_line(&mut head).await? > 2 {}
    length_in(&head)
}
