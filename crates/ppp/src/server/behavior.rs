//! The behavior of a server: its order of messages, its encryption, its authentication, its errors

use pptp_mppe::StatefulReset;
use pptp_mschap::PasswordEncoding;

use crate::wire::protocol::AuthenticationProtocol;

/// The real server whose order of messages a server follows
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerOrder {
    /// pptpd with pppd: IPCP stays closed, and answers Terminate-Ack, until CCP is open
    Pppd,
    /// accel-ppp: IPCP is deaf until CCP is open, and then waits for the client's request
    AccelPpp,
    /// Windows RRAS: an LCP request full of options, IPCP beside CCP, every kind of MPPE offered
    Rras,
}

/// The encryption that a server has
///
/// With MPPE it has no link without it, and insists on its own kind unless it
/// [yields](crate::ServerConfig::encryption_yields). Without MPPE its links are in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEncryption {
    /// 128 bit, stateless
    Mppe128,
    /// 128 bit, stateful; the value says how the key changes after a reset
    Mppe128Stateful(StatefulReset),
    /// 56 bit, stateless
    Mppe56,
    /// 40 bit, stateless
    Mppe40,
    /// No encryption, told by an MPPE option without a bit: accel-ppp where it only allows MPPE
    ZeroBits,
    /// Compression without encryption: RRAS with encryption switched off; a client's MPPE is rejected
    MppcOnly,
    /// No encryption: CCP opens, and a client's MPPE is rejected
    None,
    /// Neither encryption nor CCP, which is answered with Protocol-Reject
    NoCcp,
    /// No encryption, and no answer to CCP at all
    Silent,
}

/// The authentication that a server asks of its clients
///
/// By default MS-CHAPv2, as the RFCs want it. The rest plays servers that are met in the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAuthentication {
    /// The protocols of the server, in the order in which it asks for them
    pub protocols: Vec<AuthenticationProtocol>,
    /// The reaction to a client that asks for another protocol
    pub on_nak: OnNak,
    /// The encoding by which its secrets became octets
    pub encoding: PasswordEncoding,
    /// EAP methods that it proposes before MS-CHAPv2 (RFC 3748 §5)
    pub eap_proposals: Vec<u8>,
    /// True if it has MS-CHAPv2 within EAP; else a client that refuses its proposals gets an EAP-Failure
    pub eap_has_mschap_v2: bool,
    /// The error code of Windows with which it ends LCP instead of sending a CHAP Failure
    pub refuses_with: Option<crate::RasCode>,
    /// Other logins that are welcome on the same link after one was refused
    pub retries: u8,
    /// True if the passwords have expired (error 648), and each has to be changed first
    pub expired: bool,
    /// The text of a Failure, instead of the usual text of servers of this order
    pub failure_text: Option<String>,
    /// The text of a Success, instead of the proof
    pub success_text: Option<String>,
    /// True if each Challenge is sent twice
    pub repeats_challenges: bool,
}

impl Default for ServerAuthentication {
    fn default() -> Self {
        Self {
            protocols: vec![AuthenticationProtocol::MsChapV2],
            on_nak: OnNak::Insist,
            encoding: PasswordEncoding::Utf16,
            eap_proposals: Vec::new(),
            eap_has_mschap_v2: true,
            refuses_with: None,
            retries: 0,
            expired: false,
            failure_text: None,
            success_text: None,
            repeats_challenges: false,
        }
    }
}

impl ServerAuthentication {
    /// Asks for one protocol, and for no other
    pub fn only(protocol: AuthenticationProtocol) -> Self {
        Self { protocols: vec![protocol], ..Self::default() }
    }
}

/// The part of a server that stays the same from login to login
#[derive(Debug)]
pub(crate) struct ServerBehavior {
    pub(crate) name: String,
    pub(crate) order: ServerOrder,
    pub(crate) authentication: ServerAuthentication,
}

/// The reaction of a server whose client asks for another authentication protocol (RFC 1661 §5.3)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNak {
    /// The server asks for the same again
    Insist,
    /// The server asks for the protocol that the client named if it has it, otherwise for its next one
    Yield,
    /// The server asks for no protocol any more, and hangs up once LCP is open: pppd
    Withdraw,
    /// The server is deaf to every Nak and Reject of LCP, and its restart timer sends the same
    /// request again
    Deaf,
}
