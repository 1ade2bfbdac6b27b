//! Kinds of servers as data: how each is recognized, and the values that it needs
//!
//! A new kind is a row of [`Recognition::KNOWN`], and a line of the test below.

use std::{borrow::Cow, ops::RangeInclusive, sync::Arc};

use pptp_control::{Peer, Quirks as ControlQuirks, Recognized, Recognizer};
use pptp_ppp::Quirks as LinkQuirks;

/// Values that one kind of server needs and the RFCs do not ask for
///
/// Some servers look at the Start-Control-Connection-Request already, so that their quirks have to be
/// known before they are dialled; others only at what follows, for which the
/// Start-Control-Connection-Reply tells them in time: see [`Recognition`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Those of the control connection
    pub control: ControlQuirks,
    /// Those of PPP
    pub link: LinkQuirks,
}

impl Quirks {
    /// Quirks in which no field is set
    pub const NONE: Self = Self { control: ControlQuirks::NONE, link: LinkQuirks::NONE };

    /// Orckit's ATUR3 ADSL modem, which takes nothing but its own relay's messages
    pub const ORCKIT: Self = Self { control: ControlQuirks::ORCKIT, ..Self::NONE };

    /// pptpd: its pppd, asked for an authentication that it does not have, asks for none any more and
    /// hangs up
    pub const PPTPD: Self =
        Self { link: LinkQuirks { accept_first_offer: Some(true) }, ..Self::NONE };

    /// A Set-Link-Info after the call is connected, as Windows sends it
    pub const SET_LINK_INFO: Self = Self { control: ControlQuirks::SET_LINK_INFO, ..Self::NONE };

    /// A phone number in the call, as the Dutch Mxstream wants it
    pub fn phone_number(number: impl Into<Cow<'static, str>>) -> Self {
        ControlQuirks::phone_number(number).into()
    }

    /// A client host name, by which Cisco chooses the VPDN group
    pub fn client_host_name(name: impl Into<Cow<'static, str>>) -> Self {
        ControlQuirks::client_host_name(name).into()
    }

    /// Returns true if no field is set
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Returns these quirks; a field that is not set here is taken from `others`
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self { control: self.control.or(others.control), link: self.link.or(others.link) }
    }
}

impl From<ControlQuirks> for Quirks {
    fn from(control: ControlQuirks) -> Self {
        Self { control, ..Self::NONE }
    }
}

impl From<LinkQuirks> for Quirks {
    fn from(link: LinkQuirks) -> Self {
        Self { link, ..Self::NONE }
    }
}

/// A rule that recognizes a kind of server by its Start-Control-Connection-Reply (RFC 2637 §2.2),
/// and the quirks of that kind
///
/// A server is of the kind if every field that is set fits. A rule with no field set fits no
/// server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognition {
    /// The kind's name, for logs and events
    pub name: Cow<'static, str>,
    /// The pattern of its vendor string
    pub vendor: Option<Pattern>,
    /// The pattern of its host name
    pub host_name: Option<Pattern>,
    /// Its firmware revisions
    pub firmware: Option<RangeInclusive<u16>>,
    /// Its quirks
    pub quirks: Quirks,
}

impl Recognition {
    /// The kinds of servers that are known without being told
    pub const KNOWN: &[Self] = &[
        Self {
            name: Cow::Borrowed("Orckit"),
            vendor: Some(Pattern::Contains(Cow::Borrowed("orckit"))),
            host_name: None,
            firmware: None,
            quirks: Quirks::ORCKIT,
        },
        Self {
            name: Cow::Borrowed("pptpd"),
            vendor: Some(Pattern::Is(Cow::Borrowed("linux"))),
            host_name: None,
            firmware: None,
            quirks: Quirks::PPTPD,
        },
    ];

    /// Returns true if `peer` is of this kind
    pub fn fits(&self, peer: &Peer) -> bool {
        let text = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().map(|pattern| pattern.fits(text))
        };
        let firmware = self.firmware.as_ref().map(|range| range.contains(&peer.firmware));
        let criteria =
            [text(&self.vendor, &peer.vendor), text(&self.host_name, &peer.host_name), firmware];
        criteria.iter().any(Option::is_some) && criteria.iter().all(|fits| *fits != Some(false))
    }
}

/// A pattern for a text; ASCII letters are compared without regard to case
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The text is equal to this
    Is(Cow<'static, str>),
    /// The text contains this
    Contains(Cow<'static, str>),
}

impl Pattern {
    /// Returns true if `text` fits the pattern
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Is(whole) => text.eq_ignore_ascii_case(whole),
            Self::Contains(part) => text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()),
        }
    }
}

/// The quirks that a tunnel was given and the rules to learn others, until the server has told what it is
#[derive(Debug)]
pub(crate) struct Kinds {
    named: LinkQuirks,
    recognitions: Arc<[Recognition]>,
}

impl Kinds {
    pub(crate) fn new(named: LinkQuirks, recognitions: Vec<Recognition>) -> Self {
        Self { named, recognitions: recognitions.into() }
    }

    /// Returns the same rules, as far as the control connection has to know them
    pub(crate) fn recognizer(&self) -> Recognizer {
        let recognitions = Arc::clone(&self.recognitions);
        Recognizer::new(move |peer| {
            let kind = recognitions.iter().find(|it| it.fits(peer))?;
            Some(Recognized { name: kind.name.clone(), quirks: kind.quirks.control.clone() })
        })
    }

    /// Returns the quirks of this server's PPP: those that were named, then those of each kind that fits
    ///
    /// A rule of a user's own that also fits pptpd, for its control connection, does not hide what its PPP needs.
    pub(crate) fn of_link(&self, peer: &Peer) -> LinkQuirks {
        let kinds = self.recognitions.iter().filter(|it| it.fits(peer));
        kinds.fold(self.named, |quirks, kind| quirks.or(kind.quirks.link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(vendor: &str, host_name: &str, firmware: u16) -> Peer {
        Peer { vendor: vendor.into(), host_name: host_name.into(), firmware, ..Peer::default() }
    }

    #[test]
    fn a_kind_is_met_if_all_that_is_told_fits() {
        let recognition = Recognition {
            name: "kind".into(),
            vendor: Some(Pattern::Is("Vendor".into())),
            host_name: Some(Pattern::Contains("dsl".into())),
            firmware: Some(2..=4),
            quirks: Quirks::SET_LINK_INFO,
        };
        assert!(recognition.fits(&peer("VENDOR", "my-DSL-box", 4)));
        for other in
            [peer("Vendor 2", "my-dsl-box", 4), peer("Vendor", "box", 4), peer("Vendor", "dsl", 5)]
        {
            assert!(!recognition.fits(&other), "{other:?}");
        }
        let anybody = Recognition { vendor: None, host_name: None, firmware: None, ..recognition };
        assert!(!anybody.fits(&peer("Vendor", "dsl", 3)), "nothing to know it by");
    }

    #[test]
    fn the_known_kinds() {
        let known = |vendor: &str| {
            let peer = peer(vendor, "", 0);
            Recognition::KNOWN.iter().find(|it| it.fits(&peer)).map(|it| it.name.as_ref())
        };
        assert_eq!(known("ORCKIT Communications"), Some("Orckit"));
        assert_eq!(known("linux"), Some("pptpd"));
        for vendor in ["Microsoft", "MikroTik", "cananian", "accel-ppp", "linux box", ""] {
            assert_eq!(known(vendor), None, "{vendor}");
        }
    }

    #[test]
    fn named_quirks_come_before_those_of_the_kind_in_both_parts() {
        let named = Quirks {
            link: LinkQuirks { accept_first_offer: Some(false) },
            ..Quirks::client_host_name("mine")
        };
        let both = named.or(Quirks::ORCKIT).or(Quirks::PPTPD);
        assert_eq!(both.control.host_name.as_deref(), Some("mine"));
        assert_eq!(both.control.vendor, Quirks::ORCKIT.control.vendor);
        assert_eq!(both.link.accept_first_offer, Some(false));
        assert!(Quirks::NONE.is_none() && !both.is_none() && !Quirks::PPTPD.is_none());
    }

    #[test]
    fn the_kind_is_asked_for_what_was_not_named() {
        let (pptpd, other) = (peer("linux", "", 1), peer("Microsoft", "", 1));
        for (named, of_pptpd, of_others) in
            [(None, Some(true), None), (Some(false), Some(false), Some(false))]
        {
            let named = LinkQuirks { accept_first_offer: named };
            let kinds = Kinds::new(named, Recognition::KNOWN.to_vec());
            assert_eq!(kinds.of_link(&pptpd).accept_first_offer, of_pptpd);
            assert_eq!(kinds.of_link(&other).accept_first_offer, of_others);
        }
    }
}
