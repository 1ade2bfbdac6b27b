//! The interop tests: this client against pptpd, pppd and the kernel's MPPE.

mod buildings;
mod connector;
mod daemon;
mod doctor;
mod encryption;
mod failures;
mod fragments;
mod killed;
mod knx;
mod links;
mod logins;
mod lossy;
mod lost_packet;
mod moved;
mod outages;
mod privileges;
mod record;
mod redial;
mod shared_socket;
mod soak;
mod tls;
mod tutorial;
mod two_buildings;
mod ways_in;
mod weaker;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::Trial;
use pptp_interop::{Stage, run};
pub(crate) use pptp_interop::{config, dial};

/// Twice what a run takes on two busy cores
const LIFE: Duration = Duration::from_mins(40);

/// How long a single answer may take
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    if Stage::of_this_process() == Stage::HandedSocket {
        return privileges::with_handed_socket();
    }
    run(LIFE, all())
}

fn all() -> Vec<Trial> {
    let groups = [
        buildings::trials(),
        weaker::trials(),
        encryption::trials(),
        failures::trials(),
        logins::trials(),
        links::trials(),
        fragments::trials(),
        shared_socket::trials(),
        privileges::trials(),
        wire::trials(),
        record::trials(),
        two_buildings::trials(),
        connector::trials(),
        tutorial::trials(),
        doctor::trials(),
        ways_in::trials(),
        knx::trials(),
        daemon::trials(),
        tls::trials(),
        soak::trials(),
        // those that run beside each other come last: all others have the lab to themselves
        daemon::waiting_trials(),
        outages::trials(),
        moved::trials(),
        lossy::trials(),
        lost_packet::trials(),
        redial::trials(),
        killed::trials(),
    ];
    groups.into_iter().flatten().collect()
}
