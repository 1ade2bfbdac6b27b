//! The raw socket against the kernel, in a network namespace of each test's own
//!
//! Needs root, `unshare`, `ip`, `tc` and `nft`, and `PPTP_INTEROP=1`; without them each test says
//! why it did nothing. One test needs the opposite and gives up root by itself.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "the environment tells whether to run, and a namespace is another program's to make"
)]

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddrV4},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Command, Stdio},
    time::Duration,
};

use nix::libc::{EACCES, EHOSTUNREACH, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOPROTOOPT, EPERM};
use pptp_gre_socket::{
    DEFAULT_RECEIVE_BUFFER, DeliveryFailure, GreSocket, OpenError, Outgoing, RawSocket,
    ReceiveBatch, SendBatch, Shard, SocketOptions,
};
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Runs `body` in a new network namespace, as a test process of its own
fn in_namespace(test: &str, commands: &[&str], body: impl AsyncFnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        run(&["ip link set lo up"]);
        run(commands);
        return block_on(body);
    }
    if !nix::unistd::geteuid().is_root() || std::env::var("PPTP_INTEROP").as_deref() != Ok("1") {
        return println!("{test} did nothing: it needs root and PPTP_INTEROP=1");
    }
    let mut command = Command::new("unshare");
    command.arg("--net").args(this_test(test)).env(INSIDE, "1");
    assert!(command.status().unwrap().success());
}

fn this_test(test: &str) -> [std::ffi::OsString; 4] {
    let program = std::env::current_exe().unwrap().into_os_string();
    [program, test.into(), "--exact".into(), "--nocapture".into()]
}

fn block_on(body: impl AsyncFnOnce()) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let limit = Duration::from_secs(30);
    let outcome = runtime.enable_all().build().unwrap().block_on(async {
        // Boxed: a batch call's buffers on the stack are enough for a debug build.
        timeout(limit, Box::pin(body())).await
    });
    outcome.expect("the test hangs");
}

fn run(commands: &[&str]) {
    for command in commands {
        let status = Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(status.success(), "{command}");
    }
}

fn open(options: &SocketOptions) -> RawSocket {
    RawSocket::open(options).unwrap()
}

fn bound(address: Ipv4Addr) -> RawSocket {
    open(&SocketOptions { local_address: Some(address), ..SocketOptions::default() })
}

/// A data packet's header for the call `call_id`, with `number` as its sequence number
fn header(call_id: u16, number: u32) -> Vec<u8> {
    let mut octets = vec![0x30, 0x01, 0x88, 0x0B, 0x00, 0x00];
    octets.extend_from_slice(&call_id.to_be_bytes());
    octets.extend_from_slice(&number.to_be_bytes());
    octets
}

/// A datagram of `len` octets for the call `number`, which is its tag and sequence number too
fn push(
    batch: &mut SendBatch,
    destination: Ipv4Addr,
    source: Option<Ipv4Addr>,
    number: u32,
    len: usize,
) {
    let mut packet = batch.take_slot().unwrap();
    let header = header(u16::try_from(number).unwrap(), number);
    packet.reset(len)[..header.len()].copy_from_slice(&header);
    batch.push(Outgoing { packet, destination, source, tag: number });
}

/// Sends all of `batch`; returns the tags that failed and why
async fn send(socket: &mut RawSocket, batch: &mut SendBatch) -> Vec<(u32, i32)> {
    let mut failed = Vec::new();
    let mut note = |tag, error: std::io::Error| failed.push((tag, error.raw_os_error().unwrap()));
    while !socket.send(batch, &mut note).unwrap() {
        socket.writable().await.unwrap();
    }
    failed
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    number: u32,
}

/// Receives until no datagram has come for 100 ms
async fn receive(socket: &mut RawSocket) -> Vec<Received> {
    let mut received = Vec::new();
    while timeout(Duration::from_millis(100), socket.readable()).await.is_ok() {
        take(socket, &mut received);
        socket.take_failures(drop).unwrap();
    }
    received
}

/// Takes the datagrams that have arrived
fn take(socket: &mut RawSocket, received: &mut Vec<Received>) {
    let mut batch = ReceiveBatch::new();
    while socket.receive(&mut batch).unwrap() > 0 {
        received.extend(batch.datagrams().map(|datagram| Received {
            source: datagram.source,
            destination: datagram.destination,
            number: u32::from_be_bytes(*datagram.gre[8..].first_chunk().unwrap()),
        }));
    }
}

fn numbers(received: &[Received]) -> Vec<u32> {
    received.iter().map(|received| received.number).collect()
}

/// Delivery failures until there was none for 100 ms
async fn failures(socket: &mut RawSocket) -> Vec<DeliveryFailure> {
    let mut failures = Vec::new();
    while timeout(Duration::from_millis(100), socket.readable()).await.is_ok() {
        socket.receive(&mut ReceiveBatch::new()).unwrap();
        socket.take_failures(|failure| failures.push(failure)).unwrap();
    }
    failures
}

#[test]
fn batches_go_round_the_loopback_in_order() {
    in_namespace("batches_go_round_the_loopback_in_order", &[], async || {
        let mut socket = open(&SocketOptions::default());
        let mut batch = SendBatch::new(200);
        (0..200).for_each(|number| push(&mut batch, LOCALHOST, None, number, 1400));
        assert_eq!(send(&mut socket, &mut batch).await, []);
        let received = receive(&mut socket).await;
        assert_eq!(numbers(&received), (0..200).collect::<Vec<_>>());
        assert_eq!((received[0].source, received[0].destination), (LOCALHOST, LOCALHOST));
        assert_eq!(
            socket.receive_buffer(),
            DEFAULT_RECEIVE_BUFFER,
            "root gets all that was asked for"
        );
        assert_eq!(socket.kernel_drops(), Some(0));
    });
}

/// Ninety-four destinations that live, and one for each way to fail at the sender
#[test]
fn what_fails_for_some_destinations_costs_the_others_nothing() {
    let commands = [
        "ip route add unreachable 10.9.0.1",
        "ip route add prohibit 10.9.0.2",
        "ip route add blackhole 10.9.0.3",
        "nft add table ip t",
        "nft add chain ip t out '{ type filter hook output priority 0; }'",
        "nft add rule ip t out ip daddr 127.0.1.14 drop",
    ];
    in_namespace(
        "what_fails_for_some_destinations_costs_the_others_nothing",
        &commands,
        async || {
            let destination = |tunnel: u8| match tunnel {
                10..13 => Ipv4Addr::new(10, 9, 0, tunnel - 9),
                13 => Ipv4Addr::new(203, 0, 113, 1), // there is no route to it
                tunnel => Ipv4Addr::new(127, 0, 1, tunnel),
            };
            let expected = |tunnel| match tunnel {
                10 => Some(EHOSTUNREACH),
                11 => Some(EACCES),
                12 => Some(EINVAL),
                13 => Some(ENETUNREACH),
                14 => Some(EPERM),
                15 => Some(EMSGSIZE),
                _ => None,
            };
            let mut socket = open(&SocketOptions::default());
            let mut batch = SendBatch::new(1000);
            for number in 0..1000 {
                let tunnel = u8::try_from(number % 100).unwrap();
                let len = if tunnel == 15 { 65_530 } else { 200 };
                push(&mut batch, destination(tunnel), None, number, len);
            }
            let mut failed: HashMap<u32, i32> =
                send(&mut socket, &mut batch).await.into_iter().collect();
            let arrived = numbers(&receive(&mut socket).await);
            let mut lives = Vec::new();
            for number in 0..1000 {
                match expected(number % 100) {
                    Some(error) => assert_eq!(failed.remove(&number), Some(error), "{number}"),
                    None => lives.push(number),
                }
            }
            assert_eq!(failed, HashMap::new());
            assert_eq!(arrived, lives);
        },
    );
}

#[test]
fn a_hundred_tunnels_one_without_route_and_one_forbidden() {
    let commands = [
        "nft add table ip t",
        "nft add chain ip t out '{ type filter hook output priority 0; }'",
        "nft add rule ip t out ip daddr 127.0.1.77 drop",
    ];
    in_namespace("a_hundred_tunnels_one_without_route_and_one_forbidden", &commands, async || {
        let mut socket = open(&SocketOptions::default());
        for round in 0..20 {
            let mut batch = SendBatch::new(100);
            for tunnel in 0..100 {
                let destination = match tunnel {
                    33 => Ipv4Addr::new(203, 0, 113, 1),
                    tunnel => Ipv4Addr::new(127, 0, 1, u8::try_from(tunnel).unwrap()),
                };
                push(&mut batch, destination, None, tunnel, 100 + round);
            }
            let failed = send(&mut socket, &mut batch).await;
            assert_eq!(failed, [(33, ENETUNREACH), (77, EPERM)]);
        }
        let mut arrived = numbers(&receive(&mut socket).await);
        arrived.sort_unstable();
        let lives = (0..100).filter(|tunnel| ![33, 77].contains(tunnel));
        assert_eq!(arrived, lives.flat_map(|tunnel| [tunnel; 20]).collect::<Vec<_>>());
    });
}

#[test]
fn only_enhanced_gre_passes_the_filter_whatever_the_ip_options() {
    in_namespace("only_enhanced_gre_passes_the_filter_whatever_the_ip_options", &[], async || {
        let mut socket = open(&SocketOptions::default());
        let sender = Socket::new(Domain::IPV4, Type::RAW, Some(47.into())).unwrap();
        sender.set_header_included_v4(true).unwrap();
        let send = |options: &[u8], gre: &[u8]| {
            let header = 20 + u8::try_from(options.len()).unwrap();
            let mut packet = vec![0x40 | (header / 4), 0, 0, 0, 0, 0, 0, 0, 64, 47, 0, 0];
            packet.extend_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
            packet.extend_from_slice(options);
            packet.extend_from_slice(gre);
            sender.send_to(&packet, &SocketAddrV4::new(LOCALHOST, 0).into()).unwrap();
        };
        let changed = |at: usize, octet: u8| {
            let mut octets = header(1, 99);
            octets[at] = octet;
            octets
        };
        send(&[], &[0x00, 0x00, 0x08, 0x00, 0, 0, 0, 0, 0, 0, 0, 99]); // GRE version 0
        send(&[], &[0x20, 0x00, 0x08, 0x00, 0, 0, 0, 0, 0, 0, 0, 99]); // the same with a key
        send(&[], &changed(0, 0x10)); // no key
        send(&[], &changed(1, 0x02)); // version 2
        send(&[], &changed(2, 0x08)); // another protocol
        send(&[], &[0x30]);
        send(&[], &header(1, 1));
        send(&[1, 1, 1, 0], &header(1, 2)); // three no-operations and the end of options
        send(&[0; 40], &header(1, 3));
        send(&[1, 1, 1, 0], &changed(1, 0x00));
        send(&[], &changed(1, 0x81)[..]); // with an acknowledgment
        assert_eq!(numbers(&receive(&mut socket).await), [1, 2, 3, 99]);
        assert_eq!(socket.kernel_drops(), Some(0), "what the filter refuses is no drop");
    });
}

#[test]
fn each_shard_hears_its_own_calls_only() {
    in_namespace("each_shard_hears_its_own_calls_only", &[], async || {
        let options = |shard| SocketOptions { shard, ..SocketOptions::default() };
        let mut sockets: Vec<_> =
            Shard::split(3).map(|shard| (shard, open(&options(shard)))).collect();
        let mut batch = SendBatch::new(100);
        (0..100).for_each(|number| push(&mut batch, LOCALHOST, None, number, 100));
        assert_eq!(send(&mut sockets[0].1, &mut batch).await, []);
        for (shard, socket) in &mut sockets {
            let received = numbers(&receive(socket).await);
            // the Call ID 0 belongs to servers that require it, and every shard receives it
            let is_own =
                |number: &u32| *number == 0 || shard.contains((*number).try_into().unwrap());
            let own = (0..100).filter(is_own);
            assert_eq!(received, own.collect::<Vec<_>>(), "{shard:?}");
            assert_eq!(socket.kernel_drops(), Some(0), "the others' are no loss");
        }
    });
}

#[test]
fn a_datagram_leaves_from_the_source_it_names() {
    let commands = ["ip address add 10.9.1.1/32 dev lo", "ip address add 10.9.1.2/32 dev lo"];
    in_namespace("a_datagram_leaves_from_the_source_it_names", &commands, async || {
        let (first, second) = (Ipv4Addr::new(10, 9, 1, 1), Ipv4Addr::new(10, 9, 1, 2));
        let stranger = Ipv4Addr::new(203, 0, 113, 9);
        let sources = [None, Some(first), Some(first), Some(second), Some(stranger), Some(first)];
        let mut socket = open(&SocketOptions::default());
        let mut batch = SendBatch::new(8);
        for (number, source) in (0..).zip(sources) {
            push(&mut batch, LOCALHOST, source, number, 50);
        }
        let failed = send(&mut socket, &mut batch).await;
        // Which error it is depends on the kernel.
        assert!(matches!(failed[..], [(4, ENETUNREACH | EINVAL)]), "{failed:?}");
        let received = receive(&mut socket).await;
        assert_eq!(numbers(&received), [0, 1, 2, 3, 5]);
        let sources: Vec<_> = received.iter().map(|received| received.source).collect();
        assert_eq!(sources, [LOCALHOST, first, first, second, first]);

        let mut socket = bound(second);
        push(&mut batch, second, None, 1, 50);
        push(&mut batch, second, Some(second), 2, 50);
        assert_eq!(send(&mut socket, &mut batch).await, []);
        let received = receive(&mut socket).await;
        assert_eq!(socket.local_address(), Some(second));
        assert!(received.iter().all(|received| received.source == second));
        assert_eq!(numbers(&received), [1, 2]);
    });
}

#[test]
fn dont_fragment_is_off_and_large_datagrams_arrive() {
    let test = "dont_fragment_is_off_and_large_datagrams_arrive";
    in_namespace(test, &["ip link set lo mtu 600"], async || {
        let mut socket = open(&SocketOptions::default());
        let witness = Socket::new(Domain::IPV4, Type::RAW, Some(47.into())).unwrap();
        let mut batch = SendBatch::new(2);
        push(&mut batch, LOCALHOST, None, 1, 100);
        push(&mut batch, LOCALHOST, None, 2, 1400);
        assert_eq!(send(&mut socket, &mut batch).await, []);
        assert_eq!(numbers(&receive(&mut socket).await), [1, 2]);
        let mut packet = [0; 100];
        std::io::Read::read_exact(&mut &witness, &mut packet).unwrap();
        assert_eq!(packet[6] & 0x40, 0, "Don't Fragment is set");
    });
}

#[test]
fn who_takes_no_gre_is_named_and_the_others_lose_nothing() {
    let test = "who_takes_no_gre_is_named_and_the_others_lose_nothing";
    in_namespace(test, &[], async || {
        let (mut socket, dead) = (bound(LOCALHOST), Ipv4Addr::new(127, 0, 0, 2));
        let mut batch = SendBatch::new(500);
        push(&mut batch, dead, None, 0x1234, 100);
        assert_eq!(send(&mut socket, &mut batch).await, []);
        timeout(Duration::from_secs(1), socket.readable()).await.expect("woken by it").unwrap();
        let reported = failures(&mut socket).await;
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert_eq!((reported[0].destination, reported[0].peer_call_id), (dead, Some(0x1234)));
        assert_eq!((reported[0].icmp, reported[0].reporter), ((3, 2), Some(dead)));
        assert_eq!(reported[0].error.raw_os_error(), Some(ENOPROTOOPT));

        // Each report comes back before the next datagram is sent, and is pending then.
        for number in 0..500 {
            let destination = if number % 2 == 0 { dead } else { LOCALHOST };
            push(&mut batch, destination, None, number, 100);
        }
        assert_eq!(send(&mut socket, &mut batch).await, []);
        let lives = (0..500).filter(|number| number % 2 == 1).collect::<Vec<_>>();
        assert_eq!(numbers(&receive(&mut socket).await), lives);
    });
}

/// Reports about one dead destination do not cost the datagrams that arrive meanwhile
#[test]
fn an_error_pending_is_not_taken_for_an_empty_queue() {
    let test = "an_error_pending_is_not_taken_for_an_empty_queue";
    in_namespace(test, &[], async || {
        let (mut socket, dead) = (bound(LOCALHOST), Ipv4Addr::new(127, 0, 0, 2));
        let mut batch = SendBatch::new(2);
        socket.writable().await.unwrap();
        push(&mut batch, LOCALHOST, None, 1, 100);
        push(&mut batch, dead, None, 2, 100);
        assert_eq!(send(&mut socket, &mut batch).await, []);
        socket.readable().await.unwrap();
        let mut received = ReceiveBatch::new();
        assert_eq!(socket.receive(&mut received).unwrap(), 1);
        assert_eq!(socket.receive(&mut received).unwrap(), 0);
        assert_eq!(received.datagrams().count(), 0, "those taken before are not there again");
        let mut count = 0;
        assert_eq!(socket.take_failures(|_| count += 1).unwrap(), 1);
        assert_eq!((count, socket.take_failures(drop).unwrap()), (1, 0));
        let quiet = timeout(Duration::from_millis(50), socket.readable()).await;
        assert!(quiet.is_err(), "nothing is left to read");
    });
}

/// Datagrams in the queue of a slow link fill the send buffer
#[test]
fn a_full_send_buffer_keeps_the_order_and_waits_without_spinning() {
    let test = "a_full_send_buffer_keeps_the_order_and_waits_without_spinning";
    let commands = ["tc qdisc add dev lo root tbf rate 80mbit burst 20kb limit 100mb"];
    in_namespace(test, &commands, async || {
        let (mut socket, dead) = (bound(LOCALHOST), Ipv4Addr::new(127, 0, 0, 2));
        // From here on epoll has reported an error once.
        let mut batch = SendBatch::new(5000);
        push(&mut batch, dead, None, 0, 100);
        assert_eq!(send(&mut socket, &mut batch).await, []);
        assert_eq!(failures(&mut socket).await.len(), 1);

        (0..5000).for_each(|number| push(&mut batch, LOCALHOST, None, number, 1400));
        let (mut waits, mut arrived) = (0, Vec::new());
        while !socket.send(&mut batch, |tag, error| panic!("{tag}: {error}")).unwrap() {
            waits += 1;
            socket.writable().await.unwrap();
            take(&mut socket, &mut arrived);
        }
        assert!((1..50).contains(&waits), "waited {waits} times for room");
        arrived.extend(receive(&mut socket).await);
        assert_eq!(numbers(&arrived), (0..5000).collect::<Vec<_>>());
    });
}

/// A queue that overflows before the send buffer is full: the datagram is lost, and its tunnel is
/// told
#[test]
fn a_full_queue_of_the_device_costs_the_datagram() {
    let test = "a_full_queue_of_the_device_costs_the_datagram";
    let commands = ["tc qdisc add dev lo root tbf rate 80mbit burst 20kb limit 50kb"];
    in_namespace(test, &commands, async || {
        let mut socket = open(&SocketOptions::default());
        let mut batch = SendBatch::new(500);
        (0..500).for_each(|number| push(&mut batch, LOCALHOST, None, number, 1400));
        let failed = send(&mut socket, &mut batch).await;
        assert!(!failed.is_empty() && failed.iter().all(|(_, error)| *error == ENOBUFS));
        let arrived = numbers(&receive(&mut socket).await);
        let lost: Vec<_> = failed.into_iter().map(|(tag, _)| tag).collect();
        assert_eq!(arrived, (0..500).filter(|n| !lost.contains(n)).collect::<Vec<_>>());
    });
}

#[test]
fn drops_are_counted_when_the_receive_buffer_is_full() {
    let test = "drops_are_counted_when_the_receive_buffer_is_full";
    in_namespace(test, &[], async || {
        let options = SocketOptions { receive_buffer: 100_000, ..SocketOptions::default() };
        let mut socket = open(&options);
        assert_eq!(socket.receive_buffer(), 100_000);
        let mut batch = SendBatch::new(1000);
        (0..1000).for_each(|number| push(&mut batch, LOCALHOST, None, number, 1400));
        assert_eq!(send(&mut socket, &mut batch).await, []);
        let arrived = receive(&mut socket).await.len() as u64;
        assert!(arrived > 0 && arrived < 1000, "{arrived}");
        assert_eq!(socket.kernel_drops(), Some(1000 - arrived));
    });
}

/// The number of times that this thread has slept
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// Sends the numbers to localhost from a thread of its own, one at a time with pauses; returns how
/// often this thread slept meanwhile
async fn sleeps_while_sent(numbers: std::ops::Range<u32>) -> u64 {
    let before = sleeps();
    let sender = std::thread::spawn(move || {
        block_on(async || {
            let mut socket = bound(Ipv4Addr::new(127, 0, 0, 2));
            for number in numbers {
                let mut batch = SendBatch::new(1);
                push(&mut batch, LOCALHOST, None, number, 64);
                assert_eq!(send(&mut socket, &mut batch).await, []);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
    });
    while !sender.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sender.join().unwrap();
    sleeps() - before
}

#[test]
fn what_arrives_in_a_pause_wakes_nobody_and_is_there_afterwards() {
    in_namespace("what_arrives_in_a_pause_wakes_nobody_and_is_there_afterwards", &[], async || {
        let mut socket = bound(LOCALHOST);
        assert_eq!(receive(&mut socket).await, []);
        let woken = sleeps_while_sent(0..300).await;
        assert!(woken > 100, "a runtime is woken by what nobody waits for: {woken}");
        assert_eq!(numbers(&receive(&mut socket).await), (0..300).collect::<Vec<_>>());

        socket.pause();
        let woken = sleeps_while_sent(300..600).await;
        assert!(woken < 50, "{woken}");
        let mut batch = SendBatch::new(3);
        (600..603).for_each(|number| push(&mut batch, LOCALHOST, None, number, 64));
        assert_eq!(send(&mut socket, &mut batch).await, [], "sending goes on");
        assert_eq!(receive(&mut socket).await, []);

        socket.resume().unwrap();
        assert_eq!(numbers(&receive(&mut socket).await), (300..603).collect::<Vec<_>>());
        let mut batch = SendBatch::new(1);
        push(&mut batch, LOCALHOST, None, 603, 64);
        assert_eq!(send(&mut socket, &mut batch).await, []);
        assert_eq!(numbers(&receive(&mut socket).await), [603]);
    });
}

#[test]
fn a_socket_that_fills_up_in_a_pause_is_tried_again() {
    let commands = ["tc qdisc add dev lo root tbf rate 80mbit burst 20kb limit 100mb"];
    in_namespace("a_socket_that_fills_up_in_a_pause_is_tried_again", &commands, async || {
        let mut socket = bound(LOCALHOST);
        assert_eq!(receive(&mut socket).await, []);
        socket.pause();
        let (mut batch, mut waits) = (SendBatch::new(5000), 0);
        (0..5000).for_each(|number| push(&mut batch, LOCALHOST, None, number, 1400));
        while !socket.send(&mut batch, |tag, error| panic!("{tag}: {error}")).unwrap() {
            waits += 1;
            socket.writable().await.unwrap();
        }
        assert!(waits > 0, "it holds all of it");
        socket.resume().unwrap();
        assert_eq!(numbers(&receive(&mut socket).await), (0..5000).collect::<Vec<_>>());
    });
}

#[test]
fn options_that_cannot_be_had_are_named() {
    let test = "options_that_cannot_be_had_are_named";
    in_namespace(test, &["ip link add v0 type veth peer name v1"], async || {
        let options = SocketOptions::default();
        let missing = Some("none0".to_owned());
        let error = RawSocket::open(&SocketOptions { device: missing, ..options.clone() });
        assert!(matches!(error, Err(OpenError::Device { device, .. }) if device == "none0"));
        let address = Ipv4Addr::new(203, 0, 113, 5);
        let error =
            RawSocket::open(&SocketOptions { local_address: Some(address), ..options.clone() });
        assert!(matches!(error, Err(OpenError::LocalAddress { address: a, .. }) if a == address));

        let loopback =
            SocketOptions { device: Some("lo".to_owned()), fwmark: Some(7), ..options.clone() };
        let mut batch = SendBatch::new(1);
        for (device, arrives) in [("lo", true), ("v0", false)] {
            let options = SocketOptions { device: Some(device.to_owned()), ..loopback.clone() };
            let mut socket = open(&options);
            push(&mut batch, LOCALHOST, None, 1, 100);
            send(&mut socket, &mut batch).await;
            assert_eq!(receive(&mut socket).await.len() == 1, arrives, "{device}");
        }
    });
}

#[test]
fn a_mark_is_on_what_is_sent() {
    let commands = [
        "nft add table ip t",
        "nft add chain ip t out '{ type filter hook output priority 0; }'",
        "nft add rule ip t out meta mark 7 drop",
    ];
    in_namespace("a_mark_is_on_what_is_sent", &commands, async || {
        let mut batch = SendBatch::new(1);
        for (fwmark, failed) in [(Some(7), vec![(1, EPERM)]), (Some(8), vec![]), (None, vec![])] {
            let mut socket = open(&SocketOptions { fwmark, ..SocketOptions::default() });
            push(&mut batch, LOCALHOST, None, 1, 100);
            assert_eq!(send(&mut socket, &mut batch).await, failed, "{fwmark:?}");
        }
    });
}

#[test]
fn a_descriptor_that_is_no_raw_gre_socket_is_refused() {
    block_on(async || {
        let stream = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let datagram = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        for descriptor in [stream.into(), datagram.into(), file] {
            let error = RawSocket::from_fd(descriptor, &SocketOptions::default());
            assert!(matches!(error, Err(OpenError::NotRawGre)));
        }
    });
}

/// A socket that root opened, used by an unprivileged user: the descriptor is the child's standard
/// input
#[test]
fn a_socket_handed_over_needs_no_privilege() {
    let test = "a_socket_handed_over_needs_no_privilege";
    if std::env::var_os(NOBODY).is_some() {
        return block_on(async || {
            let descriptor = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            let options = SocketOptions { fwmark: Some(9), ..SocketOptions::default() };
            let mut socket = RawSocket::from_fd(descriptor, &options).unwrap();
            let mut batch = SendBatch::new(10);
            (0..10).for_each(|number| push(&mut batch, LOCALHOST, None, number, 100));
            assert_eq!(send(&mut socket, &mut batch).await, []);
            let arrived = numbers(&receive(&mut socket).await);
            assert_eq!(arrived, (0..10).collect::<Vec<_>>());
            assert!(socket.receive_buffer() > 0 && socket.kernel_drops().is_some());
            let other = SocketOptions { fwmark: Some(10), ..SocketOptions::default() };
            let descriptor = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            let error = RawSocket::from_fd(descriptor, &other);
            assert!(matches!(error, Err(OpenError::Option { option: "SO_MARK", .. })));
        });
    }
    in_namespace(test, &[], async || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(47.into())).unwrap();
        socket.set_mark(9).unwrap();
        as_nobody(test, OwnedFd::from(socket).into());
    });
}

/// A socket that root opened keeps its large buffer, which an unprivileged user could not have, and
/// gets no datagrams from before
#[test]
fn a_socket_opened_for_later_keeps_what_root_set() {
    let test = "a_socket_opened_for_later_keeps_what_root_set";
    let options =
        SocketOptions { receive_buffer: 2 * DEFAULT_RECEIVE_BUFFER, ..SocketOptions::default() };
    if std::env::var_os(NOBODY).is_some() {
        return block_on(async || {
            let descriptor = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            let mut socket = RawSocket::from_fd(descriptor, &options).unwrap();
            assert_eq!(socket.receive_buffer(), options.receive_buffer);
            let mut batch = SendBatch::new(10);
            (0..10).for_each(|number| push(&mut batch, LOCALHOST, None, number, 100));
            assert_eq!(send(&mut socket, &mut batch).await, []);
            // those that were sent before it was taken over are not among them
            assert_eq!(numbers(&receive(&mut socket).await), (0..10).collect::<Vec<_>>());
        });
    }
    in_namespace(test, &[], async || {
        let socket = RawSocket::open_for_later(&options).unwrap();
        let clone = socket.try_clone().unwrap();
        assert!(RawSocket::is_same(socket.as_fd(), clone.as_fd()));
        let mut sender = open(&SocketOptions::default());
        assert!(!RawSocket::is_same(
            socket.as_fd(),
            RawSocket::open_for_later(&options).unwrap().as_fd()
        ));
        let mut batch = SendBatch::new(10);
        (100..110).for_each(|number| push(&mut batch, LOCALHOST, None, number, 100));
        assert_eq!(send(&mut sender, &mut batch).await, []);
        as_nobody(test, socket.into());
    });
}

#[test]
fn without_the_capability_the_error_says_what_to_do() {
    let test = "without_the_capability_the_error_says_what_to_do";
    if nix::unistd::geteuid().is_root() {
        return as_nobody(test, Stdio::null());
    }
    block_on(async || {
        let error = RawSocket::open(&SocketOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::MissingCapability { .. }), "{error:?}");
        let program = std::env::current_exe().unwrap();
        let command = format!("sudo setcap cap_net_raw+ep {}", program.display());
        let message = error.to_string();
        assert!(message.contains("CAP_NET_RAW") && message.contains(&command), "{message}");
    });
}

/// Runs a test of this program as an unprivileged user, from a copy that this user may read
fn as_nobody(test: &str, stdin: Stdio) {
    let copy = std::env::temp_dir().join(format!("gre-socket-{}-{test}", std::process::id()));
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut command = Command::new(&copy);
    command.args([test, "--exact", "--nocapture"]).env(NOBODY, "1").stdin(stdin);
    let status = command.uid(65534).gid(65534).status();
    std::fs::remove_file(&copy).unwrap();
    assert!(status.unwrap().success());
}

/// Set in a test that runs in its namespace
const INSIDE: &str = "GRE_SOCKET_TEST_INSIDE";

/// Set in a test that runs without privileges
const NOBODY: &str = "GRE_SOCKET_TEST_NOBODY";
