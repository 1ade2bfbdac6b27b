//! The 15 control messages (RFC 2637 section 2)
//!
//! | module | content |
//! |---|---|
//! | `layout` | the fields of each message, in wire order |
//! | `prefix` | the header of every message, and [`ParseError`] |
//! | `code` | control types, results, errors and reasons |
//! | `text` | [`Text`]: text fields of a fixed size |
//! | `tests` | golden layouts, round trips, and every length of every type |

mod code;
mod layout;
mod prefix;
#[cfg(test)]
pub(crate) mod tests;
mod text;

use self::layout::Layout;
pub(crate) use self::prefix::{HEADER_LEN, Prefix};
pub use self::{
    code::{
        ControlType, DisconnectResult, GeneralError, IncomingCallResult, OutgoingCallResult,
        ReplyResult, StartResult, StopReason,
    },
    layout::{
        CallClearRequest, CallDisconnectNotify, EchoReply, EchoRequest, IncomingCallConnected,
        IncomingCallReply, IncomingCallRequest, OutgoingCallReply, OutgoingCallRequest,
        SetLinkInfo, StartControlConnectionReply, StartControlConnectionRequest,
        StopControlConnectionReply, StopControlConnectionRequest, WanErrorNotify,
    },
    prefix::ParseError,
    text::Text,
};

/// Version 1.0 of PPTP, the only one there is
pub const PROTOCOL_VERSION: u16 = 0x0100;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// A control message (RFC 2637 section 2)
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message {
            $($(#[$doc])* $name($name),)*
        }

        impl Message {
            /// Reads exactly one message
            ///
            /// Reserved fields are ignored, unknown codes kept as they are.
            pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
                let control_type = prefix::parse_exact(octets)?;
                let body = octets.get(HEADER_LEN..).unwrap_or_default();
                match control_type {
                    $(ControlType::$name => {
                        $name::parse(body).map(Self::$name).ok_or(ParseError::Truncated)
                    })*
                    ControlType::Unknown(code) => Err(ParseError::UnknownType(code)),
                }
            }

            /// Appends the octets of this message
            pub fn emit(&self, out: &mut Vec<u8>) {
                prefix::emit(self.control_type(), out);
                match self {
                    $(Self::$name(message) => message.emit(out),)*
                }
            }

            /// The type, one of the 15
            pub const fn control_type(&self) -> ControlType {
                match self {
                    $(Self::$name(_) => ControlType::$name,)*
                }
            }
        }

        impl ControlType {
            /// Octets of a message of this type, or `None` if the type is unknown
            pub const fn message_len(self) -> Option<usize> {
                match self {
                    $(Self::$name => Some($name::LEN),)*
                    Self::Unknown(_) => None,
                }
            }
        }

        $(impl From<$name> for Message {
            fn from(message: $name) -> Self {
                Self::$name(message)
            }
        })*
    };
}

messages! {
    /// Start-Control-Connection-Request (RFC 2637 §2.1)
    StartControlConnectionRequest;
    /// Start-Control-Connection-Reply (RFC 2637 §2.2)
    StartControlConnectionReply;
    /// Stop-Control-Connection-Request (RFC 2637 §2.3)
    StopControlConnectionRequest;
    /// Stop-Control-Connection-Reply (RFC 2637 §2.4)
    StopControlConnectionReply;
    /// Echo-Request (RFC 2637 §2.5)
    EchoRequest;
    /// Echo-Reply (RFC 2637 §2.6)
    EchoReply;
    /// Outgoing-Call-Request (RFC 2637 §2.7)
    OutgoingCallRequest;
    /// Outgoing-Call-Reply (RFC 2637 §2.8)
    OutgoingCallReply;
    /// Incoming-Call-Request (RFC 2637 §2.9)
    IncomingCallRequest;
    /// Incoming-Call-Reply (RFC 2637 §2.10)
    IncomingCallReply;
    /// Incoming-Call-Connected (RFC 2637 §2.11)
    IncomingCallConnected;
    /// Call-Clear-Request (RFC 2637 §2.12)
    CallClearRequest;
    /// Call-Disconnect-Notify (RFC 2637 §2.13)
    CallDisconnectNotify;
    /// WAN-Error-Notify (RFC 2637 §2.14)
    WanErrorNotify;
    /// Set-Link-Info (RFC 2637 §2.15)
    SetLinkInfo;
}
