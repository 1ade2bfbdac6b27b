//! Metrics: figures for Prometheus and its kin, made when they are asked for
//!
//! | file | content |
//! |---|---|
//! | `family` | a metric: its name, its kind, its help |
//! | `catalogue` | all metrics, and the table of them in the book |
//! | `text` | the two forms of text: `OpenMetrics` 1.0, and the older one of Prometheus |
//! | `accept` | the form that a scraper wants |
//! | `snapshot` | the figures of the daemon that a scrape writes |
//! | `daemon`, `fleet`, `site`, `ways_in`, `process` | the samples |
//! | `exporter` | one scrape at a time, and the answer to it |
//!
//! A packet costs no metric: the counters of tunnels and listeners are there anyway. A site that is removed leaves no
//! series behind.

mod accept;
mod catalogue;
mod daemon;
mod exporter;
mod family;
mod fleet;
mod process;
mod site;
mod snapshot;
mod text;
mod ways_in;

pub(super) use self::{accept::wanted, snapshot::Snapshot};
pub use self::{
    catalogue::reference,
    exporter::{Answer, Exporter, NoScrape},
    text::Format,
};

/// Returns the names of all metrics, each as its samples have it
pub fn names() -> Vec<String> {
    let families = catalogue::GROUPS.iter().flat_map(|(_, families)| families.iter());
    families.map(family::Family::sample_name).collect()
}
