//! The samples of the daemon itself

use super::{
    catalogue::daemon,
    snapshot::{Snapshot, seconds},
    text::Text,
};

/// Writes the samples of the daemon itself
pub(super) fn write(snapshot: &Snapshot, text: &mut Text) {
    let facts = &snapshot.facts;
    text.family(daemon::BUILD).add(&[("version", env!("CARGO_PKG_VERSION"))], true);
    text.single(daemon::READY, snapshot.is_ready);
    if let Some(figures) = &snapshot.figures {
        text.single(daemon::OUTAGE, figures.fleet.is_outage);
    }
    text.single(daemon::LAST_GOOD, facts.is_running_last_good);
    if let Some(reading) = &facts.last_reading {
        text.single(daemon::RELOAD_OK, reading.is_in_force);
        text.single(daemon::RELOAD_AT, seconds(reading.at));
    }
    text.single(daemon::PROBLEMS, facts.problems.len());
}
