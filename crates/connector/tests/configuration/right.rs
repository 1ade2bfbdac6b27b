//! Right configurations, and what they mean

use std::{path::Path, time::Duration};

use pptp_connector::{
    configuration::{Configuration, Severity, Sources, reference, schema},
    settings::{Listen, MetricsSites, Protocol, ProxyKind, Settings},
};
use pptp_fleet::SiteName;
use pptp_knxnetip::relay::Endpoint;

use crate::schema::faults;

fn read(text: &str) -> Configuration {
    Configuration::read(Sources::of_text(Path::new("/etc/x/connector.toml"), text.into()), None)
}

fn settings(text: &str) -> Settings {
    let configuration = read(text);
    let lines: Vec<_> = configuration.errors().map(|it| it.line(configuration.sources())).collect();
    assert!(lines.is_empty(), "{lines:#?}");
    let faults = faults(text).expect("it is TOML");
    assert_eq!(faults, [""; 0], "the schema refuses it");
    configuration.settings().clone()
}

fn name(name: &str) -> SiteName {
    name.parse().expect("a name")
}

#[test]
fn an_empty_configuration_is_one_without_sites() {
    let settings = settings("");
    assert!(settings.sites.is_empty() && settings.proxies.is_empty());
    assert_eq!(settings.limits.dial_rate, 50);
}

#[test]
fn a_site_has_the_keys_of_its_template_and_of_the_defaults() {
    let settings = settings(
        r#"
        [defaults]
        user = "svc"
        wait = "3s"
        labels = { country = "DE", city = "?" }
        password = { env = "P" }

        [template.mikrotik]
        wait = "4s"
        hosts = { KNX = "192.168.1.3" }

        [site.b17]
        template = "mikrotik"
        server = "vpn17.example.net"
        labels = { city = "Berlin" }

        [site.b18]
        server = "vpn18.example.net:1724"
        user = "other"
        connect = "on-demand"
        "#,
    );
    let (b17, b18) = (&settings.sites[&name("b17")], &settings.sites[&name("b18")]);
    assert_eq!((b17.dial.user(), b18.dial.user()), ("svc", "other"));
    assert_eq!((b17.wait, b18.wait), (Duration::from_secs(4), Duration::from_secs(3)));
    assert_eq!(b17.labels["city"], "Berlin");
    assert_eq!((&*b17.labels["country"], &*b18.labels["city"]), ("DE", "?"));
    assert_eq!(b17.hosts["knx"], std::net::Ipv4Addr::new(192, 168, 1, 3));
    assert_eq!(b18.dial.server(), "vpn18.example.net:1724");
}

#[test]
fn forwards_and_proxies_have_their_keys() {
    let settings = settings(
        r#"
        [site.b17]
        server = "vpn17.example.net"
        user = "svc"
        password = { file = "secrets/b17" }
        address = "127.64.17.1"
        forward = [
          { to = "udp:plc:47808", any_source = true },
          { to = "knx:KNX" },
          { to = "knx:192.168.1.3:3672", hpai = "zero", remote_configuration = true, listen = "127.0.0.1:0" },
          { to = "tcp:192.168.1.3:80", listen = { unix = "/run/b17.sock", mode = "0660" }, idle = "2h" },
        ]

        [[proxy]]
        socks = "127.0.0.1:1080"

        [[proxy]]
        http = "unix:/run/http.sock"
        sites = ["b17"]
        targets = ["192.168.1.0/24:80,443"]
        "#,
    );
    let forwards = &settings.sites[&name("b17")].forwards;
    assert_eq!(forwards[0].listen.to_string(), "127.64.17.1:47808");
    assert!(matches!(
        forwards[0].protocol,
        Protocol::Udp { idle, any_source: true } if idle == Duration::from_mins(5)
    ));
    assert_eq!(
        (forwards[1].protocol, forwards[1].listen.to_string()),
        (Protocol::KNX, "127.64.17.1:3671".into())
    );
    assert_eq!(forwards[1].target.to_string(), "knx:3671");
    assert!(matches!(
        forwards[2].protocol,
        Protocol::Knx { hpai: Endpoint::Zero, remote_configuration: true }
    ));
    assert_eq!(forwards[2].target.to_string(), "192.168.1.3:3672");
    let Listen::Unix(socket) = &forwards[3].listen else { panic!("a unix socket") };
    assert_eq!((socket.path.to_str(), socket.mode), (Some("/run/b17.sock"), 0o660));
    let [socks, http] = &settings.proxies[..] else { panic!("two proxies") };
    assert_eq!((socks.kind, http.kind), (ProxyKind::Socks, ProxyKind::Http));
    assert_eq!(http.sites.only(), Some(&name("b17")));
}

#[test]
fn metrics_have_their_keys_and_are_without_a_listener_by_default() {
    let none = settings("").metrics;
    assert_eq!((none.listen, none.sites), (None, MetricsSites::All));
    let metrics = settings(
        r#"
        [metrics]
        listen = "0.0.0.0:9464"
        clients = ["10.0.0.0/8"]
        hosts = ["Hub.Example"]
        sites = "problems"
        labels = ["city", "floor_2"]
        "#,
    )
    .metrics;
    assert_eq!(metrics.listen, Some("0.0.0.0:9464".parse().unwrap()));
    assert!(metrics.clients.may_use(Some([10, 1, 2, 3].into())));
    assert!(!metrics.clients.may_use(Some([192, 0, 2, 1].into())));
    assert_eq!(
        (metrics.hosts, metrics.labels),
        (vec!["hub.example".into()], vec!["city".into(), "floor_2".into()])
    );
    assert_eq!(metrics.sites, MetricsSites::Problems);
}

#[test]
fn a_problem_of_one_site_leaves_the_others_usable() {
    let configuration = read(
        r#"
        [defaults]
        user = "svc"
        password = { env = "P" }
        [site.b17]
        server = "vpn17.example.net"
        mru = 1
        [site.b18]
        server = "vpn18.example.net"
        "#,
    );
    assert!(!configuration.is_good() && configuration.is_usable());
    let problems = configuration.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].severity, problems[0].site()), (Severity::Site, Some(&name("b17"))));
    assert_eq!(configuration.settings().sites.len(), 2);
}

#[test]
fn a_change_of_any_option_of_a_tunnel_is_a_difference_with_its_name() {
    let base = "[site.b]\nserver = \"x\"\nuser = \"u\"\npassword = { env = \"P\" }\n";
    let dial = |more: &str| settings(&format!("{base}{more}")).sites[&name("b")].dial.clone();
    let none = dial("");
    for (line, option) in [
        ("mru = 1300", "mru"),
        ("dead_after = \"30s\"", "dead_after"),
        ("connect_timeout = \"40s\"", "connect_timeout"),
        ("inner_address = \"192.168.1.9\"", "inner_address"),
        ("request_dns = false", "request_dns"),
        ("client_host_name = \"hub\"", "client_host_name"),
        ("phone_number = \"1\"", "phone_number"),
        ("password_encoding = \"widened-utf-8\"", "password_encoding"),
        ("header_compression = true", "header_compression"),
        ("path_proof = false", "path_proof"),
        ("insecure = [\"key40\"]", "key40"),
    ] {
        assert_eq!(none.difference(&dial(line)).names, [option], "{line}");
        assert!(dial(line).difference(&dial(line)).names.is_empty(), "{line}");
    }
    for line in ["wait = \"1s\"", "labels = { a = \"b\" }", "connect = \"manual\""] {
        assert!(none.difference(&dial(line)).names.is_empty(), "{line}");
    }
}

#[test]
fn the_schema_knows_each_key_and_the_reference_tells_it() {
    let (schema, reference) = (schema().to_string(), reference());
    for key in
        ["include", "template", "share_login", "any_source", "insecure_open", "fwmark", "hpai"]
    {
        assert!(schema.contains(&format!("\"{key}\":")), "{key}");
        assert!(reference.contains(&format!("- `{key}`: ")), "{key}");
    }
}

#[test]
fn ten_thousand_sites_are_read_in_a_second() {
    use std::fmt::Write;
    let mut text = "[defaults]\nuser = \"svc\"\nconnect = \"on-demand\"\n".to_owned();
    for site in 0..10_000 {
        writeln!(
            text,
            "[site.b{site}]\nserver = \"vpn{site}.example.net\"\npassword = {{ file = \"secrets/b{site}\" }}\n\
             labels = {{ city = \"Berlin\" }}\n"
        )
        .expect("a text takes everything");
    }
    assert_eq!(settings(&text).sites.len(), 10_000);
}

#[test]
fn errors_are_shown_before_any_number_of_warnings() {
    use std::fmt::Write;
    let mut text = String::new();
    for site in 0..60 {
        writeln!(text, "[site.b{site}]\nserver = \"vpn{site}\"\nuser = \"u\"\npassword = \"x\"")
            .expect("a text takes everything");
    }
    text.push_str("[site.last]\nserver = \"x\"\nuser = \"u\"\n");
    let shown = read(&text).rendered();
    assert!(shown.starts_with("error: missing: `password`"), "{shown}");
    assert!(shown.trim_end().ends_with("and 11 more"), "{shown}");
}
