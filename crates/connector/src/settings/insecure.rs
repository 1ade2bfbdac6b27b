//! The weaker logins and encryptions that a site may agree to

use pptp::{
    TunnelConfig,
    config::{EncryptionDemand, KeyStrength, StatefulReset},
};

/// Something weaker than MS-CHAPv2 with stateless MPPE of 128 bits
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Insecure {
    /// MS-CHAPv1, with which the server proves nothing
    MschapV1,
    /// CHAP with MD5, which leaves no keys: wants no-encryption too
    ChapMd5,
    /// PAP, which sends the password in the clear: wants no-encryption too
    Pap,
    /// A tunnel in the clear where the server has no encryption
    NoEncryption,
    /// Keys of 56 bits
    Key56,
    /// Keys of 40 bits
    Key40,
    /// Stateful MPPE, which uses keys twice after a loss
    StatefulMppe,
}

impl Insecure {
    /// All of them, in the order of the documentation
    pub const ALL: [Self; 7] = [
        Self::MschapV1,
        Self::ChapMd5,
        Self::Pap,
        Self::NoEncryption,
        Self::Key56,
        Self::Key40,
        Self::StatefulMppe,
    ];

    /// Returns its name, as the command line and the configuration have it
    pub const fn name(self) -> &'static str {
        match self {
            Self::MschapV1 => "mschap-v1",
            Self::ChapMd5 => "chap-md5",
            Self::Pap => "pap",
            Self::NoEncryption => "no-encryption",
            Self::Key56 => "key56",
            Self::Key40 => "key40",
            Self::StatefulMppe => "stateful-mppe",
        }
    }

    /// Returns options that agree to it
    pub fn apply(self, config: TunnelConfig) -> TunnelConfig {
        match self {
            Self::MschapV1 => config.insecure_mschap_v1(),
            Self::ChapMd5 => config.insecure_chap_md5(),
            Self::Pap => config.insecure_pap(),
            Self::NoEncryption => config.insecure_encryption(EncryptionDemand::InsecurePrefer),
            Self::Key56 => config.insecure_least_key(KeyStrength::Bits56),
            Self::Key40 => config.insecure_least_key(KeyStrength::Bits40),
            Self::StatefulMppe => config.insecure_stateful_mppe(StatefulReset::Linux),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_command_line_has_the_names_of_the_configuration() {
        for weaker in Insecure::value_variants() {
            let value = weaker.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), weaker.name());
        }
    }
}
