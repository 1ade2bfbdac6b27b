//! KNXnet/IP for relays (ISO 22510, KNX Standard 03/08): frames, endpoints, and a relay as a state machine
//!
//! A frame of KNXnet/IP has addresses and ports inside of it ("HPAI", Host Protocol Address Information). Behind a
//! forward they are wrong on both sides. [`Frame`] reads a datagram as far as a relay has to understand it, and writes it
//! again with other endpoints. [`Relay`](relay::Relay) stands between clients and one device.
//!
//! | file | content |
//! |---|---|
//! | `service` | the services, and where each has its HPAIs |
//! | `hpai` | the address and the port of an endpoint |
//! | `frame` | a frame as a relay sees it |
//! | `describe` | a question to a device that opens no connection |
//! | `error` | the reasons why octets are no frame |
//! | `relay` | the relay |
//!
//! ```
//! use pptp_knxnetip::{Frame, Hpai, Message, Service};
//!
//! // CONNECTIONSTATE_REQUEST of channel 21 by a client that answers at 192.168.0.7:50000
//! let octets = [6, 0x10, 0x02, 0x07, 0, 16, 21, 0, 8, 1, 192, 168, 0, 7, 0xC3, 0x50];
//! let frame = Frame::parse(&octets)?;
//! assert_eq!(frame.service(), Service::CONNECTIONSTATE_REQUEST);
//! assert!(matches!(frame.message(), Message::ChannelRequest { channel: 21, .. }));
//! let zero = frame.with_endpoints(|_| Hpai::ROUTE_BACK);
//! assert_eq!(zero[6..], [21, 0, 8, 1, 0, 0, 0, 0, 0, 0]);
//! # Ok::<_, pptp_knxnetip::ParseError>(())
//! ```
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod describe;
mod error;
mod frame;
mod hpai;
pub mod relay;
mod service;

pub use self::{
    describe::{description_request, device_name},
    error::ParseError,
    frame::{Frame, Message, channel_request, channel_response},
    hpai::{Hpai, Protocol},
    service::Service,
};
