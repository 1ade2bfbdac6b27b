//! The way of the findings to their reader

use tokio::sync::mpsc;

use super::finding::{Finding, Step};

/// The sending end of the findings
pub(super) struct Report(mpsc::Sender<Finding>);

impl Report {
    pub(super) const fn new(findings: mpsc::Sender<Finding>) -> Self {
        Self(findings)
    }

    pub(super) async fn tell(&self, finding: Finding) {
        // without the doctor itself this future is gone too, so there always is a listener
        let _ = self.0.send(finding).await;
    }

    /// Nothing of these steps could be looked at
    pub(super) async fn skip(&self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            self.tell(Finding::not_reached(step)).await;
        }
    }
}
