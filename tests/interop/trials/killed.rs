//! Processes of a real server that are killed by a signal which they cannot catch.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{Client, Tunnel, error::Layer};
use pptp_interop::{
    Building, End, KillableServer, Lab, Outcome, Process, Transfer, get, trial_beside,
};
use tokio::time::Instant;

use crate::{PATIENCE, config, dial};

const HERE: &[Building] = &[Building::ONE];
const BUILDING: Building = Building::ONE;
const ALL: [Process; 3] = [Process::Pptpd, Process::Pptpctrl, Process::Pppd];
/// The kernel closes a killed process's connection at once; the rest is for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(4);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial_beside(
            HERE,
            "fault_a_killed_listener_leaves_the_tunnels_of_its_children_up",
            listener,
        ),
        trial_beside(HERE, "fault_a_killed_pptpctrl_is_ConnectionLost", pptpctrl),
        trial_beside(HERE, "fault_a_killed_pppd_is_ConnectionLost", pppd),
        trial_beside(
            HERE,
            "fault_a_killed_server_is_ConnectionLost_and_then_TcpRefused",
            everything,
        ),
    ]
}

async fn listener(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    let tunnel = dial(&client, BUILDING).await?;
    let transfer = Transfer::start(&tunnel, BUILDING, 1 << 20, PATIENCE);
    transfer.has_begun().await?;
    let server = lab.killable(BUILDING);
    server.kill(&[Process::Pptpd]).await?;
    is_refused(&client).await?;
    transfer.is_whole(Duration::from_mins(1)).await?;
    tunnel.close().await;
    Ok(())
}

async fn pptpctrl(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    is_lost(lab, &client, &[Process::Pptpctrl]).await?;
    comes_back(&client).await
}

/// pptpctrl sees the end of its pppd, and closes the control connection without a word.
async fn pppd(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    is_lost(lab, &client, &[Process::Pppd]).await?;
    comes_back(&client).await
}

async fn everything(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    let server = is_lost(lab, &client, &ALL).await?;
    is_refused(&client).await?;
    server.revive().await?;
    comes_back(&client).await
}

/// A tunnel and its sockets end with the reason as soon as `processes` are killed.
async fn is_lost(
    lab: &Lab,
    client: &Client,
    processes: &[Process],
) -> Result<KillableServer, Failed> {
    let tunnel = dial(client, BUILDING).await?;
    let device = BUILDING.device(80);
    let idle = tunnel.tcp_connect(device).await?;
    let server = lab.killable(BUILDING);
    // a busy guest takes seconds to do what it is told
    server.kill(processes).await?;
    let end = End::of(&tunnel, Instant::now(), AT_ONCE).await?;
    let advice = "dial again; its log says why";
    end.is("ConnectionLost", Layer::ControlConnection, advice, Duration::ZERO..AT_ONCE)?;
    let told = get(idle, "/").await.err().ok_or("a socket of a tunnel that is down gave octets")?;
    assert_eq!(told.kind(), std::io::ErrorKind::ConnectionAborted, "{told}");
    Ok(server)
}

async fn is_refused(client: &Client) -> Outcome {
    let refused = client.connect(config(BUILDING)).await.err().ok_or("a tunnel came up")?;
    assert_eq!((refused.name(), refused.layer()), ("TcpRefused", Layer::Tcp), "{refused}");
    Ok(())
}

async fn comes_back(client: &Client) -> Outcome {
    answers(&dial(client, BUILDING).await?, BUILDING).await
}

/// The device of `building` tells its number through `tunnel`, which is closed then.
pub(crate) async fn answers(tunnel: &Tunnel, building: Building) -> Outcome {
    let body = get(tunnel.tcp_connect(building.device(80)).await?, "/").await?;
    assert_eq!(String::from_utf8(body)?, format!("building {}\n", building.number()));
    tunnel.close().await;
    Ok(())
}
