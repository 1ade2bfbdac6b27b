//! Fields of the 15 messages, in wire order

use nom::{
    IResult, Parser as _,
    bytes::complete::take,
    number::complete::{be_u8, be_u16, be_u32},
};

use super::{
    DisconnectResult, GeneralError, HEADER_LEN, IncomingCallResult, OutgoingCallResult,
    ReplyResult, StartResult, StopReason, Text,
};

/// The wire format of a message's body
pub(super) trait Layout: Sized {
    /// Octets of the message, its header included
    const LEN: usize;

    /// Reads the octets behind the header
    fn parse(body: &[u8]) -> Option<Self>;

    /// Appends the octets behind the header
    fn emit(&self, out: &mut Vec<u8>);
}

/// One field of a message
trait Field: Sized {
    const LEN: usize;

    fn parse(input: &[u8]) -> IResult<&[u8], Self>;

    fn emit(&self, out: &mut Vec<u8>);
}

macro_rules! integer_field {
    ($($int:ty, $parser:ident;)*) => {
        $(impl Field for $int {
            const LEN: usize = size_of::<$int>();

            fn parse(input: &[u8]) -> IResult<&[u8], Self> {
                $parser(input)
            }

            fn emit(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        })*
    };
}

integer_field! {
    u8, be_u8;
    u16, be_u16;
    u32, be_u32;
}

macro_rules! code_field {
    ($($name:ident)*) => {
        $(impl Field for $name {
            const LEN: usize = 1;

            fn parse(input: &[u8]) -> IResult<&[u8], Self> {
                be_u8.map(Self::from).parse(input)
            }

            fn emit(&self, out: &mut Vec<u8>) {
                out.push(u8::from(*self));
            }
        })*
    };
}

code_field! {
    StartResult GeneralError StopReason ReplyResult OutgoingCallResult IncomingCallResult
    DisconnectResult
}

impl<const N: usize> Field for Text<N> {
    const LEN: usize = N;

    fn parse(input: &[u8]) -> IResult<&[u8], Self> {
        take(N).map(Self::from_octets).parse(input)
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.padded());
    }
}

/// Declares messages by their fields in wire order; `reserved n` stands for n octets behind a field
/// that are zero when sent and ignored when received
macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident = $len:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty $(, reserved $pad:literal)?;)*
    })*) => {
        $($(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        const _: () = assert!(
            $len == HEADER_LEN $(+ <$type as Field>::LEN $(+ $pad)?)*,
            "the fields add up to the length that RFC 2637 gives the message"
        );

        impl Layout for $name {
            const LEN: usize = $len;

            fn parse(body: &[u8]) -> Option<Self> {
                fn fields(input: &[u8]) -> IResult<&[u8], $name> {
                    $(let (input, $field) = <$type as Field>::parse(input)?;
                    $(let (input, _) = take($pad as usize)(input)?;)?)*
                    Ok((input, $name { $($field,)* }))
                }
                fields(body).ok().map(|(_, message)| message)
            }

            fn emit(&self, out: &mut Vec<u8>) {
                $(Field::emit(&self.$field, out);
                $(out.extend_from_slice(&[0; $pad]);)?)*
            }
        })*
    };
}

layouts! {
    /// Start-Control-Connection-Request, SCCRQ (RFC 2637 §2.1)
    StartControlConnectionRequest = 156 {
        /// Version of the protocol, major in the high octet
        version: u16, reserved 2;
        /// Framing capabilities: 1 asynchronous, 2 synchronous
        framing_capabilities: u32;
        /// Bearer capabilities: 1 analog, 2 digital
        bearer_capabilities: u32;
        /// Individual PPP sessions that a PAC can support; a PNS says 0
        max_channels: u16;
        /// Firmware revision
        firmware: u16;
        /// Host name
        host_name: Text<64>;
        /// Vendor string
        vendor: Text<64>;
    }

    /// Start-Control-Connection-Reply, SCCRP (RFC 2637 §2.2)
    StartControlConnectionReply = 156 {
        /// Version of the protocol, major in the high octet
        version: u16;
        /// Result code
        result: StartResult;
        /// Error code
        error: GeneralError;
        /// Framing capabilities: 1 asynchronous, 2 synchronous
        framing_capabilities: u32;
        /// Bearer capabilities: 1 analog, 2 digital
        bearer_capabilities: u32;
        /// Individual PPP sessions that the PAC can support
        max_channels: u16;
        /// Firmware revision
        firmware: u16;
        /// Host name
        host_name: Text<64>;
        /// Vendor string
        vendor: Text<64>;
    }

    /// Stop-Control-Connection-Request (RFC 2637 §2.3)
    StopControlConnectionRequest = 16 {
        /// Reason for the end of the control connection
        reason: StopReason, reserved 3;
    }

    /// Stop-Control-Connection-Reply (RFC 2637 §2.4)
    StopControlConnectionReply = 16 {
        /// Result code
        result: ReplyResult;
        /// Error code
        error: GeneralError, reserved 2;
    }

    /// Echo-Request (RFC 2637 §2.5)
    EchoRequest = 16 {
        /// Identifier, which the reply repeats
        identifier: u32;
    }

    /// Echo-Reply (RFC 2637 §2.6)
    EchoReply = 20 {
        /// The identifier of the request
        identifier: u32;
        /// Result code
        result: ReplyResult;
        /// Error code
        error: GeneralError, reserved 2;
    }

    /// Outgoing-Call-Request, OCRQ (RFC 2637 §2.7)
    OutgoingCallRequest = 168 {
        /// The PNS's Call ID, which GRE to the PNS carries
        call_id: u16;
        /// Call serial number, for logs
        call_serial_number: u16;
        /// Least acceptable line speed in bits a second
        minimum_speed: u32;
        /// Highest acceptable line speed in bits a second
        maximum_speed: u32;
        /// Bearer type: 1 analog, 2 digital, 3 either
        bearer_type: u32;
        /// Framing type: 1 asynchronous, 2 synchronous, 3 either
        framing_type: u32;
        /// Packets that the PNS takes without acknowledging
        receive_window: u16;
        /// Processing delay of the PNS for a full window, in 1/10 s
        processing_delay: u16;
        /// Octets of the phone number that count
        phone_number_length: u16, reserved 2;
        /// Phone number
        phone_number: Text<64>;
        /// Subaddress
        subaddress: Text<64>;
    }

    /// Outgoing-Call-Reply, OCRP (RFC 2637 §2.8)
    OutgoingCallReply = 32 {
        /// The PAC's Call ID, which GRE to the PAC carries
        call_id: u16;
        /// The Call ID of the request
        peer_call_id: u16;
        /// Result code
        result: OutgoingCallResult;
        /// Error code
        error: GeneralError;
        /// Cause code
        cause: u16;
        /// Line speed in bits a second
        connect_speed: u32;
        /// Packets that the PAC takes without acknowledging
        receive_window: u16;
        /// Processing delay of the PAC for a full window, in 1/10 s
        processing_delay: u16;
        /// Physical channel, for logs
        physical_channel: u32;
    }

    /// Incoming-Call-Request, ICRQ (RFC 2637 §2.9)
    IncomingCallRequest = 220 {
        /// The PAC's Call ID
        call_id: u16;
        /// Call serial number, for logs
        call_serial_number: u16;
        /// Bearer type: 1 analog, 2 digital
        bearer_type: u32;
        /// Physical channel, for logs
        physical_channel: u32;
        /// Octets of the dialed number that count
        dialed_number_length: u16;
        /// Octets of the dialing number that count
        dialing_number_length: u16;
        /// The number that was dialed
        dialed_number: Text<64>;
        /// The number of the caller
        dialing_number: Text<64>;
        /// Subaddress
        subaddress: Text<64>;
    }

    /// Incoming-Call-Reply, ICRP (RFC 2637 §2.10)
    IncomingCallReply = 24 {
        /// The PNS's Call ID
        call_id: u16;
        /// The Call ID of the request
        peer_call_id: u16;
        /// Result code
        result: IncomingCallResult;
        /// Error code
        error: GeneralError;
        /// Packets that the PNS takes without acknowledging
        receive_window: u16;
        /// Processing delay of the PNS for a full window, in 1/10 s
        transmit_delay: u16, reserved 2;
    }

    /// Incoming-Call-Connected, ICCN (RFC 2637 §2.11)
    IncomingCallConnected = 28 {
        /// The PNS's Call ID
        peer_call_id: u16, reserved 2;
        /// Line speed in bits a second
        connect_speed: u32;
        /// Packets that the PAC takes without acknowledging
        receive_window: u16;
        /// Processing delay of the PAC for a full window, in 1/10 s
        transmit_delay: u16;
        /// Framing type: 1 asynchronous, 2 synchronous
        framing_type: u32;
    }

    /// Call-Clear-Request (RFC 2637 §2.12)
    CallClearRequest = 16 {
        /// The PNS's Call ID
        call_id: u16, reserved 2;
    }

    /// Call-Disconnect-Notify, CDN (RFC 2637 §2.13)
    CallDisconnectNotify = 148 {
        /// The PAC's Call ID; accel-ppp puts the PNS's here
        call_id: u16;
        /// Result code
        result: DisconnectResult;
        /// Error code
        error: GeneralError;
        /// Cause code, as in Q.931
        cause: u16, reserved 2;
        /// Vendor-specific statistics of the call
        call_statistics: Text<128>;
    }

    /// WAN-Error-Notify (RFC 2637 §2.14)
    WanErrorNotify = 40 {
        /// The PNS's Call ID
        peer_call_id: u16, reserved 2;
        /// PPP frames with a wrong checksum
        crc_errors: u32;
        /// Improperly framed PPP packets
        framing_errors: u32;
        /// Overruns of the hardware's buffer
        hardware_overruns: u32;
        /// Overruns of the driver's buffer
        buffer_overruns: u32;
        /// Time-outs
        timeout_errors: u32;
        /// Alignment errors
        alignment_errors: u32;
    }

    /// Set-Link-Info, SLI (RFC 2637 §2.15)
    SetLinkInfo = 24 {
        /// The Call ID of the receiver
        peer_call_id: u16, reserved 2;
        /// ACCM for the octets that the receiver sends
        send_accm: u32;
        /// ACCM for the octets that the receiver gets
        receive_accm: u32;
    }
}
