//! One packet of the negotiation is lost; whatever it was, the site carries within seconds.
//!
//! The two packets whose loss used to leave tunnels that were up and carried nothing. `lab/lost-packet` has the others.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::Client;
use pptp_interop::{Building, Lab, Nft, Outcome, Way, get, trial_beside};
use tokio::time::{Instant, sleep, timeout};

use crate::config;

const RUNS: usize = 3;
const LIMIT: Duration = Duration::from_secs(20);
/// A user's pause before the same is tried once more
const PAUSE: Duration = Duration::from_secs(1);

const CONFIGURE_REQUEST: u8 = 1;
const CCP: u16 = 0x80FD;
const IPCP: u16 = 0x8021;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial_beside(&[Building::THREE], "fault_the_first_ccp_request_is_lost", ccp),
        trial_beside(&[Building::FOUR], "fault_the_first_ipcp_request_is_lost", ipcp),
    ]
}

async fn ccp(_: &Lab) -> Outcome {
    carries_without(Building::THREE, CCP).await
}

async fn ipcp(_: &Lab) -> Outcome {
    carries_without(Building::FOUR, IPCP).await
}

async fn carries_without(building: Building, protocol: u16) -> Outcome {
    let client = Client::new()?;
    for _ in 0..RUNS {
        let _lost = Nft::lose_first(Way::ToServer, building.server(), protocol, CONFIGURE_REQUEST)?;
        let began = Instant::now();
        let dials = timeout(LIMIT, until_it_carries(&client, building));
        let dials =
            dials.await.map_err(|_| "up for 20 s, or never up, and it carried nothing")??;
        println!("  carries after {:.1?}, {dials} dials", began.elapsed());
    }
    Ok(())
}

/// Dials until the device answers through a tunnel; returns the dials that took
async fn until_it_carries(client: &Client, building: Building) -> Result<u32, Failed> {
    let expected = format!("building {}\n", building.number()).into_bytes();
    for dials in 1.. {
        match client.connect(config(building)).await {
            Ok(tunnel) => tokio::select! {
                answer = async { get(tunnel.tcp_connect(building.device(80)).await?, "/").await } => {
                    if answer.is_ok_and(|body| body == expected) {
                        tunnel.close().await;
                        return Ok(dials);
                    }
                }
                reason = tunnel.closed() => println!("  {reason}"),
            },
            Err(error) => println!("  {error}"),
        }
        sleep(PAUSE).await;
    }
    Err("no end of dials".into())
}
