//! The metrics of the process, by the names that Prometheus' own libraries have

use crate::api::metrics::family::Family;

pub(in crate::api::metrics) const CPU: Family =
    Family::counter("process_cpu_seconds", &[], "Time of the processor, of all threads.");
pub(in crate::api::metrics) const START: Family =
    Family::gauge("process_start_time_seconds", &[], "The time at which the process was started.");
pub(in crate::api::metrics) const RESIDENT: Family =
    Family::gauge("process_resident_memory_bytes", &[], "Memory that is resident.");
pub(in crate::api::metrics) const VIRTUAL: Family =
    Family::gauge("process_virtual_memory_bytes", &[], "Memory that is mapped.");
pub(in crate::api::metrics) const THREADS: Family =
    Family::gauge("process_threads", &[], "Threads of the process.");
pub(in crate::api::metrics) const FILES: Family =
    Family::gauge("process_open_fds", &[], "Files and sockets that are open.");
pub(in crate::api::metrics) const MAX_FILES: Family = Family::gauge(
    "process_max_fds",
    &[],
    "The most files and sockets that the process may have open.",
);

pub(in crate::api::metrics) const ALL: [Family; 7] =
    [CPU, START, RESIDENT, VIRTUAL, THREADS, FILES, MAX_FILES];
