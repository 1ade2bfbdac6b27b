//! Those who use the sockets: a little of everything, as far as the script lets them

use std::{io, net::Ipv4Addr, pin::Pin, time::Duration};

use pptp_netstack::{DhcpInform, Net, TcpOptions, TcpStream, UdpOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::addresses::{PEER, PORT, UDP_PORT};

/// Octets of a connection's buffers, each way
const BUFFER: usize = 4096;
/// Accepted connections at a time
const MOST_ACCEPTED: usize = 8;
/// Something that uses a socket, until it is over
pub(super) type User = Pin<Box<dyn Future<Output = ()>>>;

/// A task for each bit
pub(super) fn all(net: &Net, which: u8) -> Vec<User> {
    let tasks: [fn(Net) -> User; 8] = [
        |net| Box::pin(quietly(client(net))),
        |net| Box::pin(quietly(listener(net))),
        |net| Box::pin(quietly(datagrams(net))),
        |net| Box::pin(quietly(pings(net))),
        |net| Box::pin(quietly(names(net))),
        |net| Box::pin(quietly(texts(net))),
        |net| Box::pin(quietly(informs(net))),
        |net| Box::pin(quietly(reader(net))),
    ];
    let wanted = tasks.iter().enumerate().filter(|(bit, _)| which >> bit & 1 == 1);
    wanted.map(|(_, task)| task(net.clone())).collect()
}

/// An error is as good an answer as any
async fn quietly(task: impl Future<Output = io::Result<()>>) {
    let _ = task.await;
}

fn tcp() -> TcpOptions {
    TcpOptions::default()
        .receive_buffer(BUFFER)
        .send_buffer(BUFFER)
        .keepalive(Some(Duration::from_secs(30)))
}

fn udp() -> UdpOptions {
    UdpOptions::default().receive_buffer(BUFFER).send_buffer(BUFFER)
}

/// Connects, says a lot, closes its half, and reads to the end
async fn client(net: Net) -> io::Result<()> {
    let mut stream = net.tcp_connect((PEER, PORT), tcp()).await?;
    stream.write_all(&[0x5A; 3 * BUFFER]).await?;
    stream.shutdown().await?;
    read_all(&mut stream).await
}

/// Connects and reads only
async fn reader(net: Net) -> io::Result<()> {
    read_all(&mut net.tcp_connect((PEER, PORT), tcp()).await?).await
}

async fn read_all(stream: &mut TcpStream) -> io::Result<()> {
    let mut octets = [0; 512];
    while stream.read(&mut octets).await? > 0 {}
    Ok(())
}

/// Accepts, says something to each and reads what is there
async fn listener(net: Net) -> io::Result<()> {
    // what is dropped is reset at once, so that no more than these are there
    let options = tcp().linger(Duration::ZERO);
    let listener = net.tcp_listen((Ipv4Addr::UNSPECIFIED, PORT).into(), 4, options)?;
    let mut accepted = Vec::with_capacity(MOST_ACCEPTED);
    loop {
        let (stream, _) = listener.accept().await?;
        if accepted.len() == MOST_ACCEPTED {
            accepted.remove(0);
        }
        let _ = stream.try_write(&[0x5A; 100]);
        accepted.push(stream);
        for stream in &accepted {
            let _ = stream.try_read(&mut [0; 512]);
        }
    }
}

/// Answers whoever writes
async fn datagrams(net: Net) -> io::Result<()> {
    let socket = net.udp_bind((Ipv4Addr::UNSPECIFIED, UDP_PORT).into(), udp())?;
    socket.send_to(b"hello", (PEER, UDP_PORT)).await?;
    let mut octets = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut octets).await?;
        socket.send_to(&octets[..length.min(64)], from).await?;
    }
}

async fn pings(net: Net) -> io::Result<()> {
    for _ in 0..4 {
        let _ = net.ping(PEER, Duration::from_secs(2)).await;
        let _ = net.ping_sized(PEER, 1400, Duration::from_secs(2)).await;
    }
    Ok(())
}

async fn names(net: Net) -> io::Result<()> {
    for _ in 0..4 {
        let _ = net.lookup_host("knx.lan").await;
    }
    Ok(())
}

async fn texts(net: Net) -> io::Result<()> {
    for _ in 0..4 {
        let _ = net.lookup_txt("whoami.lan").await;
    }
    Ok(())
}

async fn informs(net: Net) -> io::Result<()> {
    for _ in 0..4 {
        let _ = net.dhcp_inform(DhcpInform::default()).await;
    }
    Ok(())
}
