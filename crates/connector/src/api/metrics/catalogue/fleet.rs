//! The metrics of all sites together

use crate::api::metrics::family::Family;

pub(in crate::api::metrics) const STATES: Family =
    Family::gauge("pptp_sites", &["state"], "Sites in this state.");
pub(in crate::api::metrics) const WANTED: Family = Family::gauge(
    "pptp_sites_wanted",
    &[],
    "Sites that are to be up: enabled, not taken down by hand, and those on demand while somebody uses them.",
);
pub(in crate::api::metrics) const DOWN: Family = Family::gauge(
    "pptp_sites_down",
    &[],
    "Sites that are to be up, and through which no packet passes.",
);
pub(in crate::api::metrics) const FAILING: Family = Family::gauge(
    "pptp_sites_failing",
    &["failure", "layer", "class"],
    "Sites that are down because of this failure; the class says who has to act.",
);
pub(in crate::api::metrics) const FLAPPING: Family = Family::gauge(
    "pptp_sites_flapping",
    &[],
    "Sites that came up four times or more within an hour.",
);
pub(in crate::api::metrics) const DEGRADED: Family = Family::gauge(
    "pptp_sites_degraded",
    &[],
    "Sites whose probe has failed three times in a row: the device behind them does not answer.",
);
pub(in crate::api::metrics) const SERVER_SITES: Family = Family::gauge(
    "pptp_server_sites",
    &["server"],
    "Sites of this server that are to be up; only of servers that have more than one.",
);
pub(in crate::api::metrics) const SERVER_DOWN: Family = Family::gauge(
    "pptp_server_sites_down",
    &["server"],
    "Those of them through which no packet passes.",
);
pub(in crate::api::metrics) const QUEUE: Family = Family::gauge(
    "pptp_dial_queue",
    &["urgency"],
    "Sites that wait for their turn to be dialled, or for their server to be tried again.",
);
pub(in crate::api::metrics) const UNDER_WAY: Family =
    Family::gauge("pptp_dials_under_way", &[], "Dials that are under way.");
pub(in crate::api::metrics) const DIALS: Family = Family::counter(
    "pptp_dials",
    &["result"],
    "Dials that have ended, of removed sites too: `ok`, `given-up` by this side, or the name of the failure.",
);
pub(in crate::api::metrics) const PHASES: Family = Family::histogram(
    "pptp_dial_phase_seconds",
    &["phase"],
    "The time that a completed phase of a dial took.",
);
pub(in crate::api::metrics) const PAUSED: Family = Family::gauge(
    "pptp_rollout_paused",
    &[],
    "1 if a change of configuration is paused, because too many sites did not come up again with it.",
);
pub(in crate::api::metrics) const LEFT: Family = Family::gauge(
    "pptp_rollout_sites_left",
    &[],
    "Sites that have yet to be dialled anew with a changed configuration.",
);
pub(in crate::api::metrics) const RECEIVED: Family = Family::counter(
    "pptp_received_bytes",
    &[],
    "Octets of IP packets received from all sites, removed ones too.",
);
pub(in crate::api::metrics) const SENT: Family = Family::counter(
    "pptp_sent_bytes",
    &[],
    "Octets of IP packets sent to all sites, removed ones too.",
);
pub(in crate::api::metrics) const PACKETS_RECEIVED: Family = Family::counter(
    "pptp_received_packets",
    &[],
    "IP packets received from all sites, removed ones too.",
);
pub(in crate::api::metrics) const PACKETS_SENT: Family =
    Family::counter("pptp_sent_packets", &[], "IP packets sent to all sites, removed ones too.");

pub(in crate::api::metrics) const ALL: [Family; 18] = [
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
