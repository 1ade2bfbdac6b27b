//! What a server may do less safely, on the command line of each example

use clap::{Args, builder::TypedValueParser};
use pptp::{
    TunnelConfig,
    config::{EncryptionDemand, KeyStrength, StatefulReset},
};

/// The ways to authenticate and to encrypt that are agreed to beyond the safe one, or not agreed to
#[derive(Args, Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    /// Do not agree to MS-CHAPv2 within EAP, only to MS-CHAPv2 alone
    #[arg(long)]
    no_eap: bool,
    /// Agree to MS-CHAPv1, with which the server proves nothing
    #[arg(long)]
    insecure_mschap_v1: bool,
    /// Agree to CHAP with MD5, which leaves no keys: wants --insecure-clear too
    #[arg(long)]
    insecure_chap_md5: bool,
    /// Agree to PAP, which sends the password in the clear: wants --insecure-clear too
    #[arg(long)]
    insecure_pap: bool,
    /// Agree to a tunnel in the clear where the server has no encryption
    #[arg(long)]
    insecure_clear: bool,
    /// Agree to shorter keys: 40 or 56 bits at least
    #[arg(
        long,
        value_name = "BITS",
        value_parser = clap::builder::PossibleValuesParser::new(["40", "56"]).map(|bits| key_strength(&bits))
    )]
    insecure_least_key: Option<KeyStrength>,
    /// Agree to stateful MPPE, which uses keys twice after a loss
    #[arg(long)]
    insecure_stateful_mppe: bool,
}

fn key_strength(bits: &str) -> KeyStrength {
    if bits == "40" { KeyStrength::Bits40 } else { KeyStrength::Bits56 }
}

impl Policy {
    /// The configuration with what the command line agrees to
    pub(crate) fn apply(self, config: TunnelConfig) -> TunnelConfig {
        let switch = |on, config: TunnelConfig, with: fn(TunnelConfig) -> TunnelConfig| {
            if on { with(config) } else { config }
        };
        let config = config.eap(!self.no_eap);
        let config = switch(self.insecure_mschap_v1, config, TunnelConfig::insecure_mschap_v1);
        let config = switch(self.insecure_chap_md5, config, TunnelConfig::insecure_chap_md5);
        let config = switch(self.insecure_pap, config, TunnelConfig::insecure_pap);
        let config = switch(self.insecure_clear, config, |config| {
            config.insecure_encryption(EncryptionDemand::InsecurePrefer)
        });
        let config = switch(self.insecure_stateful_mppe, config, |config| {
            config.insecure_stateful_mppe(StatefulReset::Linux)
        });
        self.insecure_least_key.into_iter().fold(config, TunnelConfig::insecure_least_key)
    }
}
