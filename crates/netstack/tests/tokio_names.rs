//! A program, written for `tokio::net`, over the kernel's sockets and over ours
//!
//! It compiles for both, and what it finds out is the same.
#![cfg(target_os = "linux")]
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{
    fmt::{Debug, Display},
    future::poll_fn,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    pin::Pin,
    time::Duration,
};

use common::{CLIENT, Pair, SERVER, any, at};
use pptp_netstack::{LookupError, TcpOptions, UdpOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest, ReadBuf};

/// The findings of a program, as text
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts(Vec<String>);

impl Facts {
    fn note(&mut self, what: &str, told: impl Display) {
        self.0.push(format!("{what}: {told}"));
    }
}

fn told<T: Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        // an error with a kind is compared by it; the number is the kernel's own business
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
        mod $name {
            use super::*;

            /// `one` is bound to no address, `other` to its own
            pub(super) async fn run(one: $socket, other: $socket) -> Facts {
                let mut facts = Facts::default();
                unconnected(&one, &mut facts).await;
                options(&one, &mut facts);
                addresses(&one, &other, &mut facts).await;
                connected(&one, &other, &mut facts).await;
                datagrams(&one, &other, &mut facts).await;
                facts
            }

            async fn unconnected(one: &$socket, facts: &mut Facts) {
                let mut buffer = [0; 64];
                facts.note("bound to", one.local_addr().unwrap().ip());
                facts.note("send, unconnected", told(one.send(b"x").await));
                facts.note("try_send, unconnected", told(one.try_send(b"x")));
                facts.note(
                    "poll_send, unconnected",
                    told(poll_fn(|cx| one.poll_send(cx, b"x")).await),
                );
                facts.note("peer, unconnected", told(one.peer_addr()));
                facts.note("no port", told(one.send_to(b"x", "192.168.1.3").await));
                facts.note("no address", told(one.connect(&[][..]).await));
                facts.note("recv, nothing there", told(one.try_recv(&mut buffer)));
                facts.note("peek, nothing there", told(one.try_peek(&mut buffer)));
            }

            fn options(one: &$socket, facts: &mut Facts) {
                facts.note("broadcast", told(one.broadcast()));
                one.set_broadcast(true).unwrap();
                facts.note("broadcast, set", told(one.broadcast()));
                facts.note("loop", told(one.multicast_loop_v4()));
                one.set_multicast_loop_v4(false).unwrap();
                facts.note("loop, set", told(one.multicast_loop_v4()));
                one.set_multicast_ttl_v4(7).unwrap();
                facts.note("multicast ttl", told(one.multicast_ttl_v4()));
                facts.note("multicast ttl of 256", told(one.set_multicast_ttl_v4(256)));
                facts.note("ttl", told(one.ttl()));
                one.set_ttl(9).unwrap();
                facts.note("ttl, set", told(one.ttl()));
                for ttl in [0, 256] {
                    facts.note("ttl out of range", told(one.set_ttl(ttl)));
                }
                facts.note("error", told(one.take_error()));
            }

            async fn addresses(one: &$socket, other: &$socket, facts: &mut Facts) {
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
                    facts.note("sent", told(sent));
                    let (count, from) = other.recv_from(&mut [0; 64]).await.unwrap();
                    assert_eq!((count, from.port()), (1, here));
                }
            }

            async fn connected(one: &$socket, other: &$socket, facts: &mut Facts) {
                let there = other.local_addr().unwrap();
                one.connect(there.to_string()).await.unwrap();
                assert_eq!(one.peer_addr().unwrap(), there);
                let here = one.local_addr().unwrap();
                facts.note("a connected one's own address", here.ip().is_unspecified());
                other.connect(here).await.unwrap();
                assert_eq!(
                    (other.peer_addr().unwrap(), other.local_addr().unwrap()),
                    (here, there)
                );
                let ready = one.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
                facts.note("ready", format!("{} {}", ready.is_readable(), ready.is_writable()));
            }

            async fn datagrams(one: &$socket, other: &$socket, facts: &mut Facts) {
                let (here, mut buffer) = (one.local_addr().unwrap(), [0; 64]);
                poll_fn(|cx| one.poll_send_ready(cx)).await.unwrap();
                facts.note("sent", told(poll_fn(|cx| one.poll_send(cx, b"hello")).await));
                poll_fn(|cx| other.poll_recv_ready(cx)).await.unwrap();
                let ready = other.ready(Interest::READABLE).await.unwrap();
                facts.note("ready", format!("{} {}", ready.is_readable(), ready.is_writable()));
                facts.note("peek", told(other.peek(&mut buffer[..3]).await));
                facts.note("peek at once", told(other.try_peek(&mut buffer)));
                assert_eq!(other.peek_from(&mut buffer).await.unwrap(), (5, here));
                assert_eq!(other.try_peek_from(&mut buffer).unwrap(), (5, here));
                assert_eq!(other.peek_sender().await.unwrap(), here);
                assert_eq!(other.try_peek_sender().unwrap(), here);
                assert_eq!(poll_fn(|cx| other.poll_peek_sender(cx)).await.unwrap(), here);
                let mut read = ReadBuf::new(&mut buffer);
                poll_fn(|cx| other.poll_peek(cx, &mut read)).await.unwrap();
                poll_fn(|cx| other.poll_peek_from(cx, &mut read)).await.unwrap();
                facts.note("polled", String::from_utf8_lossy(read.filled()));
                let mut text = Vec::with_capacity(3);
                facts.note("recv_buf", told(other.recv_buf(&mut text).await));
                facts.note("what fits", format!("{text:?}"));

                one.send(b"again").await.unwrap();
                assert_eq!(other.recv_buf_from(&mut text).await.unwrap(), (5, here));
                facts.note("a full buffer grows", String::from_utf8_lossy(&text));
                facts.note("nothing left", told(other.try_recv_buf(&mut text)));
                assert!(other.try_recv_buf_from(&mut text).is_err());
                one.send(b"polled").await.unwrap();
                let mut read = ReadBuf::new(&mut buffer);
                poll_fn(|cx| other.poll_recv(cx, &mut read)).await.unwrap();
                facts.note("polled", String::from_utf8_lossy(read.filled()));
            }
        }
    };
}

macro_rules! tcp_program {
    ($name:ident, $stream:ty) => {
        mod $name {
            use super::*;

            pub(super) async fn run(one: $stream, mut other: $stream) -> Facts {
                let mut facts = Facts::default();
                options(&one, &mut facts);
                whole(&one, &other, &mut facts).await;
                let one = borrowed(one, &mut other, &mut facts).await;
                let other = owned(&one, other, &mut facts).await;
                end(one, other, &mut facts).await;
                facts
            }

            #[allow(deprecated, reason = "tokio warns of a wait that ours does not have")]
            fn options(one: &$stream, facts: &mut Facts) {
                facts.note("linger", told(one.linger()));
                one.set_linger(Some(Duration::from_secs(5))).unwrap();
                facts.note("linger, set", told(one.linger()));
                one.set_zero_linger().unwrap();
                facts.note("linger, zero", told(one.linger()));
                one.set_linger(None).unwrap();
                facts.note("linger, none", told(one.linger()));
                facts.note("ttl", told(one.ttl()));
                one.set_ttl(9).unwrap();
                facts.note("ttl, set", told(one.ttl()));
                for ttl in [0, 256] {
                    facts.note("ttl out of range", told(one.set_ttl(ttl)));
                }
                facts.note("nodelay", told(one.nodelay()));
                facts.note("error", told(one.take_error()));
            }

            async fn whole(one: &$stream, other: &$stream, facts: &mut Facts) {
                let mut buffer = [0; 64];
                let ready = one.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
                facts.note("ready", format!("{} {}", ready.is_readable(), ready.is_writable()));
                facts.note("nothing there", told(one.try_read(&mut buffer)));
                facts.note("nothing there", told(one.try_read_buf(&mut Vec::new())));
                poll_fn(|cx| one.poll_write_ready(cx)).await.unwrap();
                facts.note("written", told(one.try_write(b"one")));
                let slices = [IoSlice::new(b"two"), IoSlice::new(b""), IoSlice::new(b"three")];
                facts.note("written", told(one.try_write_vectored(&slices)));

                while other.peek(&mut [0; 11]).await.unwrap() < 11 {}
                let mut peeked = ReadBuf::new(&mut buffer);
                facts.note("peek", told(poll_fn(|cx| other.poll_peek(cx, &mut peeked)).await));
                poll_fn(|cx| other.poll_read_ready(cx)).await.unwrap();
                let ready = other.ready(Interest::READABLE).await.unwrap();
                facts.note("ready", format!("{} {}", ready.is_readable(), ready.is_read_closed()));
                let (mut first, mut second) = ([0; 2], [0; 3]);
                let mut into = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
                facts.note("read", told(other.try_read_vectored(&mut into)));
                facts.note("read", format!("{first:?} {second:?}"));
                let mut text = Vec::with_capacity(3);
                facts.note("read", told(other.try_read_buf(&mut text)));
                facts.note("a full buffer grows", told(other.try_read_buf(&mut text)));
            }

            /// The halves of `other` talk to `one`, which is whole again afterwards
            #[allow(
                unused_mut,
                reason = "a half of tokio's peeks by exclusive borrow, ours by any"
            )]
            async fn borrowed(one: $stream, other: &mut $stream, facts: &mut Facts) -> $stream {
                let mut buffer = [0; 64];
                let (mut reader, writer) = other.split();
                facts.note("error", told(reader.as_ref().take_error()));
                facts.note("ttl", told(writer.as_ref().ttl()));
                assert_eq!(reader.local_addr().unwrap(), one.peer_addr().unwrap());
                assert_eq!(writer.peer_addr().unwrap(), one.local_addr().unwrap());
                let ready = writer.ready(Interest::WRITABLE).await.unwrap();
                facts.note("ready", ready.is_writable());
                writer.writable().await.unwrap();
                facts.note("written", told(writer.try_write(b"back")));
                let written = writer.try_write_vectored(&[IoSlice::new(b"wards")]);
                facts.note("written", told(written));
                facts.note("nothing there", told(reader.try_read(&mut buffer)));

                let (one_reads, mut one_writes) = one.into_split();
                one_writes.write_all(b"for the half").await.unwrap();
                while reader.peek(&mut [0; 12]).await.unwrap() < 12 {}
                let mut peeked = ReadBuf::new(&mut buffer);
                facts.note("peek", told(poll_fn(|cx| reader.poll_peek(cx, &mut peeked)).await));
                let ready = reader.ready(Interest::READABLE).await.unwrap();
                facts.note("ready", ready.is_readable());
                reader.readable().await.unwrap();
                let mut text = Vec::new();
                facts.note("read", told(reader.try_read_buf(&mut text)));
                let nothing = reader.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)]);
                facts.note("nothing there", told(nothing));
                one_reads.reunite(one_writes).unwrap()
            }

            /// The halves of `other` read the octets that have come, and answer; it is whole again afterwards
            #[allow(
                unused_mut,
                reason = "a half of tokio's peeks by exclusive borrow, ours by any"
            )]
            async fn owned(one: &$stream, other: $stream, facts: &mut Facts) -> $stream {
                let mut buffer = [0; 64];
                facts.note("written", told(one.try_write(b"forwards")));
                let (mut reader, writer) = other.into_split();
                while reader.peek(&mut [0; 8]).await.unwrap() < 8 {}
                let mut peeked = ReadBuf::new(&mut buffer);
                facts.note("peek", told(poll_fn(|cx| reader.poll_peek(cx, &mut peeked)).await));
                let ready = reader.ready(Interest::READABLE).await.unwrap();
                facts.note("ready", ready.is_readable());
                reader.readable().await.unwrap();
                facts.note("error", told(reader.as_ref().take_error()));
                facts.note("read", told(reader.try_read(&mut buffer[..2])));
                facts.note("read", told(reader.try_read_buf(&mut Vec::new())));
                let nothing = reader.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)]);
                facts.note("nothing there", told(nothing));
                facts.note("written", told(writer.try_write(b"!")));
                let written = writer.try_write_vectored(&[IoSlice::new(b"?")]);
                facts.note("written", told(written));
                let ready = writer.ready(Interest::WRITABLE).await.unwrap();
                facts.note("ready", ready.is_writable());
                writer.writable().await.unwrap();
                facts.note("nodelay", told(writer.as_ref().nodelay()));
                assert_eq!(reader.local_addr().unwrap(), writer.local_addr().unwrap());
                assert_eq!(reader.peer_addr().unwrap(), writer.peer_addr().unwrap());
                writer.reunite(reader).unwrap()
            }

            async fn end(one: $stream, other: $stream, facts: &mut Facts) {
                let (one_reads, one_writes) = one.into_split();
                let (other_reads, other_writes) = other.into_split();
                let error = one_writes.reunite(other_reads).unwrap_err();
                assert!(error.to_string().starts_with("tried to reunite"), "{error}");
                let mut one = one_reads.reunite(error.1).unwrap();
                let mut other = error.0.reunite(other_writes).unwrap();
                other.shutdown().await.unwrap();
                let mut rest = Vec::new();
                one.read_to_end(&mut rest).await.unwrap();
                facts.note("the rest", String::from_utf8_lossy(&rest));
                let ready = one.ready(Interest::READABLE).await.unwrap();
                let closed = ready.is_read_closed();
                facts.note("at the end", format!("{} {closed}", ready.is_readable()));
                let mut buffer = [0; 64];
                let mut read = ReadBuf::new(&mut buffer);
                poll_fn(|cx| Pin::new(&mut one).poll_read(cx, &mut read)).await.unwrap();
                facts.note("at the end", read.filled().len());
                facts.note("after shutdown", told(other.write_all(b"x").await));
            }
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
    let expected = the_kernels_udp::run(kernels.0, kernels.1).await;
    assert_eq!(our_udp::run(ours.0, ours.1).await, expected);
}

#[tokio::test]
async fn a_tcp_program_for_tokio_finds_the_same() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connect = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let (one, other) = tokio::join!(connect, listener.accept());
    let expected = the_kernels_tcp::run(one.unwrap(), other.unwrap().0).await;

    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 1, TcpOptions::default()).unwrap();
    let connect = pair.client.tcp_connect("192.168.1.1:80", TcpOptions::default());
    let (one, other) = tokio::join!(connect, listener.accept());
    let (one, other) = (one.unwrap(), other.unwrap().0);
    assert_eq!(one.local_addr().unwrap().ip(), CLIENT);
    assert_eq!(our_tcp::run(one, other).await, expected);
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
