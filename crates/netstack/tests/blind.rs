//! Segments and ICMP messages of somebody who knows addresses and ports, but no sequence number
#![allow(missing_docs, reason = "tests")]

mod peer;

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use peer::*;
use pptp_netstack::{CongestionControl, TcpOptions, TcpStream};
use tokio::time::{advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

async fn connected() -> (Host, TcpStream, Line) {
    let host = Host::new();
    let (stream, line) = host.connect(options(), 8_000, &MSS).await;
    (host, stream, line)
}

/// All that is written leaves at once
fn options() -> TcpOptions {
    TcpOptions::default().nodelay(true)
}

fn is_alive(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0; 1]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// The acknowledgment that tells which numbers count
fn challenge(line: &Line) -> (u32, u32, u8) {
    (line.sent, line.received, ACK)
}

fn numbers(segment: &Segment) -> (u32, u32, u8) {
    (segment.sequence, segment.acknowledgment, segment.flags)
}

/// RFC 5961 §3.2
#[tokio::test(start_paused = true)]
async fn a_reset_counts_only_with_the_exact_number() {
    let (host, stream, line) = connected().await;
    let reset = |offset: u32| Segment {
        sequence: line.received.wrapping_add(offset),
        acknowledgment: 0,
        ..line.segment(RST)
    };
    let answers = host.answers(&reset(30_000));
    assert_eq!(answers.iter().map(numbers).collect::<Vec<_>>(), [challenge(&line)]);
    assert!(is_alive(&stream), "in the window");
    advance(2 * SECOND).await;
    for offset in [65_536, u32::MAX, 1 << 31] {
        assert_eq!(host.answers(&reset(offset)), [], "out of the window");
        assert!(is_alive(&stream));
    }
    assert_eq!(host.answers(&reset(0)), []);
    let error = stream.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// A reset counts with the next number: after octets that were read, that wait to be read, or that were lost
#[tokio::test(start_paused = true)]
async fn the_exact_number_moves_with_the_stream() {
    let (host, stream, line) = connected().await;
    let data = |at: u32, octets: usize| Segment {
        sequence: line.received.wrapping_add(at),
        octets: vec![7; octets],
        ..line.segment(ACK)
    };
    host.answers(&data(0, 1_000));
    assert_eq!(stream.try_read(&mut [0; 400]).unwrap(), 400);
    assert_eq!(stream.try_read(&mut [0; 1]).unwrap(), 1);
    host.answers(&data(1_000, 500));
    host.answers(&data(2_000, 500)); // behind a gap
    let reset = |at: u32| Segment { sequence: line.received + at, ..line.segment(RST) };
    for at in [0, 401, 1_000, 1_499, 1_501, 2_000, 2_500] {
        host.answers(&reset(at));
        assert!(stream.try_write(&[]).is_ok(), "{at}");
        assert_eq!(stream.peek(&mut [0; 2_000]).await.unwrap(), 1_099, "{at}");
    }
    host.answers(&reset(1_500));
    // what came before a reset is read first
    assert_eq!(stream.try_read(&mut [0; 2_000]).unwrap(), 1_099);
    assert_eq!(stream.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// RFC 5961 §7
#[tokio::test(start_paused = true)]
async fn challenges_are_a_second_apart() {
    let (host, stream, line) = connected().await;
    let mut sent = 0;
    for _ in 0..100 {
        let reset = Segment { sequence: line.received + 9, ..line.segment(RST) };
        sent += host.answers(&reset).len() + host.answers(&line.segment(SYN)).len();
        advance(SECOND / 20).await;
    }
    assert_eq!(sent, 5, "in five seconds");
    assert!(is_alive(&stream));
}

/// RFC 5961 §4.2
#[tokio::test(start_paused = true)]
async fn a_syn_ends_nothing_and_a_peer_that_starts_anew_is_told() {
    for flags in [SYN, SYN | ACK] {
        for offset in [0, 1, 500, 70_000, u32::MAX] {
            let (host, stream, line) = connected().await;
            let sequence = line.received.wrapping_add(offset);
            let answers = host.answers(&Segment { sequence, ..line.segment(flags) });
            assert_eq!(answers.iter().map(numbers).collect::<Vec<_>>(), [challenge(&line)]);
            assert!(is_alive(&stream));
            // a peer that has forgotten the connection answers this
            let [challenge] = &answers[..] else { panic!() };
            host.answers(&Segment { sequence: challenge.acknowledgment, ..line.segment(RST) });
            assert!(!is_alive(&stream));
        }
    }
}

/// RFC 5961 §5.2
#[tokio::test(start_paused = true)]
async fn octets_with_an_impossible_acknowledgment_are_not_taken() {
    let (host, stream, line) = connected().await;
    // more is written than the window lets leave
    assert_eq!(stream.try_write(&vec![1; 20_000]).unwrap(), 20_000);
    let end = host.turn().last().unwrap().end();
    assert_eq!(end, line.sent + 8_000);
    let data = |acknowledgment| Segment {
        acknowledgment,
        octets: b"forged".to_vec(),
        ..line.segment(ACK)
    };
    for acknowledgment in [end + 1, end + 12_000, line.sent.wrapping_sub(8_001), end ^ 1 << 31] {
        let answers = host.answers(&data(acknowledgment));
        assert_eq!(answers.len(), 1, "a challenge");
        assert_eq!((answers[0].acknowledgment, answers[0].flags), (line.received, ACK));
        assert!(is_alive(&stream));
        advance(2 * SECOND).await;
        host.turn(); // retransmissions leave meanwhile
        host.answers(&line.segment(ACK));
    }
    host.answers(&data(line.sent));
    assert_eq!(stream.try_read(&mut [0; 9]).unwrap(), 6);
}

/// A number out of the window makes nothing in a segment count: not its acknowledgment either
#[tokio::test(start_paused = true)]
async fn an_acknowledgment_out_of_the_window_lets_nothing_be_forgotten() {
    for congestion_control in [CongestionControl::Westwood, CongestionControl::Reno] {
        let host = Host::new();
        let options = options().congestion_control(congestion_control);
        let (stream, line) = host.connect(options, 8_000, &MSS).await;
        assert_eq!(stream.try_write(&[1; 3_000]).unwrap(), 3_000);
        let acknowledgment = host.turn().last().unwrap().end();
        let forged = Segment {
            sequence: line.received.wrapping_sub(1_000_000),
            acknowledgment,
            window: u16::MAX,
            ..line.segment(ACK)
        };
        host.answers(&forged);
        let mut again = 0;
        host.run(3 * SECOND, |segment| {
            again += usize::from(segment.sequence == line.sent && !segment.octets.is_empty());
            Vec::new()
        })
        .await;
        assert!(again > 0, "{congestion_control:?}: what nobody acknowledged is sent again");
    }
}

/// A connection that comes in is not ended either before its handshake is complete
#[tokio::test(start_paused = true)]
async fn a_half_open_connection_takes_the_exact_reset_only() {
    let host = Host::new();
    let local = std::net::SocketAddrV4::new(OWN, 80);
    let listener = host.net.tcp_listen(local.into(), 4, TcpOptions::default()).unwrap();
    let line = Line { local, sent: 0, received: 5_000 };
    let syn = Segment { sequence: 4_999, acknowledgment: 0, ..line.segment(SYN) };
    let answers = host.answers(&syn);
    let line = Line { sent: answers[0].end(), ..line };
    let reset = |offset: u32| Segment { sequence: 5_000 + offset, ..line.segment(RST) };
    let challenged: Vec<_> = host.answers(&reset(1)).iter().map(numbers).collect();
    assert_eq!(challenged, [challenge(&line)]);
    assert_eq!(host.answers(&reset(70_000)), []);
    assert_eq!(host.link.stats().connections, 1);
    host.answers(&line.segment(ACK));
    let mut context = Context::from_waker(Waker::noop());
    assert!(listener.poll_accept(&mut context).is_ready());

    let other = Segment { from: std::net::SocketAddrV4::new(*PEER.ip(), 81), ..syn };
    host.answers(&other);
    let before = host.link.stats().connections;
    host.answers(&Segment { from: other.from, ..reset(0) });
    assert_eq!(host.link.stats().connections, before - 1);
}

/// RFC 9293 §3.10.7.3: before the handshake is complete the SYN must be acknowledged
#[tokio::test(start_paused = true)]
async fn a_connect_is_refused_only_by_an_answer_to_its_syn() {
    let host = Host::new();
    let mut connect = pin!(host.net.tcp_connect(SocketAddr::V4(PEER), TcpOptions::default()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(connect.as_mut().poll(&mut context).is_pending());
    let syn = host.turn().remove(0);
    let line = Line { local: syn.from, sent: syn.end(), received: 0 };
    for acknowledgment in [syn.end().wrapping_add(1), syn.sequence, 0] {
        host.answers(&Segment { acknowledgment, ..line.segment(RST | ACK) });
        host.answers(&Segment { acknowledgment, ..line.segment(SYN | ACK) });
    }
    host.answers(&line.segment(RST));
    assert!(connect.as_mut().poll(&mut context).is_pending());
    host.answers(&line.segment(RST | ACK));
    let Poll::Ready(Err(error)) = connect.as_mut().poll(&mut context) else { panic!("refused") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// Port unreachable about a segment with this sequence number
fn unreachable(line: &Line, sequence: u32) -> Vec<u8> {
    let quoted = Segment { from: line.local, to: PEER, sequence, ..line.segment(SYN) }.packet();
    let mut message = [&[3, 3, 0, 0, 0, 0, 0, 0], &quoted[..28]].concat();
    smoltcp::wire::Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
    ip(Ipv4Addr::new(192, 168, 1, 9), OWN, 1, &message)
}

/// RFC 5927 §4.1
#[tokio::test(start_paused = true)]
async fn an_icmp_message_counts_only_if_it_quotes_the_syn() {
    let host = Host::new();
    let mut connect = pin!(host.net.tcp_connect(SocketAddr::V4(PEER), TcpOptions::default()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(connect.as_mut().poll(&mut context).is_pending());
    let syn = host.turn().remove(0);
    let line = Line { local: syn.from, sent: syn.end(), received: 0 };
    for offset in [1, u32::MAX, 1 << 31, 0x1234_5678] {
        host.give(&unreachable(&line, syn.sequence.wrapping_add(offset)));
        assert!(connect.as_mut().poll(&mut context).is_pending(), "{offset}");
    }
    host.give(&unreachable(&line, syn.sequence));
    let Poll::Ready(Err(error)) = connect.as_mut().poll(&mut context) else { panic!("refused") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// The rules hold for the record of a connection that is over
#[tokio::test(start_paused = true)]
async fn time_wait_is_not_ended_by_another_number() {
    let (host, stream, line) = connected().await;
    drop(stream);
    let fin = host.turn().remove(0);
    assert!(fin.has(FIN));
    let line = Line { sent: fin.end(), ..line };
    host.answers(&line.segment(ACK)); // this side waits for the peer's FIN
    let reset = |line: &Line, offset: u32| Segment {
        sequence: line.received.wrapping_add(offset),
        ..line.segment(RST)
    };
    let told: Vec<_> = host.answers(&reset(&line, 1)).iter().map(numbers).collect();
    assert_eq!(told, [challenge(&line)]);
    assert_eq!(host.answers(&reset(&line, 70_000)), []);
    let far = Segment { sequence: line.received + 70_000, ..line.segment(FIN | ACK) };
    assert_eq!(host.answers(&far), [], "challenged just now");
    let last = host.answers(&line.segment(FIN | ACK));
    let line = Line { received: line.received + 1, ..line };
    assert_eq!(last.iter().map(numbers).collect::<Vec<_>>(), [challenge(&line)]);
    // TIME-WAIT
    sleep(SECOND).await;
    for segment in [reset(&line, 2), line.segment(SYN), far.clone()] {
        host.answers(&segment);
        sleep(SECOND).await;
        let again = Segment { sequence: line.received - 1, ..line.segment(FIN | ACK) };
        let told: Vec<_> = host.answers(&again).iter().map(numbers).collect();
        assert_eq!(told, [challenge(&line)], "it is remembered");
    }
    host.answers(&reset(&line, 0));
    let again = Segment { sequence: line.received - 1, ..line.segment(FIN | ACK) };
    let told = host.answers(&again);
    assert!(told.len() == 1 && told[0].has(RST), "nothing is known of it any more: {told:?}");
}
