//! The metrics of the sockets that all tunnels share

use crate::api::metrics::family::Family;

pub(in crate::api::metrics) const BUFFER: Family = Family::gauge(
    "pptp_client_receive_buffer_bytes",
    &[],
    "The receive buffers of the raw sockets that the kernel granted.",
);
pub(in crate::api::metrics) const KERNEL_DROPS: Family = Family::counter(
    "pptp_client_kernel_drops",
    &[],
    "Datagrams that the kernel dropped because such a buffer was full.",
);
pub(in crate::api::metrics) const UNKNOWN_CALL: Family = Family::counter(
    "pptp_client_unknown_call",
    &[],
    "Datagrams for none of our calls, or not from the server of the call.",
);
pub(in crate::api::metrics) const PANICS: Family = Family::counter(
    "pptp_client_panics",
    &[],
    "Turns that panicked, each of which ended its tunnel: a fault of the program.",
);
pub(in crate::api::metrics) const WAKE_PANICS: Family = Family::counter(
    "pptp_client_wake_panics",
    &[],
    "Tasks whose wake-up panicked: a fault of the program.",
);
pub(in crate::api::metrics) const PAUSES: Family = Family::counter(
    "pptp_client_pauses",
    &[],
    "Times that nothing was received for a millisecond or more, because somebody floods with useless datagrams.",
);
pub(in crate::api::metrics) const TURNS: Family =
    Family::counter("pptp_client_turns", &[], "Turns of tunnels: the work that was done.");

pub(in crate::api::metrics) const ALL: [Family; 7] =
    [BUFFER, KERNEL_DROPS, UNKNOWN_CALL, PANICS, WAKE_PANICS, PAUSES, TURNS];
