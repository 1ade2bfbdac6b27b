//! One program, written for `tokio::net`, over the kernel's sockets and over ours
//!
//! It compiles for both, and what it finds out is the same.
#![cfg(target_os = "linux")]
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{
    future::poll_fn,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    pin::Pin,
    time::Duration,
};

use common::{CLIENT, Pair, SERVER, any, at};
use pptp_netstack::{LookupError, TcpOptions, UdpOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest, ReadBuf};

/// What a program found out, in words
type Facts = Vec<String>;

fn told<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        // what has a kind is told by it; the number is the kernel's own business
        Err(error) => match format!("{:?}", error.kind()).as_str() {
            "Uncategorized" => format!("{:?}", error.raw_os_error()),
            kind => kind.into(),
        },
    }
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => unreachable!("bound to IPv4"),
    }
}

macro_rules! udp_program {
    ($name:ident, $socket:ty) => {
        /// `one` is bound to no address, `other` to its own
        async fn $name(one: $socket, other: $socket) -> Facts {
            let mut facts = Facts::new();
            let mut fact = |what: &str, told: String| facts.push(format!("{what}: {told}"));
            let mut buffer = [0; 64];

            fact("bound to", one.local_addr().unwrap().ip().to_string());
            fact("send, unconnected", told(one.send(b"x").await));
            fact("try_send, unconnected", told(one.try_send(b"x")));
            fact("poll_send, unconnected", told(poll_fn(|cx| one.poll_send(cx, b"x")).await));
            fact("peer, unconnected", told(one.peer_addr()));
            fact("no port", told(one.send_to(b"x", "192.168.1.3").await));
            fact("no address", told(one.connect(&[][..]).await));
            fact("recv, nothing there", told(one.try_recv(&mut buffer)));
            fact("peek, nothing there", told(one.try_peek(&mut buffer)));
            fact("broadcast", told(one.broadcast()));
            one.set_broadcast(true).unwrap();
            fact("broadcast, set", told(one.broadcast()));
            fact("loop", told(one.multicast_loop_v4()));
            one.set_multicast_loop_v4(false).unwrap();
            fact("loop, set", told(one.multicast_loop_v4()));
            one.set_multicast_ttl_v4(7).unwrap();
            fact("multicast ttl", told(one.multicast_ttl_v4()));
            fact("multicast ttl of 256", told(one.set_multicast_ttl_v4(256)));
            fact("ttl", told(one.ttl()));
            one.set_ttl(9).unwrap();
            fact("ttl, set", told(one.ttl()));
            for ttl in [0, 256] {
                fact("ttl out of range", told(one.set_ttl(ttl)));
            }
            fact("error", told(one.take_error()));

            let (here, there) = (one.local_addr().unwrap().port(), other.local_addr().unwrap());
            let (address, port) = (*v4(there).ip(), there.port());
            for sent in [
                one.send_to(b"a", there).await,
                one.send_to(b"a", v4(there)).await,
                one.send_to(b"a", &there).await,
                one.send_to(b"a", (address, port)).await,
                one.send_to(b"a", (IpAddr::from(address), port)).await,
                one.send_to(b"a", (address.to_string(), port)).await,
                one.send_to(b"a", (address.to_string().as_str(), port)).await,
                one.send_to(b"a", there.to_string()).await,
                one.send_to(b"a", there.to_string().as_str()).await,
                one.send_to(b"a", &[there, there][..]).await,
                one.try_send_to(b"a", there),
                poll_fn(|cx| one.poll_send_to(cx, b"a", there)).await,
            ] {
                fact("sent", told(sent));
                let (count, from) = other.recv_from(&mut buffer).await.unwrap();
                assert_eq!((count, from.port()), (1, here));
            }

            one.connect(there.to_string()).await.unwrap();
            assert_eq!(one.peer_addr().unwrap(), there);
            let here = one.local_addr().unwrap();
            fact("a connected one's own address", here.ip().is_unspecified().to_string());
            other.connect(here).await.unwrap();
            assert_eq!((other.peer_addr().unwrap(), other.local_addr().unwrap()), (here, there));
            let ready = one.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
            fact("ready", format!("{} {}", ready.is_readable(), ready.is_writable()));

            poll_fn(|cx| one.poll_send_ready(cx)).await.unwrap();
            fact("sent", told(poll_fn(|cx| one.poll_send(cx, b"hello")).await));
            poll_fn(|cx| other.poll_recv_ready(cx)).await.unwrap();
            let ready = other.ready(Interest::READABLE).await.unwrap();
            fact("ready", format!("{} {}", ready.is_readable(), ready.is_writable()));
            fact("peek", told(other.peek(&mut buffer[..3]).await));
            fact("peek at once", told(other.try_peek(&mut buffer)));
            assert_eq!(other.peek_from(&mut buffer).await.unwrap(), (5, here));
            assert_eq!(other.try_peek_from(&mut buffer).unwrap(), (5, here));
            assert_eq!(other.peek_sender().await.unwrap(), here);
            assert_eq!(other.try_peek_sender().unwrap(), here);
            assert_eq!(poll_fn(|cx| other.poll_peek_sender(cx)).await.unwrap(), here);
            let mut read = ReadBuf::new(&mut buffer);
            poll_fn(|cx| other.poll_peek(cx, &mut read)).await.unwrap();
            poll_fn(|cx| other.poll_peek_from(cx, &mut read)).await.unwrap();
            fact("polled", String::from_utf8_lossy(read.filled()).into());
            let mut text = Vec::with_capacity(3);
            fact("recv_buf", told(other.recv_buf(&mut text).await));
            fact("what fits", format!("{text:?}"));

            one.send(b"again").await.unwrap();
            assert_eq!(other.recv_buf_from(&mut text).await.unwrap(), (5, here));
            fact("a full buffer grows", String::from_utf8_lossy(&text).into());
            fact("nothing left", told(other.try_recv_buf(&mut text)));
            assert!(other.try_recv_buf_from(&mut text).is_err());
            one.send(b"polled").await.unwrap();
            let mut read = ReadBuf::new(&mut buffer);
            poll_fn(|cx| other.poll_recv(cx, &mut read)).await.unwrap();
            fact("polled", String::from_utf8_lossy(read.filled()).into());
            facts
        }
    };
}

macro_rules! tcp_program {
    ($name:ident, $stream:ty) => {
        #[allow(deprecated, reason = "tokio warns of a wait that ours does not have")]
        async fn $name(one: $stream, mut other: $stream) -> Facts {
            let mut facts = Facts::new();
            let mut fact = |what: &str, told: String| facts.push(format!("{what}: {told}"));
            let mut buffer = [0; 64];

            fact("linger", told(one.linger()));
            one.set_linger(Some(Duration::from_secs(5))).unwrap();
            fact("linger, set", told(one.linger()));
            one.set_zero_linger().unwrap();
            fact("linger, zero", told(one.linger()));
            one.set_linger(None).unwrap();
            fact("linger, none", told(one.linger()));
            fact("ttl", told(one.ttl()));
            one.set_ttl(9).unwrap();
            fact("ttl, set", told(one.ttl()));
            for ttl in [0, 256] {
                fact("ttl out of range", told(one.set_ttl(ttl)));
            }
            fact("nodelay", told(one.nodelay()));
            fact("error", told(one.take_error()));
            let ready = one.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
            fact("ready", format!("{} {}", ready.is_readable(), ready.is_writable()));
            fact("nothing there", told(one.try_read(&mut buffer)));
            fact("nothing there", told(one.try_read_buf(&mut Vec::new())));
            poll_fn(|cx| one.poll_write_ready(cx)).await.unwrap();
            fact("written", told(one.try_write(b"one")));
            let slices = [IoSlice::new(b"two"), IoSlice::new(b""), IoSlice::new(b"three")];
            fact("written", told(one.try_write_vectored(&slices)));

            let mut peeked = ReadBuf::new(&mut buffer);
            while other.peek(&mut [0; 11]).await.unwrap() < 11 {}
            fact("peek", told(poll_fn(|cx| other.poll_peek(cx, &mut peeked)).await));
            poll_fn(|cx| other.poll_read_ready(cx)).await.unwrap();
            let ready = other.ready(Interest::READABLE).await.unwrap();
            fact("ready", format!("{} {}", ready.is_readable(), ready.is_read_closed()));
            let (mut first, mut second) = ([0; 2], [0; 3]);
            let mut into = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            fact("read", told(other.try_read_vectored(&mut into)));
            fact("read", format!("{first:?} {second:?}"));
            let mut text = Vec::with_capacity(3);
            fact("read", told(other.try_read_buf(&mut text)));
            fact("what fits", told(other.try_read_buf(&mut text)));

            let (mut reader, writer) = other.split();
            fact("a half's error", told(reader.as_ref().take_error()));
            fact("a half's ttl", told(writer.as_ref().ttl()));
            assert_eq!(reader.local_addr().unwrap(), one.peer_addr().unwrap());
            assert_eq!(writer.peer_addr().unwrap(), one.local_addr().unwrap());
            let ready = writer.ready(Interest::WRITABLE).await.unwrap();
            fact("a half is ready", ready.is_writable().to_string());
            writer.writable().await.unwrap();
            fact("a half writes", told(writer.try_write(b"back")));
            fact("a half writes", told(writer.try_write_vectored(&[IoSlice::new(b"wards")])));
            fact("a half peeks", told(reader.try_read(&mut buffer)));

            let (mut one_reads, mut one_writes) = one.into_split();
            one_writes.write_all(b"for the half").await.unwrap();
            while reader.peek(&mut [0; 12]).await.unwrap() < 12 {}
            let mut peeked = ReadBuf::new(&mut buffer);
            fact("a half peeks", told(poll_fn(|cx| reader.poll_peek(cx, &mut peeked)).await));
            fact("a half is ready", {
                let ready = reader.ready(Interest::READABLE).await.unwrap();
                ready.is_readable().to_string()
            });
            reader.readable().await.unwrap();
            let mut text = Vec::new();
            fact("a half reads", told(reader.try_read_buf(&mut text)));
            fact(
                "a half reads",
                told(reader.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)])),
            );

            while one_reads.peek(&mut [0; 9]).await.unwrap() < 9 {}
            let mut peeked = ReadBuf::new(&mut buffer);
            fact("an owned half", told(poll_fn(|cx| one_reads.poll_peek(cx, &mut peeked)).await));
            let ready = one_reads.ready(Interest::READABLE).await.unwrap();
            fact("an owned half", ready.is_readable().to_string());
            one_reads.readable().await.unwrap();
            fact("an owned half", told(one_reads.as_ref().take_error()));
            fact("an owned half", told(one_reads.try_read(&mut buffer[..2])));
            fact("an owned half", told(one_reads.try_read_buf(&mut text)));
            let none = one_reads.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)]);
            fact("an owned half", told(none));
            fact("an owned half", told(one_writes.try_write(b"!")));
            fact("an owned half", told(one_writes.try_write_vectored(&slices)));
            let ready = one_writes.ready(Interest::WRITABLE).await.unwrap();
            fact("an owned half", ready.is_writable().to_string());
            one_writes.writable().await.unwrap();
            fact("an owned half", told(one_writes.as_ref().nodelay()));
            assert_eq!(one_reads.local_addr().unwrap(), one_writes.local_addr().unwrap());
            assert_eq!(one_reads.peer_addr().unwrap(), one_writes.peer_addr().unwrap());

            let (other_reads, other_writes) = other.into_split();
            let (one_writes, other_reads) = match one_writes.reunite(other_reads) {
                Ok(_) => panic!("halves of two connections"),
                Err(error) => {
                    assert!(error.to_string().starts_with("tried to reunite"), "{error}");
                    (error.1, error.0)
                }
            };
            let mut one = one_reads.reunite(one_writes).unwrap();
            let mut other = other_reads.reunite(other_writes).unwrap();
            one.shutdown().await.unwrap();
            let mut rest = Vec::new();
            other.read_to_end(&mut rest).await.unwrap();
            fact("the rest", String::from_utf8_lossy(&rest).into());
            let ready = other.ready(Interest::READABLE).await.unwrap();
            fact("at the end", format!("{} {}", ready.is_readable(), ready.is_read_closed()));
            let mut read = ReadBuf::new(&mut buffer);
            poll_fn(|cx| Pin::new(&mut other).poll_read(cx, &mut read)).await.unwrap();
            fact("at the end", read.filled().len().to_string());
            fact("after shutdown", {
                let error = one.write_all(b"x").await.unwrap_err();
                format!("{:?}", error.kind())
            });
            facts
        }
    };
}

udp_program!(the_kernels_udp, tokio::net::UdpSocket);
udp_program!(our_udp, pptp_netstack::UdpSocket);
tcp_program!(the_kernels_tcp, tokio::net::TcpStream);
tcp_program!(our_tcp, pptp_netstack::TcpStream);

#[tokio::test]
async fn a_udp_program_for_tokio_finds_the_same() {
    let kernels = (
        tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap(),
        tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
    );
    let pair = Pair::new();
    let ours = (
        pair.client.udp_bind(any(0), UdpOptions::default()).unwrap(),
        pair.server.udp_bind(at(SERVER, 9), UdpOptions::default()).unwrap(),
    );
    let expected = the_kernels_udp(kernels.0, kernels.1).await;
    assert_eq!(our_udp(ours.0, ours.1).await, expected);
}

#[tokio::test]
async fn a_tcp_program_for_tokio_finds_the_same() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connect = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let (one, other) = tokio::join!(connect, listener.accept());
    let expected = the_kernels_tcp(one.unwrap(), other.unwrap().0).await;

    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 1, TcpOptions::default()).unwrap();
    let connect = pair.client.tcp_connect("192.168.1.1:80", TcpOptions::default());
    let (one, other) = tokio::join!(connect, listener.accept());
    let (one, other) = (one.unwrap(), other.unwrap().0);
    assert_eq!(one.local_addr().unwrap().ip(), CLIENT);
    assert_eq!(our_tcp(one, other).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_address_can_be_spawned() {
    let pair = Pair::new();
    let net = pair.client.clone();
    let program = tokio::spawn(async move {
        let socket = net.udp_bind(any(0), UdpOptions::default()).unwrap();
        socket.connect("nobody.lan:9").await.unwrap_err();
        socket.send_to(b"x", ("nobody.lan", 9)).await.unwrap_err();
        net.tcp_connect("nobody.lan:80", TcpOptions::default()).await.unwrap_err()
    });
    let error = program.await.unwrap();
    let error = error.get_ref().and_then(|error| error.downcast_ref::<LookupError>());
    assert!(matches!(error, Some(LookupError::NoAnswer { .. })), "{error:?}");
}
