//! Ends: shutdown, another address, futures dropped half-way, and who is woken
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    io::{self, ErrorKind},
    net::Ipv4Addr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use common::*;
use hickory_proto::op::Message;
use pptp_netstack::{Net, SocketError, StackConfig, TcpOptions, TcpStream, UdpOptions};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, sleep},
};

fn tcp() -> TcpOptions {
    TcpOptions::default()
}

fn udp() -> UdpOptions {
    UdpOptions::default()
}

async fn connect(pair: &Pair) -> (TcpStream, TcpStream) {
    let listener = pair.server.tcp_listen(any(80), 4, tcp()).unwrap();
    let (client, server) =
        tokio::join!(pair.client.tcp_connect(at(SERVER, 80), tcp()), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

#[derive(Debug, PartialEq)]
struct EchoTimeout(u32);

impl fmt::Display for EchoTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no echo reply for {} s", self.0)
    }
}

impl Error for EchoTimeout {}

fn end(pair: &Pair) {
    pair.client_link
        .with_stack(|stack| stack.shut_down(Arc::new(EchoTimeout(60)), ErrorKind::NotConnected));
}

#[track_caller]
fn has_ended<T: fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert_eq!(error.to_string(), "no echo reply for 60 s");
    let reason = error.source().and_then(|source| source.downcast_ref());
    assert_eq!(reason, Some(&EchoTimeout(60)));
}

#[tokio::test(start_paused = true)]
async fn everything_pending_fails_with_the_reason() {
    let pair = Pair::new();
    let (client, server) = connect(&pair).await;
    let (mut reader, mut writer) = client.into_split();
    let listener = pair.client.tcp_listen(any(80), 4, tcp()).unwrap();
    let socket = Arc::new(pair.client.udp_bind(any(0), udp()).unwrap());
    pair.cut();
    let net = || pair.client.clone();
    let read = tokio::spawn(async move { reader.read(&mut [0; 1]).await.map(|_| ()) });
    let write = tokio::spawn(async move { writer.write_all(&vec![0; 1 << 20]).await });
    let accept = tokio::spawn(async move { listener.accept().await.map(|_| ()) });
    let receiving = socket.clone();
    let receive = tokio::spawn(async move { receiving.recv(&mut [0; 1]).await.map(|_| ()) });
    let a = net();
    let connect =
        tokio::spawn(async move { a.tcp_connect(at(SERVER, 81), tcp()).await.map(|_| ()) });
    let a = net();
    let ping =
        tokio::spawn(async move { a.ping(SERVER, Duration::from_secs(9)).await.map(|_| ()) });
    let a = net();
    let lookup = tokio::spawn(async move { a.lookup_host("www.lan").await.map(|_| ()) });
    sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    end(&pair);
    for pending in [read, write, accept, receive, connect, ping, lookup] {
        has_ended(pending.await.unwrap());
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    has_ended(socket.send_to(b"x", at(SERVER, 9)).await);
    has_ended(pair.client.udp_bind(any(0), udp()));
    has_ended(pair.client.tcp_listen(any(80), 1, tcp()));
    has_ended(pair.client.tcp_connect(at(SERVER, 80), tcp()).await);
    has_ended(pair.client.ping(SERVER, Duration::from_secs(1)).await);
    has_ended(pair.client.lookup_host("www.lan").await);
    drop((socket, server));
    assert_eq!(pair.client_stats().connections, 0);
    assert_eq!(pair.client_stats().udp_sockets, 0);
}

#[tokio::test(start_paused = true)]
async fn a_renegotiation_that_keeps_the_address_keeps_the_sockets() {
    let pair = Pair::new();
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let (mut client, mut server) = connect(&pair).await;
    let socket = pair.client.udp_bind(any(9), udp()).unwrap();
    socket.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    let octets = pattern(300_000, 1);
    let written = octets.clone();
    let write = tokio::spawn(async move { client.write_all(&written).await.map(|()| client) });
    sleep(Duration::from_millis(20)).await;
    pair.record();
    pair.client_link.with_stack(|stack| {
        stack.reconfigure(Instant::now().into_std(), CLIENT, 1000, vec![SECOND]);
    });
    let mut got = vec![0; octets.len()];
    server.read_exact(&mut got).await.unwrap();
    assert!(got == octets);
    let _client = write.await.unwrap().unwrap();
    let longest = pair.record().into_iter().filter(|(to_server, _)| *to_server);
    assert_eq!(longest.map(|(_, packet)| packet.len()).max(), Some(1000), "the new MTU");
    socket.try_send_to(&[0; 972], at(SERVER, 9)).unwrap();
    socket.try_send_to(&[0; 973], at(SERVER, 9)).unwrap();
    sleep(Duration::from_millis(1)).await;
    let sent =
        pair.record().into_iter().filter(|(to_server, packet)| *to_server && packet[9] == 17);
    let lengths: Vec<_> = sent.map(|(_, packet)| packet.len()).collect();
    assert_eq!(lengths, [1000, 996, 25], "what does not fit the new MTU leaves in fragments");
    let sender = pair.server.udp_bind(any(0), udp()).unwrap();
    sender.send_to(b"group", at(group, 9)).await.unwrap();
    assert_eq!(socket.recv(&mut [0; 5]).await.unwrap(), 5, "still a member");
}

#[tokio::test(start_paused = true)]
async fn another_address_ends_what_was_bound_to_the_old_one() {
    let pair = Pair::new();
    let (mut client, _server) = connect(&pair).await;
    let bound = pair.client.udp_bind(at(CLIENT, 9), udp()).unwrap();
    let unbound = pair.client.udp_bind(any(10), udp()).unwrap();
    let listener = pair.client.tcp_listen(at(CLIENT, 80), 1, tcp()).unwrap();
    let anywhere = pair.client.tcp_listen(any(81), 1, tcp()).unwrap();
    let read = tokio::spawn(async move { client.read(&mut [0; 1]).await });
    sleep(Duration::from_millis(100)).await;
    let new = Ipv4Addr::new(192, 168, 1, 77);
    pair.client_link.with_stack(|stack| {
        stack.reconfigure(Instant::now().into_std(), new, MTU, Vec::new());
    });
    let error = read.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    let error = error.get_ref().and_then(|error| error.downcast_ref::<SocketError>());
    assert_eq!(error, Some(&SocketError::AddressChanged { old: CLIENT }));
    for error in [bound.recv(&mut [0; 1]).await.err(), listener.accept().await.err()] {
        assert_eq!(error.unwrap().kind(), ErrorKind::ConnectionAborted);
    }
    let echo = pair.server.udp_bind(any(7), udp()).unwrap();
    unbound.send_to(b"x", at(SERVER, 7)).await.unwrap();
    assert_eq!(echo.recv_from(&mut [0; 1]).await.unwrap().1, at(new, 10));
    let connect = pair.server.tcp_connect(at(new, 81), tcp());
    let (connected, accepted) = tokio::join!(connect, anywhere.accept());
    assert!(connected.is_ok() && accepted.is_ok());
}

/// A future that is dropped after so many polls
struct DroppedAfter<F> {
    future: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for DroppedAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Drops what `start` makes after 0, 1, 2, … polls until it completes; nothing may be left behind
async fn drop_at_each_await<F: Future>(pair: &Pair, start: impl Fn(Net) -> F) -> usize {
    for polls in 0..100 {
        let future = Box::pin(start(pair.client.clone()));
        let completed = DroppedAfter { future, polls }.await.is_some();
        sleep(Duration::from_secs(80)).await;
        let stats = pair.client_stats();
        assert_eq!((stats.connections, stats.udp_sockets), (0, 0), "after {polls} polls");
        let stack = pair.client_link.with_stack(|stack| stack.is_idle());
        assert!(stack, "after {polls} polls");
        if completed {
            return polls;
        }
    }
    panic!("never completes");
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_at_any_await_leaves_nothing() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 4, tcp()).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    let talk = async |net: Net| {
        let mut stream = net.tcp_connect(at(SERVER, 80), tcp()).await.unwrap();
        let octets = pattern(100_000, 1);
        let (mut reader, mut writer) = stream.split();
        let write = async {
            writer.write_all(&octets).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(write, reader.read_to_end(&mut got));
        read.unwrap();
        assert!(got == octets);
        let _ = stream.peek(&mut [0; 1]).await;
    };
    assert!(drop_at_each_await(&pair, talk).await > 3);
    let ping = async |net: Net| net.ping(SERVER, Duration::from_secs(1)).await.unwrap();
    drop_at_each_await(&pair, ping).await;

    let dns = pair.server.udp_bind(at(SERVER, 53), udp()).unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (count, from) = dns.recv_from(&mut buffer).await.unwrap();
            let mut answer = Message::from_vec(&buffer[..count]).unwrap().into_response();
            answer.metadata.truncation = true;
            dns.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    let _dns = pair.server.tcp_listen(at(SERVER, 53), 100, tcp()).unwrap();
    let lookup = async |net: Net| net.lookup_host("www.lan").await.unwrap_err();
    assert!(drop_at_each_await(&pair, lookup).await > 3);

    let receive = async |net: Net| {
        let socket = net.udp_bind(any(0), udp()).unwrap();
        socket.send_to(b"nobody", at(SERVER, 9)).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut [0; 1])).await;
        socket.writable().await.unwrap();
    };
    drop_at_each_await(&pair, receive).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_accept_loses_no_connection() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 4, tcp()).unwrap();
    {
        let mut accept = pin!(listener.accept());
        let pending = poll_fn(|context| Poll::Ready(accept.as_mut().poll(context).is_pending()));
        assert!(pending.await);
        let _client = pair.client.tcp_connect(at(SERVER, 80), tcp()).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "the client has left since");
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

fn waits_to_read(stream: &mut TcpStream, wakes: &Arc<Wakes>) -> bool {
    let waker = Waker::from(wakes.clone());
    let mut buffer = [0; 100];
    let mut buffer = ReadBuf::new(&mut buffer);
    Pin::new(stream).poll_read(&mut Context::from_waker(&waker), &mut buffer).is_pending()
}

fn waits_to_write(stream: &mut TcpStream, wakes: &Arc<Wakes>) -> bool {
    let waker = Waker::from(wakes.clone());
    Pin::new(stream).poll_write(&mut Context::from_waker(&waker), &[0; 1000]).is_pending()
}

#[tokio::test(start_paused = true)]
async fn a_task_is_woken_when_its_wait_is_over_and_not_before() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    let (reads, writes) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    assert!(waits_to_read(&mut client, &reads));
    client.write_all(b"acknowledged only").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(reads.take(), 0, "an acknowledgment is nothing to read");
    for _ in 0..20 {
        server.write_all(&[0; 1000]).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(reads.take(), 1, "one wake, however many segments");

    while !waits_to_write(&mut client, &writes) {}
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writes.take(), 1, "the peer has taken what fits its buffer");
    while !waits_to_write(&mut client, &writes) {}
    sleep(Duration::from_secs(30)).await;
    assert_eq!(writes.take(), 0, "the peer's window is closed");
    server.read_exact(&mut vec![0; 60_000]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writes.take(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_connection_makes_the_stack_wait_too() {
    let pair = Pair::new();
    let (_client, _server) = connect(&pair).await;
    sleep(Duration::from_secs(1)).await;
    let deadline = pair.client_link.with_stack(|stack| {
        assert!(!stack.take_ready());
        stack.poll_timeout(Instant::now().into_std())
    });
    assert_eq!(deadline, None, "an idle connection has no deadline");
}

#[tokio::test(start_paused = true)]
async fn a_stack_whose_link_is_gone_has_ended() {
    let (net, link) = pptp_netstack::Local::new(StackConfig::new(CLIENT, MTU, 1));
    let socket = net.udp_bind(any(0), udp()).unwrap();
    let receive = tokio::spawn(async move { socket.recv(&mut [0; 1]).await });
    tokio::task::yield_now().await;
    drop(link);
    assert_eq!(receive.await.unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
}
