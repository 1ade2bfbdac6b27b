//! The services of KNXnet/IP, and where each has its HPAIs

use std::fmt;

/// A service of KNXnet/IP, by its code; any code may be met
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(pub u16);

/// Defines the services that have a name here
macro_rules! services {
    ($($(#[doc = $about:literal])+ $name:ident = $code:literal,)+) => {
        impl Service {
            $($(#[doc = $about])+ pub const $name: Self = Self($code);)+

            /// Returns the name of the standard, if this crate knows it
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

services! {
    /// A search for devices
    SEARCH_REQUEST = 0x0201,
    /// Its answer
    SEARCH_RESPONSE = 0x0202,
    /// A question what a device is
    DESCRIPTION_REQUEST = 0x0203,
    /// Its answer
    DESCRIPTION_RESPONSE = 0x0204,
    /// A wish for a connection
    CONNECT_REQUEST = 0x0205,
    /// Its answer
    CONNECT_RESPONSE = 0x0206,
    /// The heartbeat of a connection
    CONNECTIONSTATE_REQUEST = 0x0207,
    /// Its answer
    CONNECTIONSTATE_RESPONSE = 0x0208,
    /// The end of a connection, by either side
    DISCONNECT_REQUEST = 0x0209,
    /// Its answer
    DISCONNECT_RESPONSE = 0x020A,
    /// A search with conditions, which a client may also send to one device
    SEARCH_REQUEST_EXTENDED = 0x020B,
    /// Its answer
    SEARCH_RESPONSE_EXTENDED = 0x020C,
    /// A frame of a management connection
    DEVICE_CONFIGURATION_REQUEST = 0x0310,
    /// Its acknowledgment
    DEVICE_CONFIGURATION_ACK = 0x0311,
    /// A frame of a tunnelling connection
    TUNNELLING_REQUEST = 0x0420,
    /// Its acknowledgment
    TUNNELLING_ACK = 0x0421,
    /// A question about a feature of a tunnelling connection
    TUNNELLING_FEATURE_GET = 0x0422,
    /// Its answer
    TUNNELLING_FEATURE_RESPONSE = 0x0423,
    /// A change of a feature
    TUNNELLING_FEATURE_SET = 0x0424,
    /// A change of a feature, told by the device
    TUNNELLING_FEATURE_INFO = 0x0425,
    /// A telegram for a multicast group
    ROUTING_INDICATION = 0x0530,
    /// A question of remote diagnosis
    REMOTE_DIAGNOSTIC_REQUEST = 0x0740,
    /// Its answer
    REMOTE_DIAGNOSTIC_RESPONSE = 0x0741,
    /// A change of a device's IP configuration, without a login
    REMOTE_BASIC_CONFIGURATION_REQUEST = 0x0742,
    /// A restart or a reset to the state of the factory, without a login
    REMOTE_RESET_REQUEST = 0x0743,
    /// An encrypted frame
    SECURE_WRAPPER = 0x0950,
    /// The begin of a secure session
    SESSION_REQUEST = 0x0951,
    /// Its answer
    SESSION_RESPONSE = 0x0952,
}

impl Service {
    /// Returns the offsets of its HPAIs from the begin of the frame
    pub const fn endpoints(self) -> &'static [usize] {
        match self {
            Self::SEARCH_REQUEST
            | Self::SEARCH_RESPONSE
            | Self::DESCRIPTION_REQUEST
            | Self::SEARCH_REQUEST_EXTENDED
            | Self::SEARCH_RESPONSE_EXTENDED
            | Self::REMOTE_DIAGNOSTIC_REQUEST
            | Self::REMOTE_BASIC_CONFIGURATION_REQUEST
            | Self::SESSION_REQUEST => &[6],
            Self::CONNECT_REQUEST => &[6, 14],
            Self::CONNECT_RESPONSE | Self::CONNECTIONSTATE_REQUEST | Self::DISCONNECT_REQUEST => {
                &[8]
            }
            _ => &[],
        }
    }

    /// Returns true if its frames pass between data endpoints: those of device management and of tunnelling
    pub const fn is_data(self) -> bool {
        matches!(self.0 >> 8, 0x03 | 0x04)
    }

    /// Returns true if it changes a device that asks for no login: its address, a restart, a reset
    pub const fn is_remote_configuration(self) -> bool {
        matches!(self, Self::REMOTE_BASIC_CONFIGURATION_REQUEST | Self::REMOTE_RESET_REQUEST)
    }
}

/// `CONNECT_REQUEST`, or `service 0x0960`
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "service {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
