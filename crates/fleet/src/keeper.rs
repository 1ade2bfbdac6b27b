//! The keeper of one dial and of its tunnel, to the last octet on the wire

use std::net::SocketAddrV4;

use pptp::{Client, Tunnel, TunnelConfig, TunnelError, error::Phase, record::FlightRecord};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::decide::dial::SiteId;

/// What a keeper tells the supervisor, with the number of its dial
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) site: SiteId,
    pub(crate) dial: u64,
    pub(crate) news: News,
}

/// The news of a dial, in this order: reached, phases, up, renegotiating and up again, ended, left
#[derive(Debug)]
pub(crate) enum News {
    /// TCP is open to the server
    Reached(SocketAddrV4),
    /// The connect has come so far
    Phase(Phase),
    /// Packets pass
    Up(Box<Tunnel>),
    /// The server negotiates anew
    Renegotiating,
    /// Packets pass again
    UpAgain,
    /// The device behind the tunnel is asked now; this and the next are not of the keeper, but of a probe's task
    ProbeBegun { number: u64 },
    /// It has answered, or has not
    Probed { number: u64, result: Result<(), String> },
    /// The dial failed, or the tunnel ended; with what was said on the wire
    Ended(Box<(TunnelError, FlightRecord)>),
    /// The keeper's task is gone without an end
    Lost,
    /// Nothing is left on the wire
    Left,
}

/// The supervisor's end of a keeper: cancelling it hangs up
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) dial: u64,
    pub(crate) hang_up: CancellationToken,
}

impl Keeper {
    /// Starts a keeper on the current runtime
    pub(crate) fn start(
        client: &Client,
        config: TunnelConfig,
        (site, dial): (SiteId, u64),
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let hang_up = CancellationToken::new();
        let reporter = Reporter { site, dial, reports: Some(reports) };
        tokio::spawn(keep(client.clone(), config, reporter, hang_up.clone()));
        Self { dial, hang_up }
    }
}

/// The keeper's end of the channel; one that is dropped early says that the keeper is lost
struct Reporter {
    site: SiteId,
    dial: u64,
    reports: Option<mpsc::Sender<Report>>,
}

impl Reporter {
    async fn tell(&self, news: News) {
        let Some(reports) = &self.reports else { return };
        // without a supervisor nobody is to be told
        let _ = reports.send(Report { site: self.site, dial: self.dial, news }).await;
    }
}

/// A task that panicked or was dropped: the site must not wait for it for ever
impl Drop for Reporter {
    fn drop(&mut self) {
        let Some(reports) = self.reports.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (site, dial) = (self.site, self.dial);
        runtime.spawn(async move {
            for news in [News::Lost, News::Left] {
                let _ = reports.send(Report { site, dial, news }).await;
            }
        });
    }
}

async fn keep(
    client: Client,
    config: TunnelConfig,
    mut reporter: Reporter,
    hang_up: CancellationToken,
) {
    let mut connecting = client.connect(config);
    let hung_up = connecting.hung_up();
    let mut state = connecting.state();
    let connected = loop {
        tokio::select! {
            biased;
            () = hang_up.cancelled() => break None,
            connected = &mut connecting => break Some(connected),
            _ = state.changed() => {
                let phase = phase_of(&mut state);
                if let Some(server) = connecting.server().filter(|_| phase.is_some_and(is_reached)) {
                    reporter.tell(News::Reached(server)).await;
                }
                if let Some(phase) = phase {
                    reporter.tell(News::Phase(phase)).await;
                }
            }
        }
    };
    match connected {
        Some(Ok(tunnel)) => {
            drop(connecting);
            follow(tunnel, &reporter, &hang_up).await;
        }
        Some(Err(error)) => {
            let ended = Box::new((error, connecting.flight_record()));
            drop(connecting);
            reporter.tell(News::Ended(ended)).await;
        }
        None => drop(connecting),
    }
    hung_up.await;
    reporter.tell(News::Left).await;
    reporter.reports = None;
}

/// Tells of a tunnel until it ends, or hangs it up
async fn follow(tunnel: Tunnel, reporter: &Reporter, hang_up: &CancellationToken) {
    let mut state = tunnel.state();
    let weak = tunnel.downgrade();
    let closed = {
        let tunnel = tunnel.clone();
        async move { (tunnel.closed().await, tunnel.flight_record()) }
    };
    tokio::pin!(closed);
    reporter.tell(News::Up(Box::new(tunnel))).await;
    // the server may have begun to negotiate anew before the watch began: the first look tells the state as it is
    state.mark_changed();
    loop {
        tokio::select! {
            biased;
            () = hang_up.cancelled() => {
                weak.hang_up();
                return;
            }
            ended = &mut closed => {
                reporter.tell(News::Ended(Box::new(ended))).await;
                return;
            }
            _ = state.changed() => {
                let news = match &*state.borrow_and_update() {
                    pptp::State::Renegotiating => Some(News::Renegotiating),
                    pptp::State::Up => Some(News::UpAgain),
                    _ => None,
                };
                if let Some(news) = news {
                    reporter.tell(news).await;
                }
            }
        }
    }
}

fn phase_of(state: &mut watch::Receiver<pptp::State>) -> Option<Phase> {
    match &*state.borrow_and_update() {
        pptp::State::Connecting { phase } => Some(*phase),
        _ => None,
    }
}

/// Returns true if TCP is open in this phase
const fn is_reached(phase: Phase) -> bool {
    !matches!(phase, Phase::Resolve | Phase::TcpConnect)
}
