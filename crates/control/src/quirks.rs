//! Quirks of servers as data: values that some servers need and the RFC does not ask for
//!
//! The owner of the control connection knows the quirks of each kind of server: see [`Recognizer`].

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{Config, Peer};

/// Values that one kind of server needs: each field replaces the field of [`Config`] with its name
///
/// `None` leaves the field as it is. Some servers look at the Start-Control-Connection-Request
/// already, so that their quirks have to be known before they are dialled; others only at what
/// follows, for which the Start-Control-Connection-Reply tells them in time: see [`Recognizer`].
///
/// Tolerance for a server's own messages needs no quirk. Always accepted are a
/// Start-Control-Connection-Reply with result 0 (Alcatel's modems), capabilities of 0 (pptpd), and
/// fields that are not filled up with zeros (Windows 95).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Host name of the Start-Control-Connection-Request (RFC 2637 §2.1), cut at 64 octets
    pub host_name: Option<Cow<'static, str>>,
    /// Vendor string, cut at 64 octets
    pub vendor: Option<Cow<'static, str>>,
    /// Firmware revision
    pub firmware: Option<u16>,
    /// Framing capabilities: 1 asynchronous, 2 synchronous
    pub framing_capabilities: Option<u32>,
    /// Bearer capabilities: 1 analog, 2 digital
    pub bearer_capabilities: Option<u32>,
    /// Maximum channels
    pub max_channels: Option<u16>,
    /// Bearer type of the Outgoing-Call-Request (RFC 2637 §2.7): 1 analog, 2 digital, 3 either
    pub bearer_type: Option<u32>,
    /// Framing type: 1 asynchronous, 2 synchronous, 3 either
    pub framing_type: Option<u32>,
    /// Phone number, cut at 64 octets
    pub phone_number: Option<Cow<'static, str>>,
    /// Subaddress, cut at 64 octets
    pub subaddress: Option<Cow<'static, str>>,
    /// True if Call ID and Call Serial Number are 0, so that the server's GRE carries 0 too
    pub zero_call_id: Option<bool>,
    /// True if a Set-Link-Info with both ACCMs `FFFFFFFF` is sent after the Outgoing-Call-Reply
    /// (RFC 2637 §2.15), as Windows does
    pub send_link_info: Option<bool>,
}

impl Quirks {
    /// Quirks in which no field is set
    pub const NONE: Self = Self {
        host_name: None,
        vendor: None,
        firmware: None,
        framing_capabilities: None,
        bearer_capabilities: None,
        max_channels: None,
        bearer_type: None,
        framing_type: None,
        phone_number: None,
        subaddress: None,
        zero_call_id: None,
        send_link_info: None,
    };

    /// Orckit's ATUR3 ADSL modem, which accepts only the messages of its own relay
    pub const ORCKIT: Self = Self {
        host_name: Some(Cow::Borrowed("RELAY_PPP1")),
        vendor: Some(Cow::Borrowed("MS Win NT")),
        firmware: Some(0x6021),
        framing_capabilities: Some(1),
        bearer_capabilities: Some(1),
        max_channels: Some(0),
        bearer_type: Some(2),
        framing_type: Some(3),
        phone_number: Some(Cow::Borrowed("RELAY_PPP1")),
        zero_call_id: Some(true),
        send_link_info: Some(true),
        ..Self::NONE
    };

    /// A Set-Link-Info after the call is connected, as Windows sends it
    pub const SET_LINK_INFO: Self = Self { send_link_info: Some(true), ..Self::NONE };

    /// A phone number in the call, as the Dutch Mxstream wants it
    pub fn phone_number(number: impl Into<Cow<'static, str>>) -> Self {
        Self { phone_number: Some(number.into()), ..Self::NONE }
    }

    /// A client host name, by which Cisco chooses the VPDN group
    pub fn client_host_name(name: impl Into<Cow<'static, str>>) -> Self {
        Self { host_name: Some(name.into()), ..Self::NONE }
    }

    /// Returns true if no field is set
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Returns these quirks; a field that is not set here is taken from `others`
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            host_name: self.host_name.or(others.host_name),
            vendor: self.vendor.or(others.vendor),
            firmware: self.firmware.or(others.firmware),
            framing_capabilities: self.framing_capabilities.or(others.framing_capabilities),
            bearer_capabilities: self.bearer_capabilities.or(others.bearer_capabilities),
            max_channels: self.max_channels.or(others.max_channels),
            bearer_type: self.bearer_type.or(others.bearer_type),
            framing_type: self.framing_type.or(others.framing_type),
            phone_number: self.phone_number.or(others.phone_number),
            subaddress: self.subaddress.or(others.subaddress),
            zero_call_id: self.zero_call_id.or(others.zero_call_id),
            send_link_info: self.send_link_info.or(others.send_link_info),
        }
    }

    /// Returns true if a client's Start-Control-Connection-Request has the required values
    #[cfg(feature = "server")]
    pub(crate) fn are_met_by(&self, request: &crate::StartControlConnectionRequest) -> bool {
        meets(self.framing_capabilities, request.framing_capabilities)
            && meets(self.bearer_capabilities, request.bearer_capabilities)
            && meets(self.max_channels, request.max_channels)
            && meets(self.firmware, request.firmware)
            && meets(self.host_name.as_deref(), &request.host_name.to_str_lossy())
            && meets(self.vendor.as_deref(), &request.vendor.to_str_lossy())
    }

    /// Returns true if a client's Outgoing-Call-Request has the required values
    #[cfg(feature = "server")]
    pub(crate) fn are_met_by_call(&self, request: &crate::OutgoingCallRequest) -> bool {
        let is_zero = request.call_id == 0 && request.call_serial_number == 0;
        meets(self.bearer_type, request.bearer_type)
            && meets(self.framing_type, request.framing_type)
            && meets(self.phone_number.as_deref(), &request.phone_number.to_str_lossy())
            && meets(self.subaddress.as_deref(), &request.subaddress.to_str_lossy())
            && meets(self.zero_call_id, is_zero)
    }

    /// Writes these quirks into a configuration
    pub(crate) fn apply(&self, config: &mut Config) {
        replace(&mut config.firmware, self.firmware);
        replace(&mut config.framing_capabilities, self.framing_capabilities);
        replace(&mut config.bearer_capabilities, self.bearer_capabilities);
        replace(&mut config.max_channels, self.max_channels);
        replace(&mut config.bearer_type, self.bearer_type);
        replace(&mut config.framing_type, self.framing_type);
        replace(&mut config.zero_call_id, self.zero_call_id);
        replace(&mut config.send_link_info, self.send_link_info);
        let texts = [
            (&mut config.host_name, &self.host_name),
            (&mut config.vendor, &self.vendor),
            (&mut config.phone_number, &self.phone_number),
            (&mut config.subaddress, &self.subaddress),
        ];
        for (text, quirk) in texts {
            replace(text, quirk.as_deref().map(str::to_owned));
        }
    }
}

/// The knowledge about kinds of servers: asked once, when the Start-Control-Connection-Reply has
/// arrived (RFC 2637 §2.2)
#[derive(Clone)]
pub struct Recognizer(Option<Arc<Recognize>>);

type Recognize = dyn Fn(&Peer) -> Option<Recognized> + Send + Sync;

impl Recognizer {
    /// A recognizer that knows no kind of server
    pub const NONE: Self = Self(None);

    /// A recognizer that asks `recognize`, which has to give the same answer each time
    pub fn new(recognize: impl Fn(&Peer) -> Option<Recognized> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(recognize)))
    }

    /// Returns the kind of server that says this about itself, if it is known
    pub(crate) fn recognize(&self, peer: &Peer) -> Option<Recognized> {
        self.0.as_ref().and_then(|recognize| recognize(peer))
    }
}

impl fmt::Debug for Recognizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Recognizer(..)" } else { "Recognizer(none)" })
    }
}

/// A kind of server that was recognized
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognized {
    /// The kind's name
    pub name: Cow<'static, str>,
    /// Its quirks
    pub quirks: Quirks,
}

#[cfg(feature = "server")]
fn meets<T: PartialEq + Copy>(wanted: Option<T>, said: T) -> bool {
    wanted.is_none_or(|wanted| wanted == said)
}

fn replace<T>(field: &mut T, quirk: Option<T>) {
    if let Some(value) = quirk {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_that_are_named_come_before_recognized_ones() {
        let both = Quirks::client_host_name("mine").or(Quirks::ORCKIT);
        assert_eq!(both.host_name.as_deref(), Some("mine"));
        assert_eq!(both.vendor, Quirks::ORCKIT.vendor);
        assert!(Quirks::NONE.is_none() && !both.is_none());
    }
}
