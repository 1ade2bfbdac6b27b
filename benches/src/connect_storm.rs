//! What a connect costs its client, many at once
//!
//! The processor time over real sockets, the client in a process of its own, in a network of its
//! own, which needs root; the round trips in memory and in virtual time.

use std::{io, net::Ipv4Addr, time::Duration};

use pptp::{Client, Info, TunnelConfig};
use pptp_testkit::{EchoPolicy, Server, memory::Network};

use crate::{Figure, Goal, idle::process_time, process::Part, servers};

const TUNNELS: u32 = 1000;

/// All figures of connecting
pub fn figures() -> Vec<Figure> {
    let mut figures = round_trips();
    match try_measure() {
        Ok(figure) => figures.push(figure),
        Err(error) => {
            eprintln!("connect_storm: no network of our own, which needs root: {error}");
        }
    }
    figures
}

/// Of a first connect, and of one that asks for the addresses of an earlier one
fn round_trips() -> Vec<Figure> {
    let [first, again] = servers::virtual_time().block_on(async {
        let network = Network::new(1);
        network.set_latency(ROUND_TRIP / 2);
        let [server, client] = [1, 2].map(|host| Ipv4Addr::new(10, 99, 0, host));
        let server = Server::builder(1).sessions(1).serve_memory(&network, server);
        let server = server.expect("a free address");
        let client = Client::builder().memory(network.host(client)).build().expect("a client");
        let config = TunnelConfig::new(server.address().to_string(), "testuser", "test123");
        let tunnel = client.connect(config.clone()).await.expect("a tunnel");
        let first = tunnel.info();
        tunnel.close().await;
        server.idle().await;
        let again = client.connect(config.resuming(&first)).await.expect("a tunnel").info();
        [first, again]
    });
    let figure = |name, info: &Info, most| {
        let value = info.connect_time.as_secs_f64() / ROUND_TRIP.as_secs_f64();
        let detail = format!("round trips to pptpd, 100 ms each: {}", info.timeline);
        Figure { name, value, goal: Goal::AtMost(most), detail }
    };
    vec![
        figure("connect_storm/round-trips", &first, 7.0),
        figure("connect_storm/round-trips-resuming", &again, 6.0),
    ]
}

const ROUND_TRIP: Duration = Duration::from_millis(100);

fn try_measure() -> io::Result<Figure> {
    let [cpu, user, wall] = Part::start_apart(&format!("storm {TUNNELS}"))?.numbers()?;
    Ok(Figure {
        name: "connect_storm/cpu",
        value: cpu * 1e3,
        goal: Goal::AtMost(1.0),
        detail: format!(
            "ms of the client's processor time for each of {TUNNELS} tunnels, {:.3} of them outside the kernel; all up after {wall:.1} s",
            user * 1e3
        ),
    })
}

/// Starts servers, connects all at once, and says what each took
pub(crate) fn play(tunnels: u32) {
    let servers = servers::start(tunnels + WARM_UP).expect("servers");
    servers::real_time().block_on(async {
        let echo = EchoPolicy::default();
        let client = servers::client();
        for tunnel in servers::connect(&client, WARM_UP, 1, echo).await {
            tunnel.close().await;
        }
        let begin = (tokio::time::Instant::now(), process_time(), user_time());
        let all = servers::connect(&client, tunnels, usize::MAX >> 4, echo).await;
        let (cpu, user) =
            (process_time().saturating_sub(begin.1), user_time().saturating_sub(begin.2));
        let each = |time: Duration| time.as_secs_f64() / f64::from(tunnels);
        println!("{} {} {}", each(cpu), each(user), begin.0.elapsed().as_secs_f64());
        drop(all);
    });
    drop(servers);
}

/// Tunnels whose connects meet code and memory for the first time
const WARM_UP: u32 = 10;

/// What of [`process_time`] was not spent in the kernel, to a hundredth of a second
fn user_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split(' ').nth(12).and_then(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.expect("a number"))
}
