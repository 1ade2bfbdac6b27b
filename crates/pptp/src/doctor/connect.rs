//! The connect, step by step, as it is told by the one that everybody uses

use pptp_tunnel::ConnectTimeline;

use super::{finding::Step, host::Host, progress::Progress, report::Report, sight::Sight};
use crate::{Client, Connecting, Info, State, Tunnel, TunnelConfig, TunnelError, error::Failure};

/// Connects, and reports each step when it is through; `None` if one failed
pub(super) async fn connect(
    client: &Client,
    config: &TunnelConfig,
    host: &Host,
    report: &Report,
) -> Option<Tunnel> {
    let mut progress = Progress::new(config, report);
    let strangers = client.stats().unknown_call;
    let mut connecting = client.connect(config.clone());
    let outcome = follow(&mut connecting, &mut progress, Step::Target).await?;
    let mut sight = Sight::of(&connecting);
    match outcome {
        Ok(tunnel) => {
            sight.info = Some(Info::clone(&tunnel.info()));
            progress.pass_until(Step::LargestPacket, &sight).await;
            Some(tunnel)
        }
        Err(error) => {
            sight.strangers = client.stats().unknown_call.saturating_sub(strangers);
            let server = sight.server.map(|server| *server.ip());
            sight.unreplied = server.map_or(0, |server| host.unreplied_gre(server));
            progress.fail(&error, &sight).await;
            connecting.hung_up().await;
            None
        }
    }
}

/// Dials with a client that has no GRE, reports the steps up to the call, and hangs up
///
/// The steps behind the call are left to be told.
pub(super) async fn call(client: &Client, config: &TunnelConfig, report: &Report) {
    let mut progress = Progress::until(Step::GreOut, config, report);
    let mut connecting = client.connect(config.clone());
    let outcome = follow(&mut connecting, &mut progress, Step::GreOut).await;
    let sight = Sight::of(&connecting);
    match outcome {
        Some(Err(error)) if Step::of_error(&error) < Step::GreOut => {
            progress.fail(&error, &sight).await;
        }
        _ => progress.pass_until(Step::GreOut, &sight).await,
    }
    drop(connecting);
    client.wait_idle().await;
}

/// Reports what passes, until the connect is over, or has come to `step`, which `None` says
async fn follow(
    connecting: &mut Connecting,
    progress: &mut Progress<'_>,
    step: Step,
) -> Option<Result<Tunnel, TunnelError>> {
    let mut state = connecting.state();
    loop {
        let state = tokio::select! {
            biased;
            outcome = &mut *connecting => return Some(outcome),
            // an error is the end, which `connecting` tells
            _ = state.changed() => state.borrow_and_update().clone(),
        };
        if let State::Connecting { phase } = state {
            let reached = Step::of_phase(phase);
            progress.pass_until(reached, &Sight::of(connecting)).await;
            if reached >= step {
                return None;
            }
        }
    }
}

/// A failure before anything is dialled
pub(super) fn undialled(failure: Failure) -> TunnelError {
    TunnelError::new(failure, ConnectTimeline::new(pptp_driver::now()))
}
