//! What a script's first octets decide: who the server is, and what the client puts up with

use std::net::Ipv4Addr;

use pptp_ppp::{
    AuthenticationProtocol, ClientConfig, Encryption, EncryptionDemand, KeyStrength, Password,
    Phase, Questions, ServerAuthentication, ServerConfig, ServerEncryption, ServerOrder,
    StatefulReset, frame,
};

/// How far a server brings the client before the script begins
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The client's first Configure-Request is out
    LinkControl,
    /// LCP is open
    Authentication,
    /// The client is authenticated
    Network,
}

impl Reach {
    pub(super) const fn phase(self) -> Phase {
        match self {
            Self::LinkControl => Phase::LinkControl,
            Self::Authentication => Phase::Authentication,
            Self::Network => Phase::Network,
        }
    }
}

/// What a script's packets are of
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// This protocol
    Protocol(u16),
    /// The authentication that the setting's server asks for
    Authentication,
    /// EAP, which the setting's server asks for
    Eap,
}

/// Who the server is, and what the client puts up with
#[derive(Debug)]
pub struct Setting {
    spoken: Spoken,
    octets: [u8; 4],
    /// Whether the client hangs up in the end; else it is left alone
    pub closes: bool,
}

/// The client's password, and the server's
pub const PASSWORD: &str = "secret";
/// In the order of the first octet of a seed
const AUTHENTICATIONS: [AuthenticationProtocol; 4] = [
    AuthenticationProtocol::MsChapV2,
    AuthenticationProtocol::MsChapV1,
    AuthenticationProtocol::ChapMd5,
    AuthenticationProtocol::Pap,
];
const ENCRYPTIONS: [ServerEncryption; 10] = [
    ServerEncryption::Mppe128,
    ServerEncryption::Mppe128Stateful(StatefulReset::Linux),
    ServerEncryption::Mppe128Stateful(StatefulReset::Rfc),
    ServerEncryption::Mppe40,
    ServerEncryption::Mppe56,
    ServerEncryption::None,
    ServerEncryption::NoCcp,
    ServerEncryption::Silent,
    ServerEncryption::ZeroBits,
    ServerEncryption::MppcOnly,
];
const DEMANDS: [EncryptionDemand; 4] = [
    EncryptionDemand::Require,
    EncryptionDemand::InsecurePrefer,
    EncryptionDemand::InsecureAllow,
    EncryptionDemand::InsecureDeny,
];
const ORDERS: [ServerOrder; 3] = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];

impl Setting {
    /// The first four octets: authentication, encryption, what the client puts up with, and manners
    pub(crate) const fn new(octets: [u8; 4], spoken: Spoken) -> Self {
        Self { spoken, octets, closes: octets[3] & 0x80 != 0 }
    }

    /// The octets of a seed's setting: the server's authentication and encryption by their places in
    /// the lists here, and whether the client puts up with everything
    pub const fn octets(authentication: u8, encryption: u8, is_lenient: bool) -> [u8; 4] {
        [authentication, encryption, if is_lenient { 0x3D } else { 0 }, 0]
    }

    fn is(&self, bit: u8) -> bool {
        self.octets[2] & bit != 0
    }

    fn authentication(&self) -> AuthenticationProtocol {
        match self.spoken {
            Spoken::Eap => AuthenticationProtocol::Eap,
            _ => AUTHENTICATIONS[usize::from(self.octets[0]) % AUTHENTICATIONS.len()],
        }
    }

    /// The protocol of the script's packets
    pub(super) fn protocol(&self) -> u16 {
        match (self.spoken, self.authentication()) {
            (Spoken::Protocol(protocol), _) => protocol,
            (Spoken::Eap, _) => frame::EAP,
            (_, AuthenticationProtocol::Pap) => frame::PAP,
            _ => frame::CHAP,
        }
    }

    fn demand(&self) -> EncryptionDemand {
        DEMANDS[usize::from(self.octets[2] & 3)]
    }

    pub(crate) fn is_required(&self) -> bool {
        self.demand() == EncryptionDemand::Require
    }

    /// Whether frames need no order: nothing but stateless MPPE will do
    pub(crate) fn is_strict(&self) -> bool {
        self.is_required() && !self.is(STATEFUL)
    }

    /// Whether the client may prove itself in this way
    pub(crate) fn allows(&self, authentication: AuthenticationProtocol) -> bool {
        let strong = [AuthenticationProtocol::MsChapV2, AuthenticationProtocol::Eap];
        strong.contains(&authentication)
            || self.is(WEAK_AUTHENTICATION) && AUTHENTICATIONS.contains(&authentication)
    }

    /// Whether this encryption will do
    pub(crate) fn is_enough(&self, encryption: Encryption) -> bool {
        let is_strong = encryption.strength == KeyStrength::Bits128 || self.is(WEAK_KEYS);
        is_strong && (!encryption.stateful || self.is(STATEFUL))
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new("user", Password::new(PASSWORD));
        let weak = self.is(WEAK_AUTHENTICATION);
        config.authentication.insecure_mschap_v1 = weak;
        config.authentication.insecure_chap_md5 = weak;
        config.authentication.insecure_pap = weak;
        config.encryption.demand = self.demand();
        if self.is(WEAK_KEYS) {
            config.encryption.insecure_least_key = KeyStrength::Bits40;
        }
        config.encryption.insecure_stateful = self.is(STATEFUL).then_some(self.reset());
        let asks = self.is(QUESTIONS);
        config.questions = Questions { new_password: asks, other_credentials: asks };
        config.ipv6 = self.is(IPV6) || self.spoken == Spoken::Protocol(frame::IPV6CP);
        config.header_compression = self.octets[3] & 0x40 != 0;
        config
    }

    fn encryption(&self) -> ServerEncryption {
        ENCRYPTIONS[usize::from(self.octets[1]) % ENCRYPTIONS.len()]
    }

    fn reset(&self) -> StatefulReset {
        match self.encryption() {
            ServerEncryption::Mppe128Stateful(reset) => reset,
            _ => StatefulReset::Linux,
        }
    }

    pub(crate) fn server(&self) -> ServerConfig {
        let gateway = Ipv4Addr::new(192, 168, 1, 1);
        let mut config = ServerConfig::new(gateway, Ipv4Addr::new(192, 168, 1, 200));
        config.secrets = vec![("user".to_owned(), Password::new(PASSWORD))];
        config.order = ORDERS[usize::from(self.octets[3] & 0x0F) % ORDERS.len()];
        config.encryption = self.encryption();
        config.authentication = ServerAuthentication {
            retries: u8::from(self.is(QUESTIONS)),
            expired: self.octets[3] & 0x20 != 0,
            ..ServerAuthentication::only(self.authentication())
        };
        config.dns = vec![gateway; 2];
        config.ipv6 = true;
        config
    }
}

/// Bits of the third octet; the lowest two are the demand
const WEAK_AUTHENTICATION: u8 = 0x04;
const WEAK_KEYS: u8 = 0x08;
const STATEFUL: u8 = 0x10;
const QUESTIONS: u8 = 0x20;
const IPV6: u8 = 0x40;
