//! The metrics of the ways in

use crate::api::metrics::family::Family;

pub(in crate::api::metrics) const CONNECTIONS: Family = Family::gauge(
    "pptp_listener_connections",
    &["listener", "kind", "site"],
    "Connections, or UDP clients, that are served.",
);
pub(in crate::api::metrics) const MAX_CONNECTIONS: Family = Family::gauge(
    "pptp_listener_connections_limit",
    &["listener", "kind", "site"],
    "The most that are served at a time; further ones wait, and further UDP clients are dropped.",
);
pub(in crate::api::metrics) const ACCEPTED: Family = Family::counter(
    "pptp_listener_accepted",
    &["listener", "kind", "site"],
    "Connections, or UDP clients, that were accepted.",
);
pub(in crate::api::metrics) const REFUSED: Family = Family::counter(
    "pptp_listener_refused",
    &["listener", "kind", "site", "reason"],
    "Clients that did not reach their target, by the reason; those reasons that were seen.",
);
pub(in crate::api::metrics) const BYTES: Family = Family::counter(
    "pptp_listener_bytes",
    &["listener", "kind", "site", "direction"],
    "Octets of clients: `sent` to sites, `received` from sites.",
);
pub(in crate::api::metrics) const DROPPED: Family = Family::counter(
    "pptp_listener_datagrams_dropped",
    &["listener", "kind", "site"],
    "Datagrams that were dropped, for want of room or because of a rule.",
);

pub(in crate::api::metrics) const ALL: [Family; 6] =
    [CONNECTIONS, MAX_CONNECTIONS, ACCEPTED, REFUSED, BYTES, DROPPED];
