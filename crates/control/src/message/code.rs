//! The codes of RFC 2637: control types, results, errors, reasons

macro_rules! code {
    ($(#[$doc:meta])* $name:ident: $int:ty {
        $($(#[$item:meta])* $variant:ident = $code:literal $text:literal,)*
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
        StartControlConnectionRequest = 1 "Start-Control-Connection-Request",
        /// SCCRP
        StartControlConnectionReply = 2 "Start-Control-Connection-Reply",
        /// Asks for the end of the control connection
        StopControlConnectionRequest = 3 "Stop-Control-Connection-Request",
        /// Agrees to it
        StopControlConnectionReply = 4 "Stop-Control-Connection-Reply",
        /// Asks for a sign of life
        EchoRequest = 5 "Echo-Request",
        /// Gives it
        EchoReply = 6 "Echo-Reply",
        /// OCRQ
        OutgoingCallRequest = 7 "Outgoing-Call-Request",
        /// OCRP
        OutgoingCallReply = 8 "Outgoing-Call-Reply",
        /// ICRQ
        IncomingCallRequest = 9 "Incoming-Call-Request",
        /// ICRP
        IncomingCallReply = 10 "Incoming-Call-Reply",
        /// ICCN
        IncomingCallConnected = 11 "Incoming-Call-Connected",
        /// The PNS asks for the end of a call
        CallClearRequest = 12 "Call-Clear-Request",
        /// CDN
        CallDisconnectNotify = 13 "Call-Disconnect-Notify",
        /// Counts of line errors
        WanErrorNotify = 14 "WAN-Error-Notify",
        /// SLI
        SetLinkInfo = 15 "Set-Link-Info",
    }
}

code! {
    /// Result code of Start-Control-Connection-Reply (RFC 2637 §2.2)
    StartResult: u8 {
        /// The control connection is established
        Successful = 1 "successful",
        /// The error code says more
        GeneralError = 2 "general error",
        /// The command channel exists already
        ChannelExists = 3 "command channel already exists",
        /// The requester may not open a command channel
        NotAuthorized = 4 "requester not authorized",
        /// The version of the protocol is not supported
        VersionUnsupported = 5 "protocol version not supported",
    }
}

impl StartResult {
    /// Whether the control connection is established
    ///
    /// Some ADSL modems say so with a 0, which is no code of the RFC.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Successful | Self::Unknown(0))
    }
}

code! {
    /// General error code, for where the result is a general error (RFC 2637 §2.16)
    GeneralError: u8 {
        /// No general error
        None = 0 "no error",
        /// No control connection exists yet
        NotConnected = 1 "not connected",
        /// Length is wrong or the magic cookie is incorrect
        BadFormat = 2 "bad format",
        /// A field was out of range or a reserved one not zero
        BadValue = 3 "bad value",
        /// Resources do not suffice
        NoResource = 4 "no resource",
        /// The Call ID is invalid in this context
        BadCallId = 5 "bad call id",
        /// A generic vendor-specific error in the PAC
        PacError = 6 "pac error",
    }
}

code! {
    /// Reason of Stop-Control-Connection-Request (RFC 2637 §2.3)
    StopReason: u8 {
        /// No particular one
        None = 1 "general request",
        /// The peer's version of the protocol is not supported
        StopProtocol = 2 "protocol version not supported",
        /// The requester is being shut down
        StopLocalShutdown = 3 "shutting down",
    }
}

code! {
    /// Result code of Stop-Control-Connection-Reply and Echo-Reply (RFC 2637 §2.4, §2.6)
    ReplyResult: u8 {
        /// As asked
        Ok = 1 "ok",
        /// The error code says more
        GeneralError = 2 "general error",
    }
}

code! {
    /// Result code of Outgoing-Call-Reply (RFC 2637 §2.8)
    OutgoingCallResult: u8 {
        /// The call is established
        Connected = 1 "connected",
        /// The error code says more
        GeneralError = 2 "general error",
        /// No carrier was detected
        NoCarrier = 3 "no carrier",
        /// The line is busy
        Busy = 4 "busy",
        /// There is no dial tone
        NoDialTone = 5 "no dial tone",
        /// The time allotted to the call by the PAC is over
        TimeOut = 6 "time-out",
        /// Outgoing calls are administratively prohibited
        DoNotAccept = 7 "administratively prohibited",
    }
}

code! {
    /// Result code of Incoming-Call-Reply (RFC 2637 §2.10)
    IncomingCallResult: u8 {
        /// The PAC should answer the call
        Connected = 1 "connected",
        /// The error code says more
        GeneralError = 2 "general error",
        /// The PAC should not accept the call
        DoNotAccept = 3 "not accepted",
    }
}

code! {
    /// Result code of Call-Disconnect-Notify (RFC 2637 §2.13)
    DisconnectResult: u8 {
        /// The carrier was lost
        LostCarrier = 1 "lost carrier",
        /// The error code says more
        GeneralError = 2 "general error",
        /// An administrator wants it so
        AdminShutdown = 3 "administrative shutdown",
        /// A Call-Clear-Request was received
        Request = 4 "as requested",
    }
}
