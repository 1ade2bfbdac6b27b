//! How trials dial a building.

use libtest_mimic::Failed;
use pptp::{Client, Tunnel, TunnelConfig, config::EchoPolicy};

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
    let tunnel = client.connect(config(building).echo(policy)).await;
    tunnel.map_err(|error| format!("building {number}: {error}").into())
}
