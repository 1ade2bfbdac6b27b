//! A frame as a relay sees it: service, channel, endpoints

use crate::{Hpai, ParseError, Service};

/// A frame of KNXnet/IP in a datagram
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    service: Service,
    message: Message,
    octets: &'a [u8],
}

/// The content of a frame, as far as a relay needs it
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A request or an answer without a channel that has an endpoint: search, description, remote diagnosis, the begin
    /// of a secure session
    Endpoint(Hpai),
    /// A wish for a connection
    ConnectRequest {
        /// The endpoint for answers
        control: Hpai,
        /// The endpoint for telegrams
        data: Hpai,
    },
    /// The answer to it
    ConnectResponse {
        /// The channel of the connection
        channel: u8,
        /// 0 if there is a connection
        status: u8,
        /// The device's endpoint for telegrams; a refusal may have none
        data: Option<Hpai>,
    },
    /// The heartbeat of a connection, or its end
    ChannelRequest {
        /// The channel
        channel: u8,
        /// The endpoint for the answer
        control: Hpai,
    },
    /// The answer to it
    ChannelResponse {
        /// The channel
        channel: u8,
        /// 0 if all is well
        status: u8,
    },
    /// A frame between data endpoints, or its acknowledgment
    Data {
        /// The channel
        channel: u8,
        /// Its number in this direction
        sequence: u8,
    },
    /// Anything else: it has neither channel nor endpoint that a relay can see
    Other,
}

impl<'a> Frame<'a> {
    /// The length of the header
    pub const HEADER: usize = 6;

    /// Reads the frame at the begin of a datagram; octets behind it are left out
    ///
    /// # Errors
    /// The header is none, or the body is not one of its service as far as a relay has to understand it.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let cut_off = |told| ParseError::CutOff { told, is: datagram.len() };
        let Some(&[size, version, high, low, length_high, length_low]) = datagram.first_chunk()
        else {
            return Err(cut_off(Self::HEADER));
        };
        if (size, version) != (6, 0x10) {
            return Err(ParseError::Header(size, version));
        }
        let length = u16::from_be_bytes([length_high, length_low]);
        if usize::from(length) < Self::HEADER {
            return Err(ParseError::Length(length));
        }
        let octets = datagram.get(..length.into()).ok_or_else(|| cut_off(length.into()))?;
        let service = Service(u16::from_be_bytes([high, low]));
        let body = octets.get(Self::HEADER..).unwrap_or_default();
        Ok(Self { service, message: Message::parse(service, body)?, octets })
    }

    /// Returns its service
    pub const fn service(&self) -> Service {
        self.service
    }

    /// Returns its content
    pub const fn message(&self) -> Message {
        self.message
    }

    /// Returns its octets, as they came
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Returns its octets with other endpoints: `replace` gets each HPAI, and gives the one that is written
    ///
    /// A refused `CONNECT_RESPONSE` without a legible endpoint is written without one: 8 octets.
    pub fn with_endpoints(&self, replace: impl Fn(Hpai) -> Hpai) -> Vec<u8> {
        if let Message::ConnectResponse { channel, status, data: None } = self.message {
            return channel_response(self.service, channel, status).to_vec();
        }
        let mut octets = self.octets.to_vec();
        for offset in self.service.endpoints() {
            let place = octets.get_mut(*offset..).and_then(<[u8]>::first_chunk_mut);
            let old = self.octets.get(*offset..).map(|octets| Hpai::parse(octets, self.service));
            if let (Some(place), Some(Ok(old))) = (place, old) {
                *place = replace(old).emit();
            }
        }
        octets
    }
}

impl Message {
    fn parse(service: Service, body: &[u8]) -> Result<Self, ParseError> {
        let short = || ParseError::Short(service);
        let behind = |count| body.get(count..).unwrap_or_default();
        let channel = || body.first_chunk::<2>().ok_or_else(short);
        Ok(match service {
            Service::CONNECT_REQUEST => Self::ConnectRequest {
                control: Hpai::parse(body, service)?,
                data: Hpai::parse(behind(Hpai::LEN), service)?,
            },
            Service::CONNECT_RESPONSE => {
                let [channel, status] = *channel()?;
                let data = match (status, Hpai::parse(behind(2), service)) {
                    (_, Ok(data)) => Some(data),
                    (0, Err(error)) => return Err(error),
                    (_, Err(_)) => None,
                };
                Self::ConnectResponse { channel, status, data }
            }
            Service::CONNECTIONSTATE_REQUEST | Service::DISCONNECT_REQUEST => {
                let [channel, _reserved] = *channel()?;
                Self::ChannelRequest { channel, control: Hpai::parse(behind(2), service)? }
            }
            Service::CONNECTIONSTATE_RESPONSE | Service::DISCONNECT_RESPONSE => {
                let [channel, status] = *channel()?;
                Self::ChannelResponse { channel, status }
            }
            _ if service.is_data() => {
                let [length, channel, sequence, _] = *body.first_chunk().ok_or_else(short)?;
                if length != 4 {
                    return Err(ParseError::ConnectionHeader(service, length));
                }
                Self::Data { channel, sequence }
            }
            _ if service.endpoints().is_empty() => Self::Other,
            _ => Self::Endpoint(Hpai::parse(body, service)?),
        })
    }
}

/// Returns the octets of a `CONNECTIONSTATE_REQUEST` or a `DISCONNECT_REQUEST`
pub const fn channel_request(service: Service, channel: u8, control: Hpai) -> [u8; 16] {
    let [high, low] = service.0.to_be_bytes();
    let [length, protocol, a, b, c, d, port_high, port_low] = control.emit();
    [6, 0x10, high, low, 0, 16, channel, 0, length, protocol, a, b, c, d, port_high, port_low]
}

/// Returns the octets of a `CONNECTIONSTATE_RESPONSE` or a `DISCONNECT_RESPONSE`, or of a refused `CONNECT_RESPONSE`
pub const fn channel_response(service: Service, channel: u8, status: u8) -> [u8; 8] {
    let [high, low] = service.0.to_be_bytes();
    [6, 0x10, high, low, 0, 8, channel, status]
}

#[cfg(test)]
mod tests;
