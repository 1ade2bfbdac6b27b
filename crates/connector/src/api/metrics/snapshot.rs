//! The figures of the daemon that a scrape writes

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use pptp::stats::ClientStats;
use pptp_fleet::{Figures, SiteName};
use tokio::time::timeout;

use super::{
    daemon, fleet,
    process::{self, Sources},
    site::Rows,
    text::{Format, Text},
    ways_in,
};
use crate::{
    api::{
        control::{Control, DaemonFacts, ListenerStatus},
        wall::Moment,
    },
    directory::SiteFacts,
    settings::MetricsSettings,
};

/// The figures of the daemon that a scrape writes
pub(in crate::api) struct Snapshot {
    pub(super) settings: Arc<MetricsSettings>,
    pub(super) facts: DaemonFacts,
    pub(super) is_ready: bool,
    /// `None` if the supervisor did not answer: then the metrics of sites are missing
    pub(super) figures: Option<Box<Figures>>,
    pub(super) sites: Arc<BTreeMap<SiteName, Arc<SiteFacts>>>,
    /// `None` if a reload holds them for long
    pub(super) listeners: Option<Vec<ListenerStatus>>,
    pub(super) client: ClientStats,
    pub(super) moment: Moment,
}

impl Snapshot {
    /// Reads what others have to answer for; the tunnels are read when the text is written
    pub(in crate::api) async fn take(control: &dyn Control) -> Self {
        let figures = timeout(PATIENCE, control.directory().fleet().figures()).await;
        let listeners = timeout(PATIENCE, control.listeners()).await;
        Self {
            settings: control.metrics(),
            facts: control.facts(),
            is_ready: control.is_ready(),
            figures: figures.ok().flatten(),
            sites: control.directory().all(),
            listeners: listeners.ok(),
            client: control.client_stats(),
            moment: Moment::now(),
        }
    }

    /// Writes all metrics; reads the tunnels meanwhile, each for a moment
    ///
    /// It takes its time, and a thread that may block.
    pub(in crate::api) fn write(&self, format: Format) -> String {
        let mut text = Text::new(format);
        daemon::write(self, &mut text);
        if let Some(figures) = &self.figures {
            let rows = Rows::read(figures, self);
            fleet::write(figures, &rows, &mut text);
            rows.write(&self.settings.labels, &mut text);
            ways_in::write(self.listeners.as_deref().unwrap_or_default(), &rows, &mut text);
        }
        process::write_client(&self.client, &mut text);
        Sources::get().read().write(&mut text);
        text.finish()
    }
}

/// Returns the seconds of a time of the calendar
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The time that the supervisor, and a reload, may take before a scrape does without them
const PATIENCE: Duration = Duration::from_secs(2);
