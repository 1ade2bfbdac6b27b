//! In real time: the system's resolver behind connects by name
//!
//! Needs root, `unshare` and `PPTP_INTEROP=1`: a network namespace, and a mount namespace whose
//! `/etc/resolv.conf` names a name server of the test's own.

#![cfg(target_os = "linux")]

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use pptp::{Client, TunnelConfig, error::Failure};
use pptp_tests::namespace::in_namespace;
use tokio::{task::JoinSet, time::sleep};

/// What the name server does with each question
#[derive(Clone, Copy)]
enum Manner {
    Silent,
    /// 127.0.0.1, where no PPTP server listens
    Loopback,
    NoSuchName,
    Fails,
}

struct NameServer {
    manner: Arc<Mutex<Manner>>,
    /// The names that it was asked for
    asked: Arc<Mutex<BTreeSet<Vec<u8>>>>,
}

impl NameServer {
    fn start() -> Self {
        let socket = UdpSocket::bind((SERVER, 53)).expect("a port of this namespace");
        let (manner, asked) = (Arc::new(Mutex::new(Manner::Silent)), Arc::default());
        let server = Self { manner: Arc::clone(&manner), asked: Arc::clone(&asked) };
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let question = &question[..length];
                asked.lock().unwrap().insert(name_of(question).to_vec());
                let manner = *manner.lock().unwrap();
                if let Some(answer) = answer(question, manner) {
                    socket.send_to(&answer, from).expect("sent");
                }
            }
        });
        server
    }

    fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// The octets of a question's only name (RFC 1035 §4.1.2)
fn name_of(question: &[u8]) -> &[u8] {
    let name = &question[12..];
    &name[..=name.iter().position(|octet| *octet == 0).expect("a name ends")]
}

fn answer(question: &[u8], manner: Manner) -> Option<Vec<u8>> {
    let asked = &question[12..12 + name_of(question).len() + 4];
    let is_v4 = asked.ends_with(&[0, 1, 0, 1]);
    let (code, answers) = match manner {
        Manner::Silent => return None,
        Manner::Loopback => (0, u8::from(is_v4)),
        Manner::NoSuchName => (3, 0),
        Manner::Fails => (2, 0),
    };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(asked);
    if answers > 0 {
        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

/// Where the name server is the only one
fn alone(test: &str, body: impl Future<Output = ()>) {
    let script = format!(
        "mount -t tmpfs none /mnt && echo nameserver {SERVER} > /mnt/conf && \
         mount --bind /mnt/conf /etc/resolv.conf"
    );
    in_namespace(test, &script, body);
}

fn by_name(name: &str) -> TunnelConfig {
    TunnelConfig::new(name, "user", "password")
}

/// How a connect by name ends, and after what time
async fn connect(client: &Client, name: &str) -> (Failure, Duration) {
    let began = Instant::now();
    let error = client.connect(by_name(name)).await.expect_err("there is no server");
    (error.failure, began.elapsed())
}

#[test]
fn a_silent_resolver_leaves_others_their_threads() {
    alone("a_silent_resolver_leaves_others_their_threads", async {
        let server = NameServer::start();
        let client = Client::new().expect("root");
        let mut all = JoinSet::new();
        for n in 0..1200 {
            let config = by_name(&format!("site{n}.example"));
            all.spawn(client.connect(config.connect_timeout(Duration::from_secs(1))));
        }
        let mut most = 0;
        while let Some(ended) = all.join_next().await {
            let error = ended.expect("no panic").expect_err("the resolver is silent");
            assert_eq!(error.name(), "ConnectTimeout");
            most = most.max(threads());
        }
        let began = Instant::now();
        tokio::task::spawn_blocking(|| ()).await.expect("it runs");
        let took = began.elapsed();
        println!("{} names asked for, {most} threads, spawn_blocking {took:?}", server.asked());
        assert!(took < Duration::from_secs(1), "{took:?}");
        for _ in 0..100 {
            if server.asked() >= 32 {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(server.asked(), 32, "at once, and no other is asked for later");
        // the runtime's two, the test's, the name server's, and 32 of the resolver
        assert!(most <= 32 + 8, "{most} threads");
    });
}

/// The threads of this process
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

#[test]
fn a_resolver_that_falls_silent_leaves_the_last_good_addresses() {
    alone("a_resolver_that_falls_silent_leaves_the_last_good_addresses", async {
        let server = NameServer::start();
        let client = Client::new().expect("root");
        let resolved = |failure: &Failure| matches!(failure, Failure::TcpRefused { .. });
        for (manner, at_least) in [(Manner::Loopback, 0), (Manner::Fails, 0), (Manner::Silent, 1)] {
            server.becomes(manner);
            let (failure, took) = connect(&client, "vpn.example").await;
            assert!(resolved(&failure), "{failure}");
            let expected = Duration::from_secs(at_least)..Duration::from_secs(at_least + 4);
            assert!(expected.contains(&took), "{took:?}");
        }
        server.becomes(Manner::NoSuchName);
        // until the system's resolver asks again
        for _ in 0..100 {
            let (failure, _) = connect(&client, "vpn.example").await;
            if matches!(failure, Failure::NameNotResolved { .. }) {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        server.becomes(Manner::Fails);
        let (failure, _) = connect(&client, "vpn.example").await;
        assert!(matches!(failure, Failure::NameNotResolved { .. }), "forgotten: {failure}");
    });
}

/// The name server of a namespace
const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
