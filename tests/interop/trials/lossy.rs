//! A line as bad as mobile ones get: 50 ms each way, and one packet in twenty lost each way.

use std::time::Duration;

use libtest_mimic::Trial;
use pptp::{Client, State, Tunnel, TunnelError, error::LinkFailure};
use pptp_interop::{Building, Lab, Outcome, Transfer, connect_past_pptpd, get, trial_beside};
use tokio::time::Instant;

use crate::config;
use crate::killed::answers;

const BUILDING: Building = Building::STATEFUL;
const ONE_WAY: Duration = Duration::from_millis(50);
const LOSS_PERCENT: u8 = 5;
const CONNECTS: usize = 6;

pub(crate) fn trials() -> Vec<Trial> {
    let name = "fault_5_percent_loss_and_50_ms_delay_connect_and_move_a_mebibyte_each_way";
    vec![trial_beside(&[BUILDING], name, moves)]
}

async fn moves(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    let _bad = lab.impair(BUILDING, ONE_WAY, LOSS_PERCENT)?;
    let (mut tunnels, mut refused) = (Vec::new(), 0);
    while tunnels.len() < CONNECTS {
        match connected(&client).await {
            Ok(tunnel) => tunnels.push(tunnel),
            Err(error) => {
                println!("  {error}");
                assert!(is_pppds_own(&error), "{error}");
                refused += 1;
                assert!(refused < CONNECTS, "hardly ever connected");
            }
        }
    }
    let (began, patience) = (Instant::now(), Duration::from_mins(2));
    Transfer::start(&tunnels[0], BUILDING, 1 << 20, patience).is_whole(patience).await?;
    println!("  1 MiB each way in {:.1?}, {:?}", began.elapsed(), tunnels[0].stats());
    for tunnel in tunnels {
        assert!(!tunnel.state().borrow().is_down(), "a living tunnel was taken for dead");
        answers(&tunnel, BUILDING).await?;
    }
    Ok(())
}

/// A tunnel that carries something, or why it ended
async fn connected(client: &Client) -> Result<Tunnel, TunnelError> {
    let tunnel = connect_past_pptpd(client, config(BUILDING)).await?;
    println!("  connected in {:.1?}", tunnel.info().connect_time);
    // the line is as bad for these
    for _ in 0..5 {
        if get_greeting(&tunnel).await.is_ok() {
            break;
        }
    }
    let ended = match &*tunnel.state().borrow() {
        State::Down { reason } => Some(reason.clone()),
        _ => None,
    };
    ended.map_or(Ok(tunnel), Err)
}

async fn get_greeting(tunnel: &Tunnel) -> Outcome {
    get(tunnel.tcp_connect(BUILDING.device(80)).await?, "/").await?;
    Ok(())
}

/// Whether pppd or its kernel is to blame, which is so when its Configure-Ack of CCP was lost
///
/// Asked once more, as RFC 1661 §4.6 wants it, pppd takes MPPE down, which its options require. Or, if
/// CCP is not up there yet, it acknowledges twice, and makes other keys than the login's: each time that
/// was seen, there were two Configure-Acks in its log.
fn is_pppds_own(error: &TunnelError) -> bool {
    let words = "MPPE disabled";
    match error.failure.link() {
        Some(LinkFailure::TerminatedByPeer { message, .. }) => message == words,
        Some(LinkFailure::WrongKey(_)) => true,
        _ => false,
    }
}
