//! The JSON Schema against `check`: what the one accepts and what the other says

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use pptp_connector::configuration::{Configuration, Sources, schema};
use proptest::{
    collection::btree_map,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Map, Value as Json, json};
use toml::de::{DeTable, DeValue};

use crate::validator::Validator;

/// Returns what the schema has against a text of TOML; `None` if it is no TOML
pub(crate) fn faults(text: &str) -> Option<Vec<String>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    errors.is_empty().then(|| faults_of(&of_table(table.get_ref())))
}

fn faults_of(configuration: &Json) -> Vec<String> {
    static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| Validator::new(schema()));
    VALIDATOR.faults(configuration)
}

fn of_table(table: &DeTable<'_>) -> Json {
    let entries =
        table.iter().map(|(key, value)| (key.get_ref().to_string(), of_value(value.get_ref())));
    Json::Object(entries.collect())
}

fn of_value(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            json!(i64::from_str_radix(number.as_str(), number.radix()).expect("a small one"))
        }
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().expect("a number")),
        DeValue::Boolean(value) => json!(value),
        DeValue::Datetime(time) => json!(time.to_string()),
        DeValue::Array(all) => all.iter().map(|it| of_value(it.get_ref())).collect(),
        DeValue::Table(table) => of_table(table),
    }
}

/// The wrong configurations whose fault the schema knows: an unknown key, a value of another kind, a wrong word
const KNOWN: &[&str] = &[
    "api_listeners",
    "api_tokens",
    "control_and_outer",
    "defaults_told_once",
    "forward_targets",
    "insecure_words",
    "keys_of_a_site_in_defaults",
    "knx_forwards",
    "literal_password_is_not_shown",
    "logins_of_a_proxy",
    "loopback_elsewhere",
    "loopback_of_another_kind",
    "metrics",
    "metrics_labels_and_socket",
    "name_of_a_site",
    "numbers_out_of_range",
    "password_of_an_unknown_place",
    "password_with_two_places",
    "slips_with_passwords",
    "times",
    "unknown_key",
    "unknown_table",
    "wrong_kinds",
];

/// Those whose fault lies between several keys, files or layers, in a reference, or within a text
const UNKNOWN: &[&str] = &[
    "forward_without_listen",
    "forward_without_target",
    "include_without_a_match",
    "included_top_level",
    "loopback_and_a_wildcard",
    "loopback_full",
    "loopback_with_localhost",
    "loopback_within_a_network",
    "loopback_without_a_network",
    "loopback_without_state",
    "metrics_without_a_listener",
    "missing_keys",
    "names_of_hosts",
    "no_such_template",
    "no_template_at_all",
    "options_of_the_other_protocol",
    "pap_without_no_encryption",
    "proxies",
    "reachable_from_other_machines",
    "server_of_ipv6",
    "server_with_a_bad_port",
    "too_many_files",
    "two_listeners_at_one_address",
    "warnings",
];

/// Those that are no TOML
const BROKEN: &[&str] =
    &["broken_with_passwords", "password_without_quotes", "same_site_twice", "syntax"];

#[test]
fn the_schema_refuses_those_wrong_configurations_whose_fault_it_can_express() {
    let folder = Path::new("tests/configuration/wrong");
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| {
        let path = entry.expect("it can be listed").path();
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        (name, path)
    });
    let files = files.filter(|(_, path)| path.extension().is_some_and(|it| it == "toml"));
    let mut sorted = BTreeMap::<&str, Vec<String>>::new();
    for (name, path) in files {
        let faults = faults(&fs::read_to_string(&path).expect("a text"));
        let kind = match &faults {
            None => "broken",
            Some(faults) if faults.is_empty() => "unknown",
            Some(_) => "known",
        };
        sorted.entry(kind).or_default().push(name);
    }
    for names in sorted.values_mut() {
        names.sort();
    }
    let wanted = [("broken", BROKEN), ("known", KNOWN), ("unknown", UNKNOWN)];
    let wanted = wanted.map(|(kind, names)| {
        (kind, names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    });
    assert_eq!(sorted, BTreeMap::from(wanted));
}

/// The right values of each kind that a key may have
fn times() -> impl Strategy<Value = Json> {
    select(vec!["10s", "1m", "1h 30m", "90 s", "2min", "600s"]).prop_map(|it| json!(it))
}

fn texts(all: &'static [&'static str]) -> BoxedStrategy<Json> {
    select(all).prop_map(|it| json!(it)).boxed()
}

fn some_of(all: &'static [&'static str]) -> BoxedStrategy<Json> {
    subsequence(all, 0..=all.len()).prop_map(|it| json!(it)).boxed()
}

fn flags() -> BoxedStrategy<Json> {
    any::<bool>().prop_map(|it| json!(it)).boxed()
}

fn numbers(from: u32, to: u32) -> BoxedStrategy<Json> {
    (from..=to).prop_map(|it| json!(it)).boxed()
}

/// A table that has some of these keys
fn table(keys: Vec<(&'static str, BoxedStrategy<Json>)>) -> BoxedStrategy<Json> {
    let keys = keys.into_iter().map(|(name, value)| {
        proptest::option::of(value).prop_map(move |value| (name.to_owned(), value))
    });
    let table = keys.collect::<Vec<_>>().prop_map(|keys| {
        let there = keys.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Json::Object(there.collect())
    });
    table.boxed()
}

fn list(of: BoxedStrategy<Json>, most: usize) -> BoxedStrategy<Json> {
    proptest::collection::vec(of, 0..=most).prop_map(Json::Array).boxed()
}

fn listens() -> BoxedStrategy<Json> {
    let socket = table(vec![
        ("mode", texts(&["0600", "660", "7", "00777"])),
        ("group", texts(&["operators"])),
    ]);
    let paths = (0..1000_u32, socket).prop_map(|(number, mut socket)| {
        socket["unix"] = json!(format!("/run/{number}.sock"));
        socket
    });
    let addresses = (1024..60_000_u16).prop_map(|port| json!(format!("127.0.0.1:{port}")));
    prop_oneof![addresses, Just(json!("[::1]:0")), Just(json!("unix:/run/x.sock")), paths].boxed()
}

fn forwards() -> BoxedStrategy<Json> {
    let rest = table(vec![
        ("listen", listens()),
        ("clients", some_of(&["127.0.0.0/8", "10.0.0.1", "::/0"])),
        ("connections", numbers(1, 65_535)),
        ("idle", times().boxed()),
        ("any_source", flags()),
    ]);
    let to = texts(&["tcp:192.168.1.3:80", "udp:knx:3671", "tcp:plc.lan:502"]);
    (rest, to)
        .prop_map(|(mut forward, to)| {
            forward["to"] = to;
            forward
        })
        .boxed()
}

fn passwords() -> BoxedStrategy<Json> {
    let places = ["file", "env", "credential"].map(|place| Just(json!({ place: "b17" })).boxed());
    let [file, env, credential] = places;
    prop_oneof![Just(json!("test123")), file, env, credential].boxed()
}

fn site_keys() -> Vec<(&'static str, BoxedStrategy<Json>)> {
    vec![
        ("server", texts(&["vpn.example.net", "198.51.100.1:1724", "b17"])),
        ("user", texts(&["svc", "BUILDING\\svc"])),
        ("password", passwords()),
        ("labels", Just(json!({ "city": "Berlin" })).boxed()),
        ("hosts", Just(json!({ "knx": "192.168.1.3" })).boxed()),
        ("connect", texts(&["always", "on-demand", "manual"])),
        ("idle", times().boxed()),
        ("enabled", flags()),
        ("wait", times().boxed()),
        ("share_login", flags()),
        ("insecure", some_of(&["mschap-v1", "pap", "no-encryption", "key40"])),
        ("mru", numbers(576, 1500)),
        ("dead_after", times().boxed()),
        ("connect_timeout", times().boxed()),
        ("inner_address", texts(&["192.168.1.20"])),
        ("request_dns", flags()),
        ("client_host_name", texts(&["hub"])),
        ("phone_number", texts(&["1"])),
        ("password_encoding", texts(&["utf-16", "widened-octets", "widened-utf-8"])),
        ("header_compression", flags()),
        ("path_proof", flags()),
        ("probe", texts(&["tcp:192.168.1.3:80", "http:192.168.1.3/", "ping:192.168.1.3"])),
        ("forward", list(forwards(), 2)),
    ]
}

fn sites() -> BoxedStrategy<Json> {
    let mut keys = site_keys();
    keys.push(("template", texts(&["office"])));
    keys.push(("address", texts(&["127.64.0.1", "127.64.0.2"])));
    let needed = (texts(&["vpn.example.net", "vpn2.example.net"]), passwords());
    let site = (table(keys), needed).prop_map(|(mut site, (server, password))| {
        (site["server"], site["user"], site["password"]) = (server, json!("svc"), password);
        site
    });
    let names = "[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?";
    btree_map(names, site, 0..3).prop_map(|all| Json::Object(Map::from_iter(all))).boxed()
}

fn configurations() -> BoxedStrategy<Json> {
    let proxy_keys = || {
        vec![
            ("sites", some_of(&["*", "b17", "@city=Berlin"])),
            ("targets", some_of(&["*", "192.168.1.0/24:80,443"])),
            ("suffix", texts(&["pptp.internal"])),
            ("clients", some_of(&["10.0.0.0/8"])),
            ("connections", numbers(1, 65_535)),
            ("insecure_open", flags()),
        ]
    };
    let proxy =
        (table(proxy_keys()), listens(), any::<bool>()).prop_map(|(mut proxy, listen, is_http)| {
            proxy[if is_http { "http" } else { "socks" }] = listen;
            proxy
        });
    let top = table(vec![
        ("state", texts(&["/var/lib/pptp-connector", "state"])),
        ("control", table(vec![("socket", texts(&["/run/x.sock"])), ("mode", texts(&["0660"]))])),
        ("proxy", list(proxy.boxed(), 2)),
        ("limits", table(vec![("dial_rate", numbers(1, 1000)), ("shutdown", texts(&["12s"]))])),
        ("outer", table(vec![("device", texts(&["eth0"])), ("drivers", numbers(1, 4))])),
        ("loopback", Just(json!({ "network": "127.64.0.0/16" })).boxed()),
        ("defaults", table(site_keys())),
        ("site", sites()),
    ]);
    (top, table(site_keys()))
        .prop_map(|(mut top, office)| {
            top["template"] = json!({ "office": office });
            top
        })
        .boxed()
}

/// Writes a value as TOML, tables within a line
fn emit(value: &Json) -> String {
    match value {
        Json::Array(all) => {
            format!("[{}]", all.iter().map(emit).collect::<Vec<_>>().join(", "))
        }
        Json::Object(table) => {
            let all = table.iter().map(|(key, value)| format!("{key} = {}", emit(value)));
            format!("{{ {} }}", all.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn read(configuration: &Json) -> Configuration {
    let top = configuration.as_object().expect("a table");
    let lines = top.iter().map(|(key, value)| format!("{key} = {}\n", emit(value)));
    let text = lines.collect::<String>();
    Configuration::read(Sources::of_text(Path::new("/etc/x/connector.toml"), text), None)
}

/// The ways to each table of a configuration whose keys are known, the top level first
fn tables(configuration: &Json) -> Vec<String> {
    let mut all = vec![String::new()];
    for name in ["control", "limits", "outer", "defaults", "template/office"] {
        all.push(format!("/{name}"));
    }
    for site in configuration["site"].as_object().into_iter().flat_map(Map::keys) {
        all.push(format!("/site/{site}"));
        all.push(format!("/site/{site}/forward/0"));
    }
    all.push("/proxy/0".to_owned());
    all.retain(|way| configuration.pointer(way).is_some_and(Json::is_object));
    all
}

/// A slip in one table: a key that is none, or a value that no key has
fn slip(configuration: &mut Json, place: usize, is_key: bool) {
    let tables = tables(configuration);
    let way = &tables[place % tables.len()];
    let table = configuration.pointer_mut(way).and_then(Json::as_object_mut).expect("a table");
    let key = table.keys().nth(place % table.len().max(1)).cloned();
    match key.filter(|_| !is_key) {
        // neither a text, a number, a truth nor a list of them
        Some(key) => _ = table.insert(key, json!([[1.5]])),
        None => _ = table.insert("servr".to_owned(), json!("vpn.example.net")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// All values are right in themselves; many fit together, too
    #[test]
    fn the_schema_accepts_what_check_accepts(configuration in configurations()) {
        let faults = faults_of(&configuration);
        prop_assert!(faults.is_empty(), "{:?}: {}", faults, configuration);
        let problems: Vec<_> = read(&configuration).errors().map(|it| it.message.clone()).collect();
        // what is wrong lies between the keys, and is told of no single one
        prop_assert!(
            !problems.iter().any(|it| it.contains("is no key here") || it.contains("is wanted, not")),
            "{:?}: {}", problems, configuration
        );
    }

    #[test]
    fn both_refuse_a_slip(
        mut configuration in configurations(),
        place in any::<usize>(),
        is_key in any::<bool>(),
    ) {
        slip(&mut configuration, place, is_key);
        prop_assert!(!faults_of(&configuration).is_empty(), "the schema: {}", configuration);
        prop_assert!(!read(&configuration).is_good(), "check: {}", configuration);
    }
}

#[test]
fn enough_of_the_generated_configurations_are_good() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = configurations();
    let good = (0..300).filter(|_| {
        let tree = strategy.new_tree(&mut runner).expect("it has values");
        read(&proptest::strategy::ValueTree::current(&tree)).is_good()
    });
    assert!(good.count() >= 30, "the property would say little");
}
