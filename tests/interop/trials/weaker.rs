//! Servers that are special in one respect: those that this client lives with, and those it refuses.

use libtest_mimic::Trial;
use pptp::Client;
use pptp_interop::{Building, Lab, Outcome, get, trial};

use crate::{config, dial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("servers_that_ask_for_much_or_little_are_lived_with", lived_with),
        trial("a_server_that_cannot_encrypt_as_required_is_refused", not_encrypting),
        trial("a_server_that_authenticates_weakly_is_refused", weak_authentication),
    ]
}

async fn lived_with(_: &Lab) -> Outcome {
    let client = Client::new()?;
    for building in [Building::SMALL_MRU, Building::CHATTY, Building::STATEFUL] {
        let tunnel = dial(&client, building).await?;
        let (number, mtu) = (building.number(), tunnel.info().mtu);
        assert_eq!(building == Building::SMALL_MRU, mtu < 576, "building {number}: MTU {mtu}");
        let body = get(tunnel.tcp_connect(building.device(80)).await?, "/").await?;
        assert_eq!(String::from_utf8(body)?, format!("building {number}\n"));
        tunnel.close().await;
    }
    Ok(())
}

async fn not_encrypting(_: &Lab) -> Outcome {
    refused(Building::MSCHAP2_PLAIN, "EncryptionUnavailable").await?;
    refused(Building::MPPE40, "EncryptionUnavailable").await
}

async fn weak_authentication(_: &Lab) -> Outcome {
    refused(Building::PAP_PLAIN, "AuthProtocolRefused").await?;
    refused(Building::CHAP_MD5_PLAIN, "AuthProtocolRefused").await?;
    refused(Building::MSCHAP1, "AuthProtocolRefused").await
}

async fn refused(building: Building, name: &str) -> Outcome {
    let client = Client::new()?;
    let error = client.connect(config(building)).await.err().ok_or("a tunnel came up")?;
    println!("  building {}: {error}", building.number());
    assert_eq!(error.name(), name);
    Ok(())
}
