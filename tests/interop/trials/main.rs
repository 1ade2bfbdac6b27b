//! The interop tests: this client against pptpd, pppd and the kernel's MPPE.

mod buildings;
mod connector;
mod doctor;
mod encryption;
mod failures;
mod links;
mod logins;
mod privileges;
mod record;
mod shared_socket;
mod two_buildings;
mod weaker;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{Client, Tunnel, TunnelConfig};
use pptp_interop::{Building, PASSWORD, Stage, USER, run};

/// How long a single answer may take
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    if Stage::of_this_process() == Stage::HandedSocket {
        return privileges::with_handed_socket();
    }
    run(all())
}

fn all() -> Vec<Trial> {
    let groups = [
        buildings::trials(),
        weaker::trials(),
        encryption::trials(),
        failures::trials(),
        logins::trials(),
        links::trials(),
        shared_socket::trials(),
        privileges::trials(),
        wire::trials(),
        record::trials(),
        two_buildings::trials(),
        connector::trials(),
        doctor::trials(),
    ];
    groups.into_iter().flatten().collect()
}

fn config(building: Building) -> TunnelConfig {
    let name = format!("building-{}", building.number());
    TunnelConfig::new(building.server().to_string(), USER, PASSWORD).name(name)
}

async fn dial(client: &Client, building: Building) -> Result<Tunnel, Failed> {
    let number = building.number();
    let tunnel = client.connect(config(building)).await;
    tunnel.map_err(|error| format!("building {number}: {error}").into())
}
