//! The commands of owners, persons and clients to the supervisor

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Accepted, Applied, Caller, Difference, Figures, Reach, SiteConfig, SiteName,
    plan::Wish,
    status::{FleetStatus, SiteStatus},
};

/// The way to the supervisor
#[derive(Clone, Debug)]
pub(crate) struct Commands(pub(crate) mpsc::Sender<Command>);

impl Commands {
    /// Sends a command, and waits for its answer; `None` if the supervisor is gone
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(command(answer)).await.ok()?;
        answered.await.ok()
    }

    /// Waits for room for a command, has it sent, and waits for its answer; `None` if the supervisor is gone
    ///
    /// The supervisor gets commands in the order in which `send` sends them.
    ///
    /// # Cancel safety
    /// `send` is called if there was room, and then the supervisor does what it was told.
    pub(crate) async fn ask_with<T, E>(
        &self,
        send: impl FnOnce(mpsc::Permit<'_, Command>, oneshot::Sender<T>) -> Result<(), E>,
    ) -> Option<Result<T, E>> {
        let (answer, answered) = oneshot::channel();
        let permit = self.0.reserve().await.ok()?;
        match send(permit, answer) {
            Ok(()) => answered.await.ok().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A command of an owner, a person or a client
#[derive(Debug)]
pub(crate) enum Command {
    Set { name: SiteName, config: Arc<SiteConfig>, answer: oneshot::Sender<Change> },
    Remove { name: SiteName, answer: oneshot::Sender<bool> },
    Apply { wishes: Vec<Wish>, answer: oneshot::Sender<Applied> },
    ContinueRollout { answer: oneshot::Sender<usize> },
    Up { name: SiteName, answer: oneshot::Sender<bool> },
    Down { name: SiteName, by: Caller, answer: oneshot::Sender<bool> },
    Restart { name: SiteName, answer: oneshot::Sender<bool> },
    Client { name: SiteName, patience: Duration, answer: oneshot::Sender<bool> },
    SecretChanged { name: SiteName, answer: oneshot::Sender<bool> },
    SiteStatus { name: SiteName, answer: oneshot::Sender<Option<SiteStatus>> },
    SiteStatuses { answer: oneshot::Sender<Vec<(SiteName, SiteStatus)>> },
    Figures { answer: oneshot::Sender<Box<Figures>> },
    FleetStatus { answer: oneshot::Sender<FleetStatus> },
    Accepted { answer: oneshot::Sender<Accepted> },
    ClockJumped { answer: oneshot::Sender<()> },
    Beat { answer: oneshot::Sender<()> },
    ShutDown { answer: oneshot::Sender<()> },
}

/// The effect of a configuration that was set
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The site is new
    Added,
    /// It has this configuration already
    Nothing,
    /// It is changed without a dial
    InPlace,
    /// Its tunnel stays until its turn comes, and then it is dialled anew
    Redial,
}

impl Change {
    /// Returns the change of a site that has one configuration and gets another, and how far it reaches
    ///
    /// `dialled` is the configuration of its dial or tunnel, if there is one.
    pub(crate) fn between(
        before: &SiteConfig,
        dialled: Option<&SiteConfig>,
        after: &SiteConfig,
    ) -> (Self, Difference) {
        let difference = dialled.unwrap_or(before).difference(after);
        let change = match difference.reach {
            Reach::Tunnel if dialled.is_some() => Self::Redial,
            Reach::Nothing if !before.differs_beside(after) => Self::Nothing,
            _ => Self::InPlace,
        };
        (change, difference)
    }
}
