//! How trials dial a building.

use std::time::Duration;

use libtest_mimic::Failed;
use pptp::{Client, Tunnel, TunnelConfig, TunnelError, config::EchoPolicy, error::Phase};
use tokio::time::sleep;

use crate::lab::{Building, PASSWORD, USER};

/// What the user whom every building knows needs for `building`
pub fn config(building: Building) -> TunnelConfig {
    let name = format!("building-{}", building.number());
    TunnelConfig::new(building.server().to_string(), USER, PASSWORD).name(name)
}

/// A tunnel to `building` by [`config`]
pub async fn dial(client: &Client, building: Building) -> Result<Tunnel, Failed> {
    dial_with(client, building, EchoPolicy::default()).await
}

/// A tunnel to `building` that is declared dead by `policy`
pub async fn dial_with(
    client: &Client,
    building: Building,
    policy: EchoPolicy,
) -> Result<Tunnel, Failed> {
    let number = building.number();
    let tunnel = connect_past_pptpd(client, config(building).echo(policy)).await;
    tunnel.map_err(|error| format!("building {number}: {error}").into())
}

/// Connects, and once more if pptpd was interrupted
///
/// Its manager waits for the first octets of a new client. If the child of an earlier client ends meanwhile, SIGCHLD
/// interrupts that wait; it takes this for silence, closes, and logs "dropped slow initial connection".
pub async fn connect_past_pptpd(
    client: &Client,
    config: TunnelConfig,
) -> Result<Tunnel, TunnelError> {
    let outcome = client.connect(config.clone()).await;
    let is_interrupted = |error: &TunnelError| {
        error.name() == "ConnectionLost" && error.phase == Phase::ControlConnection
    };
    if !outcome.as_ref().is_err_and(is_interrupted) {
        return outcome;
    }
    sleep(Duration::from_secs(1)).await;
    client.connect(config).await
}
