//! Ways to log in at real servers: each under the default policy, and under the option that it needs.

use libtest_mimic::{Failed, Trial};
use pptp::{
    Client, Tunnel, TunnelConfig, TunnelError,
    config::{
        AuthenticationProtocol::{self, ChapMd5, MsChapV1, MsChapV2, Pap},
        EncryptionDemand, PasswordEncoding,
    },
};
use pptp_interop::{Building, Lab, Outcome, PASSWORD, connect_past_pptpd, get, trial};

use crate::{config, encryption::sixteen_mib_each_way};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("login_by_MS-CHAPv2_whatever_weaker_is_allowed", strongest),
        trial("login_by_MS-CHAPv1_with_MPPE_needs_its_option", mschap_v1),
        trial("login_by_CHAP-MD5_and_PAP_needs_options_and_is_in_the_clear", without_keys),
        trial("login_of_a_user_with_a_domain", domain),
        trial("login_with_a_password_beyond_ASCII_in_either_encoding", beyond_ascii),
        trial("login_with_a_secret_in_UTF-8_and_its_octets_widened", widened_utf8),
    ]
}

async fn connect(config: TunnelConfig) -> Result<Result<Tunnel, TunnelError>, Failed> {
    Ok(connect_past_pptpd(&Client::new()?, config).await)
}

/// Connects, reads the device's page, moves sixteen MiB each way, and says how the client proved who
/// it is
async fn log_in(
    config: TunnelConfig,
    building: Building,
) -> Result<AuthenticationProtocol, Failed> {
    let number = building.number();
    let tunnel = connect(config).await?.map_err(|error| format!("building {number}: {error}"))?;
    let page = get(tunnel.tcp_connect(building.device(80)).await?, "/").await?;
    assert_eq!(String::from_utf8_lossy(&page), format!("building {number}\n"));
    sixteen_mib_each_way(&tunnel, building).await?;
    let info = tunnel.info();
    println!("  building {number}: {}, {:?}", info.authentication, info.encryption);
    tunnel.close().await;
    Ok(info.authentication)
}

fn all_weaker(config: TunnelConfig) -> TunnelConfig {
    config
        .insecure_mschap_v1()
        .insecure_chap_md5()
        .insecure_pap()
        .insecure_encryption(EncryptionDemand::InsecureAllow)
}

async fn strongest(_: &Lab) -> Outcome {
    for building in [Building::ONE, Building::CHATTY] {
        assert_eq!(log_in(all_weaker(config(building)), building).await?, MsChapV2);
    }
    Ok(())
}

async fn mschap_v1(_: &Lab) -> Outcome {
    let building = Building::MSCHAP1;
    assert_eq!(log_in(config(building).insecure_mschap_v1(), building).await?, MsChapV1);
    Ok(())
}

async fn without_keys(_: &Lab) -> Outcome {
    let clear = |building| config(building).insecure_encryption(EncryptionDemand::InsecureAllow);
    let building = Building::CHAP_MD5_PLAIN;
    assert_eq!(log_in(clear(building).insecure_chap_md5(), building).await?, ChapMd5);
    let building = Building::PAP_PLAIN;
    assert_eq!(log_in(clear(building).insecure_pap(), building).await?, Pap);
    Ok(())
}

async fn domain(_: &Lab) -> Outcome {
    let building = Building::ONE;
    let server = building.server().to_string();
    let config = TunnelConfig::new(server, r"BUILDING\testuser", PASSWORD);
    assert_eq!(log_in(config, building).await?, MsChapV2);
    Ok(())
}

async fn beyond_ascii(_: &Lab) -> Outcome {
    for encoding in [PasswordEncoding::Utf16, PasswordEncoding::WidenedOctets] {
        let server = Building::ONE.server().to_string();
        let config = TunnelConfig::new(server, "flat", "p@ss w\u{F6}rd");
        let used = log_in(config.password_encoding(encoding), Building::ONE).await?;
        assert_eq!(used, MsChapV2);
    }
    Ok(())
}

/// pppd widens octet by octet whatever its secrets file holds
async fn widened_utf8(lab: &Lab) -> Outcome {
    let secret = r#"utf8 * \"w\303\266rd\" *"#;
    lab.sh(&format!("printf \"{secret}\\n\" >> /etc/ppp/chap-secrets"))?;
    let server = Building::ONE.server().to_string();
    let config = TunnelConfig::new(server, "utf8", "w\u{F6}rd");
    let config = config.password_encoding(PasswordEncoding::WidenedUtf8);
    assert_eq!(log_in(config, Building::ONE).await?, MsChapV2);
    Ok(())
}
