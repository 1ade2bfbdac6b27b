//! The codes of RFC 2637: control types, results, errors, reasons

macro_rules! code {
    ($(#[$doc:meta])* $name:ident: $int:ty {
        $($(#[$item:meta])* $variant:ident = $code:literal $name_of:literal $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$item])* $variant,)*
            /// A code that the RFC does not know
            Unknown($int),
        }

        impl From<$int> for $name {
            fn from(code: $int) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    code => Self::Unknown(code),
                }
            }
        }

        impl From<$name> for $int {
            fn from(code: $name) -> Self {
                match code {
                    $($name::$variant => $code,)*
                    $name::Unknown(code) => code,
                }
            }
        }

        impl $name {
            /// The name of the code in the RFC; `Unknown` for a code that the RFC does not know
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name_of,)*
                    Self::Unknown(_) => "Unknown",
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Unknown(code) => write!(f, "unknown code {code}"),
                }
            }
        }
    };
}

code! {
    /// Control message type (RFC 2637 §2)
    ControlType: u16 {
        /// SCCRQ
        StartControlConnectionRequest = 1 "Start-Control-Connection-Request" "Start-Control-Connection-Request",
        /// SCCRP
        StartControlConnectionReply = 2 "Start-Control-Connection-Reply" "Start-Control-Connection-Reply",
        /// Asks for the end of the control connection
        StopControlConnectionRequest = 3 "Stop-Control-Connection-Request" "Stop-Control-Connection-Request",
        /// Agrees to the end of the control connection
        StopControlConnectionReply = 4 "Stop-Control-Connection-Reply" "Stop-Control-Connection-Reply",
        /// Asks for a sign of life
        EchoRequest = 5 "Echo-Request" "Echo-Request",
        /// Answers an Echo-Request
        EchoReply = 6 "Echo-Reply" "Echo-Reply",
        /// OCRQ
        OutgoingCallRequest = 7 "Outgoing-Call-Request" "Outgoing-Call-Request",
        /// OCRP
        OutgoingCallReply = 8 "Outgoing-Call-Reply" "Outgoing-Call-Reply",
        /// ICRQ
        IncomingCallRequest = 9 "Incoming-Call-Request" "Incoming-Call-Request",
        /// ICRP
        IncomingCallReply = 10 "Incoming-Call-Reply" "Incoming-Call-Reply",
        /// ICCN
        IncomingCallConnected = 11 "Incoming-Call-Connected" "Incoming-Call-Connected",
        /// The PNS asks for the end of a call
        CallClearRequest = 12 "Call-Clear-Request" "Call-Clear-Request",
        /// CDN
        CallDisconnectNotify = 13 "Call-Disconnect-Notify" "Call-Disconnect-Notify",
        /// Counts of line errors
        WanErrorNotify = 14 "WAN-Error-Notify" "WAN-Error-Notify",
        /// SLI
        SetLinkInfo = 15 "Set-Link-Info" "Set-Link-Info",
    }
}

code! {
    /// Result code of Start-Control-Connection-Reply (RFC 2637 §2.2)
    StartResult: u8 {
        /// The control connection is established
        Successful = 1 "Successful channel establishment" "successful",
        /// The error code says more
        GeneralError = 2 "General error" "general error",
        /// The command channel exists already
        ChannelExists = 3 "Command channel already exists" "command channel already exists",
        /// The requester may not open a command channel
        NotAuthorized = 4 "Requester is not authorized" "requester not authorized",
        /// The version of the protocol is not supported
        VersionUnsupported = 5 "Protocol version not supported" "protocol version not supported",
    }
}

impl StartResult {
    /// Returns true if the control connection is established
    ///
    /// Some ADSL modems send 0, which is no code of the RFC.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Successful | Self::Unknown(0))
    }
}

code! {
    /// General error code, for where the result is a general error (RFC 2637 §2.16)
    GeneralError: u8 {
        /// There is no general error
        None = 0 "None" "no error",
        /// The control connection does not exist yet
        NotConnected = 1 "Not-Connected" "not connected",
        /// Length is wrong or the magic cookie is incorrect
        BadFormat = 2 "Bad-Format" "bad format",
        /// A field was out of range or a reserved one not zero
        BadValue = 3 "Bad-Value" "bad value",
        /// Resources do not suffice
        NoResource = 4 "No-Resource" "no resource",
        /// The Call ID is invalid in this context
        BadCallId = 5 "Bad-Call ID" "bad call id",
        /// A generic vendor-specific error in the PAC
        PacError = 6 "PAC-Error" "pac error",
    }
}

code! {
    /// Reason of Stop-Control-Connection-Request (RFC 2637 §2.3)
    StopReason: u8 {
        /// General request, without a particular reason
        None = 1 "None" "general request",
        /// The peer's version of the protocol is not supported
        StopProtocol = 2 "Stop-Protocol" "protocol version not supported",
        /// The requester is being shut down
        StopLocalShutdown = 3 "Stop-Local-Shutdown" "shutting down",
    }
}

code! {
    /// Result code of Stop-Control-Connection-Reply and Echo-Reply (RFC 2637 §2.4, §2.6)
    ReplyResult: u8 {
        /// The request was carried out
        Ok = 1 "OK" "ok",
        /// The error code says more
        GeneralError = 2 "General Error" "general error",
    }
}

code! {
    /// Result code of Outgoing-Call-Reply (RFC 2637 §2.8)
    OutgoingCallResult: u8 {
        /// The call is established
        Connected = 1 "Connected" "connected",
        /// The error code says more
        GeneralError = 2 "General Error" "general error",
        /// The carrier was not detected
        NoCarrier = 3 "No Carrier" "no carrier",
        /// The line is busy
        Busy = 4 "Busy" "busy",
        /// There is no dial tone
        NoDialTone = 5 "No Dial Tone" "no dial tone",
        /// The time allotted to the call by the PAC is over
        TimeOut = 6 "Time-out" "time-out",
        /// Outgoing calls are administratively prohibited
        DoNotAccept = 7 "Do Not Accept" "administratively prohibited",
    }
}

code! {
    /// Result code of Incoming-Call-Reply (RFC 2637 §2.10)
    IncomingCallResult: u8 {
        /// The PAC should answer the call
        Connected = 1 "Connect" "connected",
        /// The error code says more
        GeneralError = 2 "General Error" "general error",
        /// The PAC should not accept the call
        DoNotAccept = 3 "Do Not Accept" "not accepted",
    }
}

code! {
    /// Result code of Call-Disconnect-Notify (RFC 2637 §2.13)
    DisconnectResult: u8 {
        /// The carrier was lost
        LostCarrier = 1 "Lost Carrier" "lost carrier",
        /// The error code says more
        GeneralError = 2 "General Error" "general error",
        /// An administrator wants it so
        AdminShutdown = 3 "Admin Shutdown" "administrative shutdown",
        /// A Call-Clear-Request was received
        Request = 4 "Request" "as requested",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes from `$first` on have these names, and no other has any
    macro_rules! check {
        ($code:ident: $int:ty, from $first:literal: $($name:literal),* $(,)?) => {
            let names = [$($name),*];
            for code in 0..=<$int>::from(u8::MAX) {
                let value = $code::from(code);
                let at = usize::from(code).checked_sub($first);
                let name = at.and_then(|at| names.get(at).copied());
                assert_eq!(value.name(), name.unwrap_or("Unknown"));
                assert_eq!(<$int>::from(value), code, "{value} is written as it was read");
                let unknown = format!("unknown code {code}");
                assert_eq!(value.to_string() == unknown, name.is_none(), "{value}");
            }
        };
    }

    #[test]
    fn rfc2637_section_2_names() {
        check!(ControlType: u16, from 1:
            "Start-Control-Connection-Request", "Start-Control-Connection-Reply",
            "Stop-Control-Connection-Request", "Stop-Control-Connection-Reply",
            "Echo-Request", "Echo-Reply", "Outgoing-Call-Request", "Outgoing-Call-Reply",
            "Incoming-Call-Request", "Incoming-Call-Reply", "Incoming-Call-Connected",
            "Call-Clear-Request", "Call-Disconnect-Notify", "WAN-Error-Notify", "Set-Link-Info",
        );
        check!(StartResult: u8, from 1:
            "Successful channel establishment", "General error", "Command channel already exists",
            "Requester is not authorized", "Protocol version not supported",
        );
        check!(GeneralError: u8, from 0:
            "None", "Not-Connected", "Bad-Format", "Bad-Value", "No-Resource", "Bad-Call ID",
            "PAC-Error",
        );
        check!(StopReason: u8, from 1: "None", "Stop-Protocol", "Stop-Local-Shutdown");
        check!(ReplyResult: u8, from 1: "OK", "General Error");
        check!(OutgoingCallResult: u8, from 1:
            "Connected", "General Error", "No Carrier", "Busy", "No Dial Tone", "Time-out",
            "Do Not Accept",
        );
        check!(IncomingCallResult: u8, from 1: "Connect", "General Error", "Do Not Accept");
        check!(DisconnectResult: u8, from 1:
            "Lost Carrier", "General Error", "Admin Shutdown", "Request",
        );
    }
}
