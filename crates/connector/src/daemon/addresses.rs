//! The addresses that were dealt out to sites, in the folder of the state

use std::path::Path;

use super::lifecycle::Daemon;
use crate::{
    configuration::KnownDeals,
    deals::Deals,
    state_dir::{StateDir, StateError},
};

/// Returns the addresses that were dealt out: those in force, else those that the state has
pub(super) fn known(state: Option<&Path>, in_force: Option<Deals>) -> KnownDeals {
    let read = match (in_force, state) {
        (Some(deals), _) => Ok(deals),
        (None, Some(state)) => read(state),
        (None, None) => Ok(Deals::default()),
    };
    match read {
        Ok(deals) => KnownDeals { deals, ..KnownDeals::default() },
        Err(failure) => {
            tracing::error!("the addresses that were dealt out before are not known: {failure}");
            KnownDeals { failure: Some(failure), ..KnownDeals::default() }
        }
    }
}

fn read(state: &Path) -> Result<Deals, String> {
    let text = StateDir::new(state).read(ADDRESSES).map_err(|error| error.to_string())?;
    let deals = text.map_or_else(|| Ok(Deals::default()), |text| Deals::parse(&text));
    deals.map_err(|error| format!("{}: {error}", state.join(ADDRESSES).display()))
}

impl Daemon {
    /// Writes the addresses that were dealt out, if they are others than before
    ///
    /// # Errors
    /// As [`StateDir::write`].
    pub(super) async fn keep_addresses(&self, deals: Option<&Deals>) -> Result<(), StateError> {
        let (Some(state), Some(deals)) = (self.state.clone(), deals) else { return Ok(()) };
        let text = deals.to_text();
        let write = move || {
            if state.read(ADDRESSES).ok().flatten().as_ref() == Some(&text) {
                return Ok(());
            }
            state.write(ADDRESSES, &text)
        };
        // a disk takes its time to sync; a panic in there has its own message
        tokio::task::spawn_blocking(write).await.unwrap_or(Ok(()))
    }
}

/// The file of the addresses, in the state folder
const ADDRESSES: &str = "addresses";
