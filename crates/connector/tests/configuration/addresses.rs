//! Addresses of `[loopback]`, as a configuration deals them out

use std::{
    net::Ipv4Addr,
    path::Path,
    time::{Duration, SystemTime},
};

use pptp_connector::{
    configuration::{Configuration, KnownDeals, Sources},
    deals::Deals,
    settings::Listen,
};

/// Reads a configuration with these sites, of which each has the template with one forward
fn read(sites: &str, deals: Deals, days: u64) -> Configuration {
    let text = format!(
        r#"
        state = "state"
        [loopback]
        network = "127.64.0.0/29"
        [defaults]
        user = "svc"
        password = {{ env = "P" }}
        share_login = true
        server = "vpn.example.net"
        [template.office]
        forward = [{{ to = "udp:192.168.1.3:3671" }}]
        {sites}
        "#
    );
    let sources = Sources::of_text(Path::new("/etc/x/connector.toml"), text);
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24) * u32::try_from(days).unwrap();
    Configuration::read_with(sources, None, |state| {
        assert_eq!(state, Some(Path::new("/etc/x/state")));
        KnownDeals { deals, failure: None, now }
    })
}

fn offices(names: &[&str]) -> String {
    let tables = names.iter().map(|name| format!("[site.{name}]\ntemplate = \"office\"\n"));
    tables.collect::<Vec<_>>().concat()
}

fn deals(read: &Configuration) -> Deals {
    read.settings().deals.clone().expect("there is a network")
}

/// The address of each site, and where its forwards listen
fn addresses(read: &Configuration) -> Vec<(String, Option<Ipv4Addr>, Vec<String>)> {
    let sites = read.settings().sites.iter().map(|(name, site)| {
        let listens = site.forwards.iter().map(|forward| forward.listen.to_string()).collect();
        (name.to_string(), site.address, listens)
    });
    sites.collect()
}

fn told(read: &Configuration) -> Vec<String> {
    read.errors().map(|problem| problem.line(read.sources())).collect()
}

#[test]
fn the_forwards_of_a_template_get_an_address_for_each_site() {
    let more = "[site.b3]\nforward = [{ to = \"tcp:gate:80\", listen = \"127.0.0.1:8080\" }]\n[site.b4]\n\
                template = \"office\"\naddress = \"127.64.0.2\"\n";
    let read = read(&(offices(&["b1", "b2"]) + more), Deals::default(), 0);
    assert_eq!(told(&read), [""; 0]);
    let at = |octet| Some(Ipv4Addr::new(127, 64, 0, octet));
    let one = |listen: &str| vec![listen.to_owned()];
    assert_eq!(
        addresses(&read),
        [
            ("b1".to_owned(), at(1), one("127.64.0.1:3671")),
            ("b2".to_owned(), at(3), one("127.64.0.3:3671")),
            ("b3".to_owned(), None, one("127.0.0.1:8080")),
            ("b4".to_owned(), at(2), one("127.64.0.2:3671")),
        ]
    );
    let b1 = &read.settings().sites["b1"];
    assert!(matches!(b1.forwards[0].listen, Listen::Ip(address) if address.port() == 3671));
}

#[test]
fn a_site_keeps_its_address_while_others_come_and_go() {
    let first = read(&offices(&["b2", "b3"]), Deals::default(), 0);
    let second = read(&offices(&["b1", "b3", "b4"]), deals(&first), 0);
    let third = read(&offices(&["b1", "b2", "b3", "b4"]), deals(&second), 9);
    let octets: Vec<_> =
        addresses(&third).iter().map(|(_, address, _)| address.unwrap().octets()[3]).collect();
    assert_eq!(octets, [3, 1, 2, 4]);
    let full = read(&offices(&["c1", "c2", "c3", "c4", "c5", "c6", "b2"]), deals(&third), 9);
    // two were never anybody's, and those of three sites were given up just now
    assert_eq!(told(&full).len(), 4, "{:#?}", told(&full));
    assert!(told(&full)[0].contains("3 of its addresses were those of sites until a day ago"));
    let later = read(&offices(&["c1", "c2", "c3", "c4", "c5", "b2"]), deals(&full), 10);
    assert_eq!(told(&later), [""; 0]);
}

#[test]
fn an_address_that_is_another_sites_already_is_told_with_its_place() {
    let first = read(&offices(&["b1", "b2"]), Deals::default(), 0);
    let own = "[site.b3]\naddress = \"127.64.0.2\"\n";
    let collides = read(&(offices(&["b1", "b2"]) + own), deals(&first), 0);
    let problem = collides.errors().next().expect("it is told");
    assert_eq!(
        problem.render(collides.sources()),
        "error: 127.64.0.2 was dealt out to `b2`, and stays its address\n  \
         --> /etc/x/connector.toml:17:11\n   |\n17 | address = \"127.64.0.2\"\n   |           ^^^^^^^^^^^^\n   |\n   \
         = help: write another one, or `address = …` in [site.b2], too"
    );
    assert!(collides.is_usable() && told(&collides).len() == 1, "it is this site's alone");
    assert_eq!(addresses(&collides)[..2], addresses(&first)[..]);
    // its own address may be written down, and that of a site which has gone or has another one now be taken
    let own = offices(&["b1", "b2"]) + "address = \"127.64.0.2\"\n";
    assert_eq!(told(&read(&own, deals(&first), 0)), [""; 0]);
    let gone = offices(&["b1", "b3"]) + "address = \"127.64.0.2\"\n";
    assert_eq!(told(&read(&gone, deals(&first), 0)), [""; 0]);
    let moved = offices(&["b1", "b2"]) + "address = \"127.64.0.5\"\n";
    let moved = moved + &offices(&["b3"]) + "address = \"127.64.0.2\"\n";
    assert_eq!(told(&read(&moved, deals(&first), 0)), [""; 0]);
}

#[test]
fn what_a_site_had_before_it_got_an_address_of_its_own_waits_for_it() {
    let first = read(&offices(&["b1"]), Deals::default(), 0);
    let own = read(&(offices(&["b1"]) + "address = \"127.64.0.6\"\n"), deals(&first), 0);
    let other = read(&offices(&["b1", "b0"]), deals(&own), 0);
    let octets: Vec<_> =
        addresses(&other).iter().map(|(_, address, _)| address.unwrap().octets()[3]).collect();
    assert_eq!(octets, [2, 1]);
}

#[test]
fn a_site_with_a_problem_keeps_its_address() {
    let first = read(&offices(&["b1", "b2"]), Deals::default(), 0);
    let broken = read(&(offices(&["b1"]) + "mru = 1\n" + &offices(&["b2"])), deals(&first), 0);
    assert_eq!(told(&broken).len(), 1);
    assert_eq!(deals(&broken), deals(&first));
    let none = Configuration::read(
        Sources::of_text(Path::new("x"), "[site.b1]\nforward = [{ to = \"tcp:a:1\" }]".into()),
        None,
    );
    assert_eq!(none.settings().deals, None);
}

#[test]
fn a_table_that_cannot_be_read_is_a_warning() {
    let text = "state = \"s\"\n[loopback]\nnetwork = \"127.64.0.0/29\"\n";
    let sources = Sources::of_text(Path::new("x"), text.into());
    let read = Configuration::read_with(sources, None, |_| KnownDeals {
        failure: Some("no disk".to_owned()),
        ..KnownDeals::default()
    });
    let warnings: Vec<_> = read.warnings().map(|it| it.line(read.sources())).collect();
    assert!(warnings.iter().any(|it| it.contains("are not known: no disk")), "{warnings:?}");
}
