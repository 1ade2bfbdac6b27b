//! A line as bad as mobile ones get: 50 ms each way, and one packet in twenty lost each way.

use std::time::Duration;

use libtest_mimic::Trial;
use pptp::{Client, Failure, LinkFailure, TunnelError};
use pptp_interop::{Building, Lab, Outcome, Transfer, trial_beside};
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
        match client.connect(config(BUILDING)).await {
            Ok(tunnel) => {
                println!("  connected in {:.1?}", tunnel.info().connect_time);
                tunnels.push(tunnel);
            }
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

/// Whether pppd has ended the link because its own Configure-Ack of CCP was lost: asked once more, as
/// RFC 1661 §4.6 wants it, it takes MPPE down, which its options require
fn is_pppds_own(error: &TunnelError) -> bool {
    let words = "MPPE disabled";
    matches!(&error.failure, Failure::Link(LinkFailure::TerminatedByPeer { message, .. }) if message == words)
}
