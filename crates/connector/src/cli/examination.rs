//! The findings of a doctor, as lines

use pptp::doctor::{Doctor, Verdict};

use super::{
    client::{Failure, Terminal},
    exit::Exit,
};
use crate::api::view::FindingView;

/// Prints the findings as they come; returns the exit of the layer that failed first, if one failed
///
/// # Errors
/// They cannot be written.
pub(super) async fn examine(
    mut doctor: Doctor,
    terminal: &mut Terminal,
) -> Result<Option<Exit>, Failure> {
    let mut failed = None;
    while let Some(finding) = doctor.next().await {
        if finding.verdict == Verdict::Failed {
            failed.get_or_insert_with(|| Exit::Layer(finding.layer()));
        }
        terminal.finding(&FindingView::new(&finding))?;
    }
    Ok(failed)
}
