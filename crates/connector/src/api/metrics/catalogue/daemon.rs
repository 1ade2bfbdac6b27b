//! The metrics of the daemon

use crate::api::metrics::family::Family;

pub(in crate::api::metrics) const BUILD: Family =
    Family::info("pptp_build", &["version"], "The version of the program.");
pub(in crate::api::metrics) const READY: Family = Family::gauge(
    "pptp_ready",
    &[],
    "1 if the supervisor of the sites and the driver of the sockets have turned within 5 s, as /readyz says.",
);
pub(in crate::api::metrics) const OUTAGE: Family = Family::gauge(
    "pptp_outage",
    &[],
    "1 while this machine or its network seems out of order: many servers failed at a time, and none was reached.",
);
pub(in crate::api::metrics) const LAST_GOOD: Family = Family::gauge(
    "pptp_config_running_last_good",
    &[],
    "1 if the files had problems at the start, and the last good configuration is in force.",
);
pub(in crate::api::metrics) const RELOAD_OK: Family = Family::gauge(
    "pptp_config_last_reload_successful",
    &[],
    "1 if the files were in force after they were read last, at the start or by a reload.",
);
pub(in crate::api::metrics) const RELOAD_AT: Family = Family::gauge(
    "pptp_config_last_reload_timestamp_seconds",
    &[],
    "The time at which the files were read last.",
);
pub(in crate::api::metrics) const PROBLEMS: Family = Family::gauge(
    "pptp_config_problems",
    &[],
    "Problems of the configuration, or parts that are not in force, as `show` lists them.",
);

pub(in crate::api::metrics) const ALL: [Family; 7] =
    [BUILD, READY, OUTAGE, LAST_GOOD, RELOAD_OK, RELOAD_AT, PROBLEMS];
