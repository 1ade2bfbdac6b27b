//! Servers that encrypt less than is required, or not at all: each refused by default, and up under
//! the option that it needs, with sixteen MiB both ways.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{
    Client, Tunnel, TunnelConfig,
    config::{EncryptionDemand, KeyStrength, StatefulReset},
};
use pptp_interop::{Building, Lab, Outcome, download, get, sha256, trial, upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{config, dial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("encryption_of_40_bits_needs_its_option", forty_bits),
        trial("encryption_that_is_stateful_needs_its_option", stateful),
        trial("encryption_that_is_stateful_goes_on_with_2_percent_loss", stateful_with_loss),
        trial("no_encryption_needs_its_option", none),
        trial("encryption_that_is_refused_is_demanded_by_the_server", demanded),
        trial("encryption_is_128_bit_stateless_whatever_else_is_allowed", strongest),
    ]
}

/// Connects, compares what was agreed, and moves sixteen MiB each way
async fn passes(building: Building, config: TunnelConfig, agreed: Option<&str>) -> Outcome {
    let tunnel = connect(building, config, agreed).await?;
    sixteen_mib_each_way(&tunnel, building).await?;
    tunnel.close().await;
    Ok(())
}

pub(crate) async fn sixteen_mib_each_way(tunnel: &Tunnel, building: Building) -> Outcome {
    let number = building.number();
    let body = get(tunnel.tcp_connect(building.device(80)).await?, "/16M").await?;
    assert_eq!(sha256(&body), sha256(&download(number)));
    send(tunnel, building, &upload(number)).await
}

async fn connect(
    building: Building,
    config: TunnelConfig,
    agreed: Option<&str>,
) -> Result<Tunnel, Failed> {
    let number = building.number();
    let tunnel = Client::new()?.connect(config).await;
    let tunnel = tunnel.map_err(|error| format!("building {number}: {error}"))?;
    let info = tunnel.info();
    let encryption = info.encryption.map(|encryption| encryption.to_string());
    println!("  building {number}: {encryption:?}, MTU {}", info.mtu);
    assert_eq!(encryption.as_deref(), agreed, "building {number}");
    Ok(tunnel)
}

async fn send(tunnel: &Tunnel, building: Building, octets: &[u8]) -> Outcome {
    let mut sink = tunnel.tcp_connect(building.device(9)).await?;
    sink.write_all(octets).await?;
    sink.shutdown().await?;
    let mut answer = String::new();
    sink.read_to_string(&mut answer).await?;
    assert_eq!(answer.trim_end(), sha256(octets));
    Ok(())
}

async fn forty_bits(_: &Lab) -> Outcome {
    let building = Building::MPPE40;
    let config = config(building).insecure_least_key(KeyStrength::Bits40);
    passes(building, config, Some("MPPE 40 bit stateless")).await
}

/// This pppd would take stateful MPPE, and asks for stateless itself
async fn stateful(_: &Lab) -> Outcome {
    let building = Building::STATEFUL;
    let allowed = config(building).insecure_stateful_mppe(StatefulReset::Linux);
    let tunnel = connect(building, allowed, Some("MPPE 128 bit stateless")).await?;
    tunnel.close().await;
    let first = config(building).insecure_stateful_mppe_first(StatefulReset::Linux);
    passes(building, first, Some("MPPE 128 bit stateful")).await
}

/// A loss costs a stateful link two of TCP's timeouts at least (seen on the wire: pptpd holds back what
/// follows until the first of them, which brings the reset, and only the second is opened), and they
/// double. So some losses in a row stop a connection for a minute: another is dialled then.
async fn stateful_with_loss(lab: &Lab) -> Outcome {
    let building = Building::STATEFUL;
    for _ in 0..3 {
        let config = config(building).insecure_stateful_mppe_first(StatefulReset::Linux);
        let tunnel = connect(building, config, Some("MPPE 128 bit stateful")).await?;
        let line = lab.lose(building, 2)?;
        let moved = timeout(Duration::from_secs(80), move_under_loss(&tunnel, building)).await;
        drop(line);
        let stats = tunnel.stats();
        tunnel.close().await;
        match moved {
            Ok(Err(error)) if error.message().is_some_and(|told| told.contains("timed out")) => {
                println!("  {}: {stats:?}", error.message().unwrap_or_default());
            }
            Ok(moved) => return moved,
            Err(_) => println!("  stood still: {stats:?}"),
        }
    }
    Err("three tunnels stood still".into())
}

async fn move_under_loss(tunnel: &Tunnel, building: Building) -> Outcome {
    let body = get(tunnel.tcp_connect(building.device(80)).await?, "/").await?;
    assert_eq!(String::from_utf8(body)?, format!("building {}\n", building.number()));
    for round in 0..4 {
        send(tunnel, building, &upload(building.number())[..64 << 10]).await?;
        let stats = tunnel.stats().tunnel.link;
        println!("  round {round}: {} resets asked of us", stats.reset_requests);
    }
    Ok(())
}

async fn none(_: &Lab) -> Outcome {
    let building = Building::MSCHAP2_PLAIN;
    for demand in [
        EncryptionDemand::InsecurePrefer,
        EncryptionDemand::InsecureAllow,
        EncryptionDemand::InsecureDeny,
    ] {
        println!("  {demand:?}");
        passes(building, config(building).insecure_encryption(demand), None).await?;
    }
    Ok(())
}

async fn demanded(_: &Lab) -> Outcome {
    let building = Building::ONE;
    let config = config(building).insecure_encryption(EncryptionDemand::InsecureDeny);
    let error = Client::new()?.connect(config).await.err().ok_or("a tunnel came up")?;
    println!("  {error}");
    assert_eq!(error.name(), "EncryptionDemanded");
    Ok(())
}

async fn strongest(_: &Lab) -> Outcome {
    for demand in [EncryptionDemand::InsecurePrefer, EncryptionDemand::InsecureAllow] {
        for building in [Building::ONE, Building::SMALL_MRU, Building::CHATTY] {
            let config = config(building)
                .insecure_encryption(demand)
                .insecure_least_key(KeyStrength::Bits40)
                .insecure_stateful_mppe(StatefulReset::Linux);
            let tunnel = connect(building, config, Some("MPPE 128 bit stateless")).await?;
            tunnel.close().await;
        }
    }
    dial(&Client::new()?, Building::STATEFUL).await?.close().await;
    Ok(())
}
