//! The numbers of the protocols in each failure

use std::{borrow::Cow, fmt};

use pptp_control::{Failure as ControlFailure, GeneralError};
use pptp_ppp::{Failure as LinkFailure, RasCode, WrongKey, packet};

use super::Failure;

/// A code that came over the wire, by its RFC's name and number
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Code {
    /// The field that it stood in: `Result Code of Outgoing-Call-Reply`
    pub field: &'static str,
    /// The RFC's name of the value; `Unknown` if it has none
    pub name: Cow<'static, str>,
    /// The value
    pub number: u32,
    /// The section that defines the field: `RFC 2637 §2.8`
    pub defined_in: &'static str,
}

/// `Result Code of Outgoing-Call-Reply 4 (Busy, RFC 2637 §2.8)`
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, name, number, defined_in } = self;
        write!(f, "{field} {number} ({name}, {defined_in})")
    }
}

impl Code {
    /// The number in the data of a Terminate-Request, as Windows sends it
    fn of_windows(RasCode(number): RasCode) -> Self {
        let name = RasCode(number).meaning();
        code("Data of Terminate-Request", name, number, "RFC 1661 §5.5")
    }
}

impl Failure {
    /// Returns the codes that the peer sent, the most telling one first; empty if it sent none
    pub fn codes(&self) -> Vec<Code> {
        match self {
            Self::Control(failure) => control_codes(failure),
            Self::Link(failure) => link_codes(failure),
            Self::GreBlocked { after, .. } if after.is_zero() => {
                let name = "Protocol Unreachable";
                vec![code("Code of ICMP Destination Unreachable", name, 2_u8, "RFC 792")]
            }
            _ => Vec::new(),
        }
    }

    /// Returns the codes that the peer sent; the error code of Windows that it said goes first
    pub fn codes_with(&self, ras_code: Option<RasCode>) -> Vec<Code> {
        let Some(said) = ras_code.map(Code::of_windows) else { return self.codes() };
        // a login that was refused by it had no CHAP Failure
        let others = self.codes().into_iter().filter(|code| code.number != said.number);
        std::iter::once(said.clone()).chain(others).collect()
    }

    /// The most telling of [`Self::codes`]
    pub fn code(&self) -> Option<Code> {
        self.codes().into_iter().next()
    }
}

fn control_codes(failure: &ControlFailure) -> Vec<Code> {
    match failure {
        ControlFailure::VersionUnsupported { version } => {
            let field = "Protocol Version of Start-Control-Connection-Reply";
            vec![code(field, "Unknown", *version, "RFC 2637 §2.2")]
        }
        ControlFailure::ControlRefused { result, error } => {
            let message = &START_REPLY;
            message.codes(result.name(), (*result).into(), *error, 0)
        }
        ControlFailure::CallRefused { result, error, cause } => {
            CALL_REPLY.codes(result.name(), (*result).into(), *error, *cause)
        }
        ControlFailure::CallDisconnected { result, error, cause } => {
            DISCONNECT_NOTIFY.codes(result.name(), (*result).into(), *error, *cause)
        }
        ControlFailure::StoppedByPeer { reason } => {
            let field = "Reason of Stop-Control-Connection-Request";
            vec![code(field, reason.name(), u8::from(*reason), "RFC 2637 §2.3")]
        }
        _ => Vec::new(),
    }
}

/// The names of the fields of a control message that says how something went
struct Message {
    result: &'static str,
    error: &'static str,
    cause: &'static str,
    section: &'static str,
}

const START_REPLY: Message = Message {
    result: "Result Code of Start-Control-Connection-Reply",
    error: "Error Code of Start-Control-Connection-Reply",
    cause: "",
    section: "RFC 2637 §2.2",
};

const CALL_REPLY: Message = Message {
    result: "Result Code of Outgoing-Call-Reply",
    error: "Error Code of Outgoing-Call-Reply",
    cause: "Cause Code of Outgoing-Call-Reply",
    section: "RFC 2637 §2.8",
};

const DISCONNECT_NOTIFY: Message = Message {
    result: "Result Code of Call-Disconnect-Notify",
    error: "Error Code of Call-Disconnect-Notify",
    cause: "Cause Code of Call-Disconnect-Notify",
    section: "RFC 2637 §2.13",
};

impl Message {
    /// The error code says more than a result that is "general error" (RFC 2637 §2.16)
    fn codes(&self, name: &'static str, result: u8, error: GeneralError, cause: u16) -> Vec<Code> {
        let mut codes = vec![code(self.result, name, result, self.section)];
        if error != GeneralError::None {
            let error = code(self.error, error.name(), u8::from(error), "RFC 2637 §2.16");
            let most_telling = usize::from(result != GENERAL_ERROR);
            codes.insert(most_telling, error);
        }
        if cause != 0 {
            codes.push(code(self.cause, "a cause of Q.931", cause, self.section));
        }
        codes
    }
}

/// Of every result code: the error code says more
const GENERAL_ERROR: u8 = 2;

fn link_codes(failure: &LinkFailure) -> Vec<Code> {
    match failure {
        LinkFailure::AuthFailed { code: 0, .. } => Vec::new(),
        LinkFailure::AuthFailed { code: number, .. } => {
            vec![code("E= of CHAP Failure", login_code(*number), *number, "RFC 2759 §6")]
        }
        LinkFailure::AuthProtocolRefused { offered: Some(offered) }
        | LinkFailure::AuthProtocolWithdrawn { offered }
        | LinkFailure::AuthProtocolWithoutKeys { offered } => {
            let field = "Authentication-Protocol of LCP Configure-Request";
            vec![code(field, offered.to_string(), offered.number(), "RFC 1661 §6.2")]
        }
        LinkFailure::EncryptionUnavailable { offered: Some(offered) }
        | LinkFailure::EncryptionDemanded { offered: Some(offered) } => {
            let field = "Supported Bits of CCP Configure-Request";
            vec![code(field, offered.to_string(), offered.0, "RFC 3078 §2.1")]
        }
        LinkFailure::WrongKey(WrongKey::RandomProtocols(protocols)) => {
            let rejected =
                |number: &u16| code(REJECTED_PROTOCOL, "Unknown", *number, PROTOCOL_REJECT);
            protocols.iter().map(rejected).collect()
        }
        LinkFailure::RejectedProtocol { protocol } => {
            vec![code(REJECTED_PROTOCOL, protocol.to_string(), protocol.number(), PROTOCOL_REJECT)]
        }
        LinkFailure::RejectedCode { code: number, .. } => {
            let name = format!("{:?}", packet::Code::from(*number));
            vec![code("Rejected-Packet of Code-Reject", name, *number, "RFC 1661 §5.6")]
        }
        LinkFailure::TerminatedByPeer { .. } => {
            vec![code("Code", "Terminate-Request", 5_u8, "RFC 1661 §5.5")]
        }
        _ => Vec::new(),
    }
}

const REJECTED_PROTOCOL: &str = "Rejected-Protocol of LCP Protocol-Reject";
const PROTOCOL_REJECT: &str = "RFC 1661 §5.7";

/// The names of RFC 2759 §6
const fn login_code(code: u32) -> &'static str {
    match code {
        646 => "ERROR_RESTRICTED_LOGON_HOURS",
        647 => "ERROR_ACCT_DISABLED",
        648 => "ERROR_PASSWD_EXPIRED",
        649 => "ERROR_NO_DIALIN_PERMISSION",
        691 => "ERROR_AUTHENTICATION_FAILURE",
        709 => "ERROR_CHANGING_PASSWORD",
        _ => "Unknown",
    }
}

fn code(
    field: &'static str,
    name: impl Into<Cow<'static, str>>,
    number: impl Into<u32>,
    defined_in: &'static str,
) -> Code {
    Code { field, name: name.into(), number: number.into(), defined_in }
}
