use std::net::Ipv4Addr;

use pptp_testkit::{BLACK_HOLE, Server, memory};
use tokio::time::sleep;

use super::*;
use crate::SiteConfig;

/// The size of each table that grows with sites, servers or logins
fn tables(supervisor: &Supervisor) -> Vec<(&'static str, usize)> {
    let mut tables = vec![
        ("sites", supervisor.sites.len()),
        ("names", supervisor.by_name.len()),
        ("known servers", supervisor.servers.len()),
        ("timers", supervisor.timers.len()),
        ("registry", supervisor.registry.sites().len()),
    ];
    tables.extend(supervisor.scheduler.table_sizes());
    tables.extend(supervisor.ledger.table_sizes());
    tables.extend(supervisor.twins.table_sizes());
    tables.extend(supervisor.rollout.table_sizes());
    tables.push(("failed together", supervisor.scheduler.failed_together()));
    tables
}

fn supervisor(options: &FleetOptions) -> (Supervisor, mpsc::Sender<Command>) {
    supervisor_in(&memory::Network::new(0), options)
}

fn supervisor_in(
    network: &memory::Network,
    options: &FleetOptions,
) -> (Supervisor, mpsc::Sender<Command>) {
    let host = network.host(Ipv4Addr::new(10, 99, 1, 1));
    let client = Client::builder().memory(host).build().unwrap();
    let (commands, receiver) = mpsc::channel(1);
    let (events, _) = broadcast::channel(16);
    let supervisor = Supervisor::new(client, options, receiver, events, Arc::default());
    (supervisor, commands)
}

/// Lets the supervisor act for so long
async fn run(supervisor: &mut Supervisor, time: Duration) {
    let over = sleep(time);
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = &mut over => return,
            going = supervisor.turn() => assert!(going),
        }
    }
}

fn set(supervisor: &mut Supervisor, name: &SiteName, server: Ipv4Addr) {
    set_config(supervisor, name, SiteConfig::new(server.to_string(), "u", Secret::literal("p")));
}

fn set_config(supervisor: &mut Supervisor, name: &SiteName, config: SiteConfig) {
    let config = Arc::new(config);
    let (answer, _) = oneshot::channel();
    supervisor.handle_command(Command::Set { name: name.clone(), config, answer });
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_ten_thousand_sites_whose_servers_failed() {
    let options = FleetOptions { seed: Some(1), ..FleetOptions::default() };
    let (mut supervisor, _commands) = supervisor(&options);
    let name = |number: u16| format!("b{number}").parse::<SiteName>().unwrap();
    let server = |net: u8, number: u16| {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(10, net, high, low)
    };
    for number in 0..SITES {
        set(&mut supervisor, &name(number), server(100, number));
    }
    let has_failed = |supervisor: &Supervisor, number: u16| {
        let key = server(100, number).to_string().into();
        supervisor.servers.failure(&key).is_some()
    };
    // all of them fail: an outage, and three are tried at a time
    for _ in 0..100 {
        run(&mut supervisor, Duration::from_hours(1)).await;
        if (0..SITES).all(|number| has_failed(&supervisor, number)) {
            break;
        }
    }
    assert!((0..SITES).all(|number| has_failed(&supervisor, number)));
    let before: BTreeMap<_, _> = tables(&supervisor).into_iter().collect();
    for table in ["sites", "names", "known servers", "registry", "servers"] {
        assert_eq!(before[table], usize::from(SITES), "{table}");
    }
    // a half goes to other servers first, and is forgotten there
    for number in 0..SITES / 2 {
        set(&mut supervisor, &name(number), server(101, number));
    }
    assert_eq!(supervisor.servers.len(), usize::from(SITES));
    for number in 0..SITES {
        let (answer, mut answered) = oneshot::channel();
        supervisor.handle_command(Command::Remove { name: name(number), answer });
        assert!(answered.try_recv().unwrap());
    }
    run(&mut supervisor, Duration::from_mins(1)).await;
    let after = tables(&supervisor);
    assert!(after.iter().all(|(_, size)| *size == 0), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_probes_are_under_way_than_there_are_places_and_each_site_has_its_turn() {
    let network = memory::Network::new(0);
    let options = FleetOptions { seed: Some(1), ..FleetOptions::default() };
    let (mut supervisor, _commands) = supervisor_in(&network, &options);
    supervisor.probes = Arc::new(Semaphore::new(2));
    let address = Ipv4Addr::new(10, 99, 0, 1);
    let _server = Server::builder(1).secret("u", "p").serve_memory(&network, address).unwrap();
    // each of them hangs for five seconds
    let silent = || format!("http:{BLACK_HOLE}/").parse().unwrap();
    for number in 0..10 {
        let config = SiteConfig::new(address.to_string(), "u", Secret::literal("p"));
        let name = format!("b{number}").parse().unwrap();
        set_config(&mut supervisor, &name, config.share_login(true).probe(silent()));
    }
    let mut fewest = 2;
    for _ in 0..600 {
        run(&mut supervisor, Duration::from_millis(100)).await;
        fewest = fewest.min(supervisor.probes.available_permits());
    }
    assert_eq!(fewest, 0);
    // 24 probes fit into a minute, and all sites are as far as the others
    let failures = |entry: &Entry| entry.health.results().map_or(0, |results| results.failures);
    let failures: Vec<_> = supervisor.sites.values().map(|entry| failures(entry)).collect();
    assert!(failures.iter().all(|count| (2..=3).contains(count)), "{failures:?}");
    let all: u32 = failures.iter().sum();
    assert!((20..=24).contains(&all), "{failures:?}");
}

const SITES: u16 = 10_000;
