//! All metrics, and the table of them in the book

use std::fmt::Write;

use super::family::Family;

/// All metrics in the order of a scrape, in groups with their titles
pub(super) const GROUPS: [(&str, &[Family]); 6] = [
    ("The daemon", &daemon::ALL),
    ("All sites together", &fleet::ALL),
    ("Each site", &site::ALL),
    ("The ways in", &ways_in::ALL),
    ("The sockets that all tunnels share", &client::ALL),
    ("The process", &process::ALL),
];

/// Returns the reference of the metrics in Markdown: a table for each group
pub fn reference() -> String {
    let mut text = String::new();
    for (title, families) in GROUPS {
        // writing to a text cannot fail
        let _ = write!(
            text,
            "### {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        );
        for family in families {
            let labels = family.labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            let (name, kind) = (family.sample_name(), family.kind.name());
            let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {} |", family.help);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The daemon
pub(super) mod daemon {
    use super::Family;

    pub(in super::super) const BUILD: Family =
        Family::info("pptp_build", &["version"], "The version of the program.");
    pub(in super::super) const READY: Family = Family::gauge(
        "pptp_ready",
        &[],
        "1 if the supervisor of the sites and the driver of the sockets have turned within 5 s, as /readyz says.",
    );
    pub(in super::super) const OUTAGE: Family = Family::gauge(
        "pptp_outage",
        &[],
        "1 while this machine or its network seems out of order: many servers failed at a time, and none was reached.",
    );
    pub(in super::super) const LAST_GOOD: Family = Family::gauge(
        "pptp_config_running_last_good",
        &[],
        "1 if the files had problems at the start, and the last good configuration is in force.",
    );
    pub(in super::super) const RELOAD_OK: Family = Family::gauge(
        "pptp_config_last_reload_successful",
        &[],
        "1 if the files were in force after they were read last, at the start or by a reload.",
    );
    pub(in super::super) const RELOAD_AT: Family = Family::gauge(
        "pptp_config_last_reload_timestamp_seconds",
        &[],
        "The time at which the files were read last.",
    );
    pub(in super::super) const PROBLEMS: Family = Family::gauge(
        "pptp_config_problems",
        &[],
        "Problems of the configuration, or parts that are not in force, as `show` lists them.",
    );

    pub(in super::super) const ALL: [Family; 7] =
        [BUILD, READY, OUTAGE, LAST_GOOD, RELOAD_OK, RELOAD_AT, PROBLEMS];
}

/// All sites together
pub(super) mod fleet {
    use super::Family;

    pub(in super::super) const STATES: Family =
        Family::gauge("pptp_sites", &["state"], "Sites in this state.");
    pub(in super::super) const WANTED: Family = Family::gauge(
        "pptp_sites_wanted",
        &[],
        "Sites that are to be up: enabled, not taken down by hand, and those on demand while somebody uses them.",
    );
    pub(in super::super) const DOWN: Family = Family::gauge(
        "pptp_sites_down",
        &[],
        "Sites that are to be up, and through which no packet passes.",
    );
    pub(in super::super) const FAILING: Family = Family::gauge(
        "pptp_sites_failing",
        &["failure", "layer", "class"],
        "Sites that are down because of this failure; the class says who has to act.",
    );
    pub(in super::super) const FLAPPING: Family = Family::gauge(
        "pptp_sites_flapping",
        &[],
        "Sites that came up four times or more within an hour.",
    );
    pub(in super::super) const DEGRADED: Family = Family::gauge(
        "pptp_sites_degraded",
        &[],
        "Sites whose probe has failed three times in a row: the device behind them does not answer.",
    );
    pub(in super::super) const SERVER_SITES: Family = Family::gauge(
        "pptp_server_sites",
        &["server"],
        "Sites of this server that are to be up; only of servers that have more than one.",
    );
    pub(in super::super) const SERVER_DOWN: Family = Family::gauge(
        "pptp_server_sites_down",
        &["server"],
        "Those of them through which no packet passes.",
    );
    pub(in super::super) const QUEUE: Family = Family::gauge(
        "pptp_dial_queue",
        &["urgency"],
        "Sites that wait for their turn to be dialled, or for their server to be tried again.",
    );
    pub(in super::super) const UNDER_WAY: Family =
        Family::gauge("pptp_dials_under_way", &[], "Dials that are under way.");
    pub(in super::super) const DIALS: Family = Family::counter(
        "pptp_dials",
        &["result"],
        "Dials that have ended, of removed sites too: `ok`, `given-up` by this side, or the name of the failure.",
    );
    pub(in super::super) const PHASES: Family = Family::histogram(
        "pptp_dial_phase_seconds",
        &["phase"],
        "The time that a completed phase of a dial took.",
    );
    pub(in super::super) const PAUSED: Family = Family::gauge(
        "pptp_rollout_paused",
        &[],
        "1 if a change of configuration is paused, because too many sites did not come up again with it.",
    );
    pub(in super::super) const LEFT: Family = Family::gauge(
        "pptp_rollout_sites_left",
        &[],
        "Sites that have yet to be dialled anew with a changed configuration.",
    );
    pub(in super::super) const RECEIVED: Family = Family::counter(
        "pptp_received_bytes",
        &[],
        "Octets of IP packets received from all sites, removed ones too.",
    );
    pub(in super::super) const SENT: Family = Family::counter(
        "pptp_sent_bytes",
        &[],
        "Octets of IP packets sent to all sites, removed ones too.",
    );
    pub(in super::super) const PACKETS_RECEIVED: Family = Family::counter(
        "pptp_received_packets",
        &[],
        "IP packets received from all sites, removed ones too.",
    );
    pub(in super::super) const PACKETS_SENT: Family = Family::counter(
        "pptp_sent_packets",
        &[],
        "IP packets sent to all sites, removed ones too.",
    );

    pub(in super::super) const ALL: [Family; 18] = [
        STATES,
        WANTED,
        DOWN,
        FAILING,
        FLAPPING,
        DEGRADED,
        SERVER_SITES,
        SERVER_DOWN,
        QUEUE,
        UNDER_WAY,
        DIALS,
        PHASES,
        PAUSED,
        LEFT,
        RECEIVED,
        SENT,
        PACKETS_RECEIVED,
        PACKETS_SENT,
    ];
}

/// Each site
pub(super) mod site {
    use super::Family;

    pub(in super::super) const INFO: Family = Family::info(
        "pptp_site",
        &["site", "server"],
        "The server as configured, and the labels that `[metrics] labels` names.",
    );
    pub(in super::super) const WANTED: Family =
        Family::gauge("pptp_site_wanted", &["site"], "1 if the site is to be up.");
    pub(in super::super) const UP: Family =
        Family::gauge("pptp_site_up", &["site"], "1 if packets pass.");
    pub(in super::super) const FLAPPING: Family = Family::gauge(
        "pptp_site_flapping",
        &["site"],
        "1 if it came up four times or more within an hour.",
    );
    pub(in super::super) const DEGRADED: Family = Family::gauge(
        "pptp_site_degraded",
        &["site"],
        "1 if its probe has failed three times in a row; only of sites with a probe.",
    );
    pub(in super::super) const LAST_FAILURE: Family = Family::info(
        "pptp_site_last_failure",
        &["site", "failure", "layer", "class"],
        "The latest failure, also if the site came up after it.",
    );
    pub(in super::super) const UP_SINCE: Family = Family::gauge(
        "pptp_site_up_since_timestamp_seconds",
        &["site"],
        "The time at which its tunnel came up, if there is one.",
    );
    pub(in super::super) const LAST_RECEIVED: Family = Family::gauge(
        "pptp_site_last_received_timestamp_seconds",
        &["site"],
        "The time at which its server was last heard: a packet, or an answer of PPP.",
    );
    pub(in super::super) const RTT: Family = Family::gauge(
        "pptp_site_rtt_seconds",
        &["site", "signal"],
        "The latest round trip: `control` and `link` are echoes of PPTP and of LCP, `ping` is through the tunnel.",
    );
    pub(in super::super) const USERS: Family = Family::gauge(
        "pptp_site_users",
        &["site"],
        "Connections, clients and commands that use its tunnel.",
    );
    pub(in super::super) const UPS: Family =
        Family::counter("pptp_site_ups", &["site"], "Dials that led to a tunnel.");
    pub(in super::super) const DIALS: Family = Family::counter(
        "pptp_site_dials",
        &["site", "result"],
        "Dials that have ended: `ok`, `given-up` by this side, or the name of the failure; those that were seen.",
    );
    pub(in super::super) const RECEIVED: Family =
        Family::counter("pptp_site_received_bytes", &["site"], "Octets of IP packets received.");
    pub(in super::super) const SENT: Family =
        Family::counter("pptp_site_sent_bytes", &["site"], "Octets of IP packets sent.");
    pub(in super::super) const PACKETS_RECEIVED: Family =
        Family::counter("pptp_site_received_packets", &["site"], "IP packets received.");
    pub(in super::super) const PACKETS_SENT: Family =
        Family::counter("pptp_site_sent_packets", &["site"], "IP packets sent.");
    pub(in super::super) const PASSED_OVER: Family = Family::counter(
        "pptp_site_frames_missing",
        &["site"],
        "Frames of GRE that were missing when a later one came: lost ones, and late ones.",
    );
    pub(in super::super) const LATE: Family =
        Family::counter("pptp_site_frames_late", &["site"], "Those of them that came after all.");
    pub(in super::super) const DUPLICATE: Family =
        Family::counter("pptp_site_frames_duplicate", &["site"], "Frames of GRE that came twice.");

    pub(in super::super) const ALL: [Family; 19] = [
        INFO,
        WANTED,
        UP,
        FLAPPING,
        DEGRADED,
        LAST_FAILURE,
        UP_SINCE,
        LAST_RECEIVED,
        RTT,
        USERS,
        UPS,
        DIALS,
        RECEIVED,
        SENT,
        PACKETS_RECEIVED,
        PACKETS_SENT,
        PASSED_OVER,
        LATE,
        DUPLICATE,
    ];
}

/// The ways in
pub(super) mod ways_in {
    use super::Family;

    pub(in super::super) const CONNECTIONS: Family = Family::gauge(
        "pptp_listener_connections",
        &["listener", "kind", "site"],
        "Connections, or UDP clients, that are served.",
    );
    pub(in super::super) const MAX_CONNECTIONS: Family = Family::gauge(
        "pptp_listener_connections_limit",
        &["listener", "kind", "site"],
        "The most that are served at a time; further ones wait, and further UDP clients are dropped.",
    );
    pub(in super::super) const ACCEPTED: Family = Family::counter(
        "pptp_listener_accepted",
        &["listener", "kind", "site"],
        "Connections, or UDP clients, that were accepted.",
    );
    pub(in super::super) const REFUSED: Family = Family::counter(
        "pptp_listener_refused",
        &["listener", "kind", "site", "reason"],
        "Clients that did not reach their target, by the reason; those reasons that were seen.",
    );
    pub(in super::super) const BYTES: Family = Family::counter(
        "pptp_listener_bytes",
        &["listener", "kind", "site", "direction"],
        "Octets of clients: `sent` to sites, `received` from sites.",
    );
    pub(in super::super) const DROPPED: Family = Family::counter(
        "pptp_listener_datagrams_dropped",
        &["listener", "kind", "site"],
        "Datagrams that were dropped, for want of room or because of a rule.",
    );

    pub(in super::super) const ALL: [Family; 6] =
        [CONNECTIONS, MAX_CONNECTIONS, ACCEPTED, REFUSED, BYTES, DROPPED];
}

/// The sockets that all tunnels share
pub(super) mod client {
    use super::Family;

    pub(in super::super) const BUFFER: Family = Family::gauge(
        "pptp_client_receive_buffer_bytes",
        &[],
        "The receive buffers of the raw sockets that the kernel granted.",
    );
    pub(in super::super) const KERNEL_DROPS: Family = Family::counter(
        "pptp_client_kernel_drops",
        &[],
        "Datagrams that the kernel dropped because such a buffer was full.",
    );
    pub(in super::super) const UNKNOWN_CALL: Family = Family::counter(
        "pptp_client_unknown_call",
        &[],
        "Datagrams for none of our calls, or not from the server of the call.",
    );
    pub(in super::super) const PANICS: Family = Family::counter(
        "pptp_client_panics",
        &[],
        "Turns that panicked, each of which ended its tunnel: a fault of the program.",
    );
    pub(in super::super) const WAKE_PANICS: Family = Family::counter(
        "pptp_client_wake_panics",
        &[],
        "Tasks whose wake-up panicked: a fault of the program.",
    );
    pub(in super::super) const PAUSES: Family = Family::counter(
        "pptp_client_pauses",
        &[],
        "Times that nothing was received for a millisecond or more, because somebody floods with useless datagrams.",
    );
    pub(in super::super) const TURNS: Family =
        Family::counter("pptp_client_turns", &[], "Turns of tunnels: the work that was done.");

    pub(in super::super) const ALL: [Family; 7] =
        [BUFFER, KERNEL_DROPS, UNKNOWN_CALL, PANICS, WAKE_PANICS, PAUSES, TURNS];
}

/// The process, by the names that Prometheus' own libraries have
pub(super) mod process {
    use super::Family;

    pub(in super::super) const CPU: Family =
        Family::counter("process_cpu_seconds", &[], "Time of the processor, of all threads.");
    pub(in super::super) const START: Family = Family::gauge(
        "process_start_time_seconds",
        &[],
        "The time at which the process was started.",
    );
    pub(in super::super) const RESIDENT: Family =
        Family::gauge("process_resident_memory_bytes", &[], "Memory that is resident.");
    pub(in super::super) const VIRTUAL: Family =
        Family::gauge("process_virtual_memory_bytes", &[], "Memory that is mapped.");
    pub(in super::super) const THREADS: Family =
        Family::gauge("process_threads", &[], "Threads of the process.");
    pub(in super::super) const FILES: Family =
        Family::gauge("process_open_fds", &[], "Files and sockets that are open.");
    pub(in super::super) const MAX_FILES: Family = Family::gauge(
        "process_max_fds",
        &[],
        "The most files and sockets that the process may have open.",
    );

    pub(in super::super) const ALL: [Family; 7] =
        [CPU, START, RESIDENT, VIRTUAL, THREADS, FILES, MAX_FILES];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::metrics::family::Kind;

    fn all() -> impl Iterator<Item = &'static Family> {
        GROUPS.iter().flat_map(|(_, families)| families.iter())
    }

    fn is_name(name: &str) -> bool {
        let octets = name.as_bytes();
        !name.starts_with('_')
            && octets.first().is_some_and(u8::is_ascii_lowercase)
            && octets.iter().all(|it| it.is_ascii_lowercase() || *it == b'_')
    }

    #[test]
    fn each_metric_has_a_name_a_help_and_labels_of_its_own() {
        let (mut names, mut helps) = (BTreeSet::new(), BTreeSet::new());
        for family in all() {
            let name = family.name;
            assert!(names.insert(name), "{name} is there twice");
            // a name that begins another's must not make two samples of one name
            assert!(
                names.insert(Box::leak(family.sample_name().into_boxed_str()))
                    || family.suffix().is_empty()
            );
            assert!(
                is_name(name) && (name.starts_with("pptp_") || name.starts_with("process_")),
                "{name}"
            );
            assert!(
                !["_total", "_info", "_count", "_sum", "_bucket"]
                    .iter()
                    .any(|end| name.ends_with(end)),
                "{name}"
            );
            let help = family.help;
            assert!(
                help.ends_with('.') && !help.contains(['\\', '\n', '"', '|']),
                "{name}: {help}"
            );
            assert!(helps.insert((family.labels, help)), "{name}: another has the same help");
            let labels: BTreeSet<_> = family.labels.iter().collect();
            assert_eq!(labels.len(), family.labels.len(), "{name}");
            assert!(family.labels.iter().all(|label| is_name(label) && *label != "le"), "{name}");
            assert!(family.kind != Kind::Info || !family.labels.is_empty(), "{name}");
        }
        assert!(names.len() > 60);
    }

    #[test]
    fn times_and_octets_have_their_unit_at_the_end() {
        for family in all() {
            let has_word = ["seconds", "bytes"].iter().any(|unit| family.name.contains(unit));
            assert_eq!(family.unit().is_some(), has_word, "{}", family.name);
        }
    }
}
