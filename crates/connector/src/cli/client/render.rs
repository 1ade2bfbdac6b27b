//! The texts of `show`

use std::{collections::BTreeMap, fmt::Write};

use comfy_table::{ContentArrangement, Table, presets::NOTHING};

use crate::api::view::{
    FailureView, GroupView, ListenerView, ProblemsView, SiteView, StatusView, TunnelView,
};

/// Makes the first lines: the sum of the sites, and what concerns the daemon
pub(super) fn status(status: &StatusView) -> String {
    let mut states: Vec<_> = status.states.iter().map(|(state, count)| (*count, state)).collect();
    // `up` first, then the most frequent ones
    states.sort_by_key(|(count, state)| (*state != "up", std::cmp::Reverse(*count)));
    let states: Vec<_> = states.iter().map(|(count, state)| format!("{count} {state}")).collect();
    let site = if status.sites == 1 { "site" } else { "sites" };
    let mut text = format!("{} {site}", status.sites);
    if !states.is_empty() {
        let _ = write!(text, ": {}", states.join(", "));
    }
    let _ = write!(text, "; the daemon is up {}", duration(status.uptime_seconds));
    if let Some(read) = &status.config_read {
        let _ = write!(text, ", its configuration was read {read}");
    }
    text.push('\n');
    if !status.problems.is_empty() {
        let _ = writeln!(text, "{}", status.problems_title);
    }
    for problem in status.problems.iter().take(PROBLEMS_SHOWN) {
        let _ = writeln!(text, "  {problem}");
    }
    if let Some(more) = status.problems.len().checked_sub(PROBLEMS_SHOWN).filter(|it| *it > 0) {
        let file = status.config.as_deref().unwrap_or("FILE");
        let _ = writeln!(text, "  and {more} more: pptp-connector check -c {file}");
    }
    if status.outage {
        text.push_str("many servers fail together: this machine or its network is out of order\n");
    }
    for listener in status.listeners.iter().filter(|listener| listener.off_host) {
        let ListenerView { kind, listen, .. } = listener;
        let _ = writeln!(text, "other machines can reach {kind} {listen}");
    }
    text + &missing(&status.listeners)
}

/// Makes the lines of the listeners that are not open
fn missing(listeners: &[ListenerView]) -> String {
    let missing = listeners.iter().filter_map(|it| Some((it, it.error.as_deref()?)));
    let mut text = String::new();
    for (ListenerView { kind, listen, site, .. }, error) in missing.clone().take(PROBLEMS_SHOWN) {
        let site = site.as_deref().map(|site| format!(" of {site}")).unwrap_or_default();
        let _ = writeln!(text, "not open, and tried again: {kind} {listen}{site}: {error}");
    }
    if let Some(more) = missing.count().checked_sub(PROBLEMS_SHOWN).filter(|it| *it > 0) {
        let _ = writeln!(text, "and {more} more that are not open: pptp-connector show SITE");
    }
    text
}

/// Makes a table of sites, one a line
pub(super) fn table(sites: &[SiteView]) -> String {
    let mut table = new_table();
    table.set_header(["SITE", "STATE", "FOR", "INNER", "RECEIVED", "SENT", "HEARD", "REASON"]);
    for site in sites {
        let tunnel = site.tunnel.as_ref();
        let of_tunnel = |text: fn(&TunnelView) -> String| tunnel.map_or_else(none, text);
        let mut state = match site.next_dial_seconds {
            Some(seconds) => format!("{} {}", site.state, duration(seconds)),
            None => site.state.clone(),
        };
        for word in &site.health {
            let _ = write!(state, ", {word}");
        }
        table.add_row([
            site.name.clone(),
            state,
            site.since_seconds.map_or_else(none, duration),
            of_tunnel(|tunnel| tunnel.inner_address.clone()),
            of_tunnel(|tunnel| octets(tunnel.octets_received)),
            of_tunnel(|tunnel| octets(tunnel.octets_sent)),
            of_tunnel(heard),
            reason(site),
        ]);
    }
    trim(&table)
}

/// Makes a table of the groups of sites that are not up, and of what is left
pub(super) fn problems(problems: &ProblemsView) -> String {
    if problems.groups.is_empty() {
        return "each site that is to be up is up or on its way\n".to_owned();
    }
    let (groups, single): (Vec<_>, Vec<_>) =
        problems.groups.iter().partition(|group| group.count > 1);
    let mut text = String::new();
    if !groups.is_empty() {
        let mut table = new_table();
        table.set_header(["SITES", "SERVER", "NEXT DIAL", "REASON"]);
        for group in groups {
            let next = group.next_dial_seconds.map_or_else(none, duration);
            table.add_row([
                group.count.to_string(),
                group.server.clone(),
                next,
                failure(&group.failure),
            ]);
        }
        text.push_str(&trim(&table));
    }
    if !single.is_empty() {
        let mut table = new_table();
        table.set_header(["SITE", "SERVER", "NEXT DIAL", "REASON"]);
        for group in single.iter().take(MAX_SINGLE) {
            let next = group.next_dial_seconds.map_or_else(none, duration);
            let name = group.sites.first().cloned().unwrap_or_default();
            table.add_row([name, group.server.clone(), next, failure(&group.failure)]);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&trim(&table));
    }
    let hidden =
        single.iter().skip(MAX_SINGLE).map(|group: &&GroupView| group.count).sum::<usize>();
    if hidden > 0 || problems.more_groups > 0 {
        let more = hidden.saturating_add(problems.more_groups);
        let _ = writeln!(text, "and {more} more: pptp-connector show --all");
    }
    text
}

/// Makes the facts of a site, one a line
pub(super) fn site(site: &SiteView) -> String {
    let mut text = format!("site: {}", site.name);
    if !site.labels.is_empty() {
        let _ = write!(text, " ({})", labels(&site.labels));
    }
    text.push('\n');
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "  {name}: {value}");
    };
    fact("state", state(site));
    if let Some(failure) = &site.failure {
        let FailureView { name, class, layer, message, advice } = failure;
        fact("failure", format!("{name}: {message} (layer {layer}, class {class})"));
        if let Some(advice) = advice {
            fact("advice", advice.clone());
        }
    }
    match &site.tunnel {
        None => fact("server", site.server.clone()),
        Some(tunnel) => {
            fact("server", server(site, tunnel));
            fact("tunnel", tunnel_facts(tunnel));
            fact("inner", inner(tunnel));
            fact("packets", packets(tunnel));
        }
    }
    let Some(more) = &site.more else { return text };
    if let Some(error) = &more.probe_error {
        fact("degraded", format!("the device behind it does not answer: {error}"));
    }
    if site.health.iter().any(|word| word == "flapping") {
        fact("flapping", "it came up four times or more within an hour".to_owned());
    }
    if more.dials > 0 {
        let failed = more.dials_failed.iter().map(|(name, count)| format!(", {count} {name}"));
        fact(
            "dials",
            format!("{}, {} up{}", more.dials, more.dials_up, failed.collect::<String>()),
        );
    }
    if more.failures > 0 {
        fact("failures", format!("{} in a row", more.failures));
    }
    if let Some(ahead) = more.ahead {
        fact("queue", format!("{ahead} sites are dialled before it at the latest"));
    }
    if let Some(seconds) = more.server_waits_seconds {
        fact("server's pause", format!("it is tried again in {}", duration(seconds)));
    }
    fact("users", more.users.to_string());
    if let Some(address) = &more.address {
        fact("address", address.clone());
    }
    for forward in &more.forwards {
        let target = forward.target.as_deref().unwrap_or("any target");
        let (kind, listen, clients) = (&forward.kind, &forward.listen, forward.clients);
        let dropped = match forward.dropped_services {
            0 => String::new(),
            count => format!(", {count} requests to change the device dropped"),
        };
        let state = match &forward.error {
            Some(error) => format!("not open, and tried again: {error}"),
            None => format!("{clients} clients{dropped}"),
        };
        fact("forward", format!("{kind} {listen} -> {target}, {state}"));
    }
    for (name, address) in &more.hosts {
        fact("host", format!("{name} {address}"));
    }
    text
}

fn state(site: &SiteView) -> String {
    match (&site.since, site.since_seconds, &site.next_dial, site.next_dial_seconds) {
        (Some(since), Some(seconds), ..) => {
            format!("{} for {}, since {since}", site.state, duration(seconds))
        }
        (_, _, Some(next), Some(seconds)) => {
            format!("{}, next dial in {}, at {next}", site.state, duration(seconds))
        }
        // the failure has a line of its own
        _ if site.failure.is_some() => site.state.clone(),
        _ => site.detail.clone(),
    }
}

fn server(site: &SiteView, tunnel: &TunnelView) -> String {
    let mut text = format!("{}, {}", site.server, tunnel.server);
    if !tunnel.vendor.is_empty() {
        let _ = write!(text, ", vendor {}", tunnel.vendor.escape_debug());
    }
    let _ = write!(text, ", firmware {}", tunnel.firmware);
    text
}

fn tunnel_facts(tunnel: &TunnelView) -> String {
    format!(
        "connected in {} ms ({} round trips), {}, {}, MTU {}",
        tunnel.connect_milliseconds,
        tunnel.round_trips,
        tunnel.authentication,
        tunnel.encryption,
        tunnel.mtu
    )
}

fn inner(tunnel: &TunnelView) -> String {
    if tunnel.dns.is_empty() {
        return format!("{}, no DNS", tunnel.inner_address);
    }
    format!("{}, DNS {}", tunnel.inner_address, tunnel.dns.join(", "))
}

fn packets(tunnel: &TunnelView) -> String {
    let mut text = format!(
        "last received {}, {} in, {} out",
        heard(tunnel),
        octets(tunnel.octets_received),
        octets(tunnel.octets_sent)
    );
    if let Some(trip) = tunnel.round_trip_milliseconds {
        let _ = write!(text, ", round trip {trip:.0} ms");
    }
    text.push_str(match tunnel.proven {
        Some(true) => ", an answer has proven that they pass",
        Some(false) => ", the server answers no ping",
        None => "",
    });
    text
}

fn heard(tunnel: &TunnelView) -> String {
    match tunnel.last_received_seconds {
        Some(seconds) => format!("{} ago", duration(seconds)),
        None => "never".to_owned(),
    }
}

fn reason(site: &SiteView) -> String {
    match &site.failure {
        Some(it) => failure(it),
        None if site.detail == site.state => none(),
        None => {
            let rest = site.detail.strip_prefix(site.state.as_str()).unwrap_or(&site.detail);
            rest.trim_start_matches(": ").trim_start().to_owned()
        }
    }
}

fn failure(failure: &FailureView) -> String {
    let mut text = format!("{}: {}", failure.name, failure.message);
    if let Some(advice) = &failure.advice {
        let _ = write!(text, "; {advice}");
    }
    text
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    labels.join(", ")
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Returns the lines of a table without the spaces at their ends
fn trim(table: &Table) -> String {
    table.lines().fold(String::new(), |mut text, line| {
        text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        text.push('\n');
        text
    })
}

fn none() -> String {
    "-".to_owned()
}

/// Returns a time with its two largest units
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {:02} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {:02} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {:02} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// Returns a number of octets with its unit, powers of 1000
fn octets(octets: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        let next = unit.saturating_mul(1000);
        if octets < next {
            let tenths = (octets / (unit / 10).max(1)) % 10;
            let whole = octets / unit;
            return if unit == 1 {
                format!("{whole} {name}")
            } else {
                format!("{whole}.{tenths} {name}")
            };
        }
        unit = next;
    }
    format!("{} PB", octets / unit)
}

/// The sites without a group that are printed
const MAX_SINGLE: usize = 20;

/// The problems of the configuration that are shown above the sites
const PROBLEMS_SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_octets_have_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 01 s"),
            (3660, "1 h 01 min"),
            (273_600, "3 d 04 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1234, "1.2 kB"),
            (41_290_000, "41.2 MB"),
            (2_000_000_000, "2.0 GB"),
            (7_000_000_000_000_000, "7 PB"),
        ] {
            assert_eq!(octets(count), text);
        }
    }

    fn failure(name: &str, class: &str, layer: &str, advice: Option<&str>) -> FailureView {
        FailureView {
            name: name.into(),
            class: class.into(),
            layer: layer.into(),
            message: "told in words".into(),
            advice: advice.map(Into::into),
        }
    }

    fn up() -> SiteView {
        let tunnel = TunnelView {
            server: "198.51.100.17:1723".into(),
            vendor: "MikroTik".into(),
            firmware: 1,
            inner_address: "192.168.1.20".into(),
            dns: vec!["192.168.1.1".into()],
            mtu: 1396,
            authentication: "MS-CHAPv2".into(),
            encryption: "MPPE 128 stateless".into(),
            connect_milliseconds: 143,
            round_trips: 7,
            proven: Some(true),
            round_trip_milliseconds: Some(20.7),
            last_received_seconds: Some(2),
            octets_received: 41_290_000,
            octets_sent: 8_100_000,
            packets_received: 50_000,
            packets_sent: 20_000,
        };
        SiteView {
            name: "b17".into(),
            state: "up".into(),
            detail: "up".into(),
            server: "vpn17.example.net".into(),
            labels: BTreeMap::from([("city".into(), "Berlin".into())]),
            since: Some("2026-03-01T12:01:07Z".into()),
            since_seconds: Some(273_600),
            tunnel: Some(tunnel),
            ..SiteView::default()
        }
    }

    fn waiting() -> SiteView {
        let advice = Some("check user and password");
        SiteView {
            name: "b19".into(),
            state: "waiting".into(),
            detail: "waiting: AuthFailed: told in words".into(),
            server: "vpn19.example.net".into(),
            next_dial: Some("2026-03-04T16:07:07Z".into()),
            next_dial_seconds: Some(360),
            failure: Some(failure("AuthFailed", "credentials", "auth", advice)),
            ..SiteView::default()
        }
    }

    fn down() -> SiteView {
        SiteView {
            name: "b20".into(),
            state: "down".into(),
            detail: "down by anna".into(),
            server: "vpn20.example.net".into(),
            ..SiteView::default()
        }
    }

    fn daemon() -> StatusView {
        StatusView {
            uptime_seconds: 273_600,
            config_read: Some("2026-03-01T12:01:07Z".into()),
            problems_title: "the reload was refused:".into(),
            sites: 3,
            states: BTreeMap::from([("up".into(), 1), ("down".into(), 1), ("waiting".into(), 1)]),
            ..StatusView::default()
        }
    }

    #[test]
    fn a_few_sites_are_a_table() {
        let text = format!("{}\n{}", status(&daemon()), table(&[up(), waiting(), down()]));
        insta::assert_snapshot!("table", text);
    }

    #[test]
    fn what_concerns_the_daemon_stands_above_the_table() {
        let listener = |listen: &str, off_host| ListenerView {
            kind: "socks".into(),
            listen: listen.into(),
            off_host,
            ..ListenerView::default()
        };
        let listeners = vec![listener("0.0.0.0:1080", true), listener("127.0.0.1:1081", false)];
        let problems = vec!["connector.toml:4: `servr` is no key here".into()];
        let daemon =
            StatusView { running_last_good: true, problems, outage: true, listeners, ..daemon() };
        insta::assert_snapshot!("status", status(&daemon));
    }

    #[test]
    fn a_site_is_one_fact_a_line() {
        let forward = ListenerView {
            kind: "udp".into(),
            listen: "127.0.0.1:13671".into(),
            target: Some("192.168.1.3:3671".into()),
            clients: 2,
            ..ListenerView::default()
        };
        let knx = ListenerView {
            kind: "knx".into(),
            listen: "127.0.0.1:3671".into(),
            dropped_services: 3,
            ..forward.clone()
        };
        let more = crate::api::view::MoreView {
            users: 2,
            hosts: BTreeMap::from([("knx".into(), "192.168.1.3".into())]),
            address: Some("127.64.0.17".into()),
            forwards: vec![forward, knx],
            ..Default::default()
        };
        let up = SiteView { more: Some(more), ..up() };
        let more = crate::api::view::MoreView {
            failures: 4,
            ahead: Some(7),
            server_waits_seconds: Some(12),
            users: 0,
            ..Default::default()
        };
        let waiting = SiteView { more: Some(more), ..waiting() };
        insta::assert_snapshot!("site", [site(&up), site(&waiting), site(&down())].join("\n"));
    }

    #[test]
    fn many_sites_are_groups_and_then_the_others() {
        let group = |count, server: &str, name: &str, next, site: &str| GroupView {
            server: server.into(),
            failure: failure(name, "network", "tcp", None),
            count,
            sites: vec![site.into()],
            next_dial_seconds: next,
        };
        let mut groups = vec![
            group(300, "farm2", "TcpRefused", Some(12), "b1"),
            group(2, "farm3", "NoControlReply", None, "b2"),
        ];
        for number in 0..23 {
            let (server, site) = (format!("vpn{number}"), format!("c{number}"));
            groups.push(group(1, &server, "TcpFailed", Some(70), &site));
        }
        let view = ProblemsView { sites: 325, groups, more_groups: 0, ..ProblemsView::default() };
        insta::assert_snapshot!("problems", problems(&view));
        assert!(problems(&ProblemsView::default()).contains("each site"));
    }
}
