//! The metrics of each site

use crate::api::metrics::family::Family;

pub(in crate::api::metrics) const INFO: Family = Family::info(
    "pptp_site",
    &["site", "server"],
    "The server as configured, and the labels that `[metrics] labels` names.",
);
pub(in crate::api::metrics) const WANTED: Family =
    Family::gauge("pptp_site_wanted", &["site"], "1 if the site is to be up.");
pub(in crate::api::metrics) const UP: Family =
    Family::gauge("pptp_site_up", &["site"], "1 if packets pass.");
pub(in crate::api::metrics) const FLAPPING: Family = Family::gauge(
    "pptp_site_flapping",
    &["site"],
    "1 if it came up four times or more within an hour.",
);
pub(in crate::api::metrics) const DEGRADED: Family = Family::gauge(
    "pptp_site_degraded",
    &["site"],
    "1 if its probe has failed three times in a row; only of sites with a probe.",
);
pub(in crate::api::metrics) const LAST_FAILURE: Family = Family::info(
    "pptp_site_last_failure",
    &["site", "failure", "layer", "class"],
    "The latest failure, also if the site came up after it.",
);
pub(in crate::api::metrics) const UP_SINCE: Family = Family::gauge(
    "pptp_site_up_since_timestamp_seconds",
    &["site"],
    "The time at which its tunnel came up, if there is one.",
);
pub(in crate::api::metrics) const LAST_RECEIVED: Family = Family::gauge(
    "pptp_site_last_received_timestamp_seconds",
    &["site"],
    "The time at which its server was last heard: a packet, or an answer of PPP.",
);
pub(in crate::api::metrics) const RTT: Family = Family::gauge(
    "pptp_site_rtt_seconds",
    &["site", "signal"],
    "The latest round trip: `control` and `link` are echoes of PPTP and of LCP, `ping` is through the tunnel.",
);
pub(in crate::api::metrics) const USERS: Family = Family::gauge(
    "pptp_site_users",
    &["site"],
    "Connections, clients and commands that use its tunnel.",
);
pub(in crate::api::metrics) const UPS: Family =
    Family::counter("pptp_site_ups", &["site"], "Dials that led to a tunnel.");
pub(in crate::api::metrics) const DIALS: Family = Family::counter(
    "pptp_site_dials",
    &["site", "result"],
    "Dials that have ended: `ok`, `given-up` by this side, or the name of the failure; those that were seen.",
);
pub(in crate::api::metrics) const RECEIVED: Family =
    Family::counter("pptp_site_received_bytes", &["site"], "Octets of IP packets received.");
pub(in crate::api::metrics) const SENT: Family =
    Family::counter("pptp_site_sent_bytes", &["site"], "Octets of IP packets sent.");
pub(in crate::api::metrics) const PACKETS_RECEIVED: Family =
    Family::counter("pptp_site_received_packets", &["site"], "IP packets received.");
pub(in crate::api::metrics) const PACKETS_SENT: Family =
    Family::counter("pptp_site_sent_packets", &["site"], "IP packets sent.");
pub(in crate::api::metrics) const PASSED_OVER: Family = Family::counter(
    "pptp_site_frames_missing",
    &["site"],
    "Frames of GRE that were missing when a later one came: lost ones, and late ones.",
);
pub(in crate::api::metrics) const LATE: Family =
    Family::counter("pptp_site_frames_late", &["site"], "Those of them that came after all.");
pub(in crate::api::metrics) const DUPLICATE: Family =
    Family::counter("pptp_site_frames_duplicate", &["site"], "Frames of GRE that came twice.");

pub(in crate::api::metrics) const ALL: [Family; 19] = [
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
