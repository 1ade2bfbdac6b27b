//! The names of failures, for programs

use crate::failure::{Failure, Rule};

macro_rules! names {
    ($($failure:pat => $name:literal,)*) => {
        impl Failure {
            /// The names of all failures, in the order of the enum
            pub const NAMES: &[&str] = &[$($name,)*];

            /// The failure's name, one word
            pub const fn name(&self) -> &'static str {
                match self {
                    $($failure => $name,)*
                }
            }
        }
    };
}

names! {
    Self::AuthFailed { .. } => "AuthFailed",
    Self::ServerNotAuthentic => "ServerNotAuthentic",
    Self::AuthProtocolRefused { .. } => "AuthProtocolRefused",
    Self::AuthProtocolWithdrawn { .. } => "AuthProtocolWithdrawn",
    Self::AuthProtocolWithoutKeys { .. } => "AuthProtocolWithoutKeys",
    Self::EncryptionUnavailable { .. } => "EncryptionUnavailable",
    Self::EncryptionDemanded { .. } => "EncryptionDemanded",
    Self::EncryptionLost => "EncryptionLost",
    Self::Undecryptable(_) => "Undecryptable",
    Self::WrongKey(_) => "WrongKey",
    Self::NothingPasses(_) => "NothingPasses",
    Self::NoAddress => "NoAddress",
    Self::AddressChanged { .. } => "AddressChanged",
    Self::Loopback => "Loopback",
    Self::EchoTimeout { .. } => "EchoTimeout",
    Self::NegotiationTimeout { .. } => "NegotiationTimeout",
    Self::NoAgreement { .. } => "NoAgreement",
    Self::TerminatedByPeer { .. } => "TerminatedByPeer",
    Self::RejectedProtocol { .. } => "RejectedProtocol",
    Self::RejectedCode { .. } => "RejectedCode",
    Self::PeerMisbehaved(Rule::EndlessRenegotiation) => "EndlessRenegotiation",
}
