//! Dials: whose, to whom, how urgent, and how they end

use std::{sync::Arc, time::Duration};

use pptp::{TunnelError, error::Layer};

/// A site, by its number in the fleet
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SiteId(pub(crate) u32);

/// A server, by the address that was reached last; by its name in lower case if none was
///
/// Sites that are reached through one address share its one dial at a time.
pub(crate) type ServerKey = Arc<str>;

/// The order in which sites are dialled, the most urgent first
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// A client waits for the site
    Waited,
    /// A person or a program asked for it
    Asked,
    /// The site was up for a minute or more, and was lost
    Lost,
    /// The site has not been dialled yet
    Start,
    /// The site's last dial failed
    Again,
}

impl Urgency {
    /// All of them, in their order
    pub(crate) const ALL: [Self; 5] =
        [Self::Waited, Self::Asked, Self::Lost, Self::Start, Self::Again];

    /// A word for programs
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Waited => "waited",
            Self::Asked => "asked",
            Self::Lost => "lost",
            Self::Start => "start",
            Self::Again => "again",
        }
    }
}

/// The bounds on dials
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DialLimits {
    /// The time between two dials, on the average
    pub(crate) interval: Duration,
    /// Dials that may begin at the same time
    pub(crate) burst: u32,
    /// Dials that are under way at the same time
    pub(crate) under_way: usize,
}

/// The end of a dial, as far as the order of dials is concerned
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialEnd {
    /// The server was reached, whatever it said then
    Reached,
    /// The dial was given up on this side, or was not begun: it says nothing of the server and of this machine
    GivenUp,
    /// Nothing at the address speaks PPTP: the name, TCP, or no reply on the control connection
    ///
    /// The least time before the next dial is the library's.
    ServerFailed(Duration),
    /// The server refuses logins that it has accepted before: what it asks about them is out of order
    ///
    /// That its TCP opens does not end this, but a login that it accepts does.
    LoginsRefused(Duration),
    /// This machine is at fault: no file left, no Call ID, no resolver
    HostFailed,
}

impl DialEnd {
    /// Returns true if the server has failed, so that all its sites wait
    pub(crate) const fn is_servers(self) -> bool {
        matches!(self, Self::ServerFailed(_) | Self::LoginsRefused(_))
    }

    /// Returns the end of a dial that failed: whose failure it is
    pub(crate) fn of(error: &TunnelError) -> Self {
        let pause = error.retry_after().unwrap_or(DEFAULT_PAUSE);
        match error.layer() {
            Layer::Program | Layer::Configuration => Self::GivenUp,
            Layer::Name | Layer::Tcp => Self::ServerFailed(pause),
            Layer::Host => Self::HostFailed,
            _ if error.name() == "NoControlReply" => Self::ServerFailed(pause),
            _ => Self::Reached,
        }
    }
}

/// The least pause of a server whose failure has none
const DEFAULT_PAUSE: Duration = Duration::from_secs(10);
