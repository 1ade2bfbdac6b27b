//! Thousands of sites, in virtual time

use std::{collections::BTreeMap, time::Duration};

use pptp::TunnelConfig;
use pptp_connector::daemon::Daemon;
use pptp_fleet::{EventKind, SiteName, SiteState};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    held, in_virtual_time,
    world::{World, configuration, reload, until_up},
};

#[test]
fn a_thousand_sites_on_a_hundred_servers_are_up_as_fast_as_the_dial_rate_allows() {
    in_virtual_time(async {
        let world = World::new(100, Duration::from_millis(10));
        world.write(&configuration(1000, 100, |_| String::new()));
        let begin = Instant::now();
        let daemon = world.start().await;
        for site in 0..1000 {
            until_up(&daemon, &format!("b{site}")).await;
        }
        let took = begin.elapsed().as_secs_f64();
        let least = 1000.0 / DIAL_RATE;
        assert!(took <= 1.2 * least, "{took:.1} s, of {least} that the rate allows");
        // some dials are allowed at once
        assert!(took > 0.9 * least, "{took:.1} s: faster than the rate");
        assert!(daemon.shut_down().await);
    });
}

#[test]
fn a_reload_of_one_of_ten_thousand_sites_touches_no_other() {
    in_virtual_time(async {
        let world = World::new(10, Duration::from_millis(10));
        // the first 50 are up, and all others wait for a client
        let mut text = configuration(10_000, 10, |site| {
            if site < 50 { String::new() } else { "connect = \"on-demand\"\n".to_owned() }
        });
        world.write(&text);
        let daemon = world.start().await;
        for site in 0..50 {
            until_up(&daemon, &format!("b{site}")).await;
        }
        for (changed, keys) in [(7, "mru = 1300\n"), (5000, "idle = \"3m\"\n")] {
            let name: SiteName = format!("b{changed}").parse().unwrap();
            let before = states(&daemon);
            let mut events = daemon.fleet().events();
            let head = format!("[site.{name}]\n");
            text = text.replacen(&head, &format!("{head}{keys}"), 1);
            world.write(&text);
            let report = reload(&daemon).await;
            let mut touched: Vec<_> = report.redialled.iter().map(|(name, _)| name).collect();
            touched.extend(&report.changed);
            assert_eq!(touched, [&name], "{report:?}");
            assert!(
                report.added.is_empty() && report.removed.is_empty() && report.listeners.is_empty()
            );
            // the redial, and more time than an event that is late could need
            let observe = async {
                while let Some(event) = events.next().await {
                    let EventKind::Site { name: site, .. } = event.kind else {
                        panic!("{event:?}")
                    };
                    assert_eq!(site, name);
                }
            };
            assert!(timeout(Duration::from_secs(5), observe).await.is_err());
            let mut after = states(&daemon);
            after.insert(name.clone(), before[&name].clone());
            assert!(after == before, "another site was touched");
            if changed < 50 {
                until_up(&daemon, name.as_str()).await;
            }
        }
        assert!(daemon.shut_down().await);
    });
}

#[test]
fn an_idle_site_takes_six_kibibytes_beside_the_librarys_own() {
    in_virtual_time(async {
        let world = World::new(1, Duration::from_millis(10));
        let mut octets = Vec::new();
        for sites in [0, SITES] {
            let with = |keys: &str| configuration(sites, 100, |_| format!("{ON_DEMAND}{keys}"));
            world.write(&with(""));
            let before = held();
            let daemon = world.start().await;
            assert_eq!(daemon.fleet().sites().len(), sites as usize);
            // the log of events is full in the end
            for keys in ["enabled = false\n", "", "enabled = false\n", ""] {
                world.write(&with(keys));
                assert_eq!(reload(&daemon).await.changed.len(), sites as usize);
                sleep(Duration::from_secs(1)).await;
            }
            octets.push(held() - before);
            assert!(daemon.shut_down().await);
            drop(daemon);
            sleep(Duration::from_secs(1)).await;
            assert!(held() < before + SLACK, "{before} octets before, {} after", held());
        }
        let own = options_of_the_library();
        let each = (octets[1] - octets[0]) / SITES as usize;
        println!("{each} octets a site, {own} of them the library's; {} without a site", octets[0]);
        assert!(each - own <= 6 << 10, "{each} octets a site, {own} of them the library's");
    });
}

/// The octets of what the library wants for a tunnel, before there is one
fn options_of_the_library() -> usize {
    let before = held();
    let options = Box::new(TunnelConfig::new("10.99.0.1", "u0", "test123"));
    let octets = held() - before;
    drop(options);
    octets
}

/// The states of all sites
fn states(daemon: &Daemon) -> BTreeMap<SiteName, SiteState> {
    let sites = daemon.fleet().sites();
    sites.iter().map(|site| (site.name().clone(), site.state().borrow().clone())).collect()
}

/// Dials a second, by default
const DIAL_RATE: f64 = 50.0;

/// Sites whose memory is measured
const SITES: u32 = 2000;

const ON_DEMAND: &str = "connect = \"on-demand\"\nlabels = { city = \"Berlin\" }\n";

/// What a thread or a runtime keeps for itself
const SLACK: usize = 1 << 20;
