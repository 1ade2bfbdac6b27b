//! The meaning of a link's events to the bench

use pptp_ppp::{Encryption, Event, Negotiated, Question};

use super::setting::Setting;

/// A question to the owner of the link
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    NewPassword,
    OtherCredentials,
}

/// The meaning of an event
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    Up(Option<Encryption>),
    Ask(Asked),
    Ended,
    Other,
}

impl Told {
    /// Checks an event against the setting, and tells what it means
    pub(super) fn of(event: Event, setting: &Setting) -> Self {
        match event {
            Event::Up(negotiated) => {
                let Negotiated { authentication, encryption, mtu, .. } = negotiated;
                assert!(setting.allows(authentication), "{authentication:?} was not allowed");
                let is_enough = encryption.is_none_or(|it| setting.is_enough(it));
                assert!(is_enough, "{encryption:?} is not enough");
                assert!(mtu <= 1500, "an MTU of {mtu}");
                Self::Up(encryption)
            }
            Event::Ask(Question::NewPassword { .. }) => Self::Ask(Asked::NewPassword),
            Event::Ask(_) => Self::Ask(Asked::OtherCredentials),
            Event::Closed | Event::Down { .. } => Self::Ended,
            _ => Self::Other,
        }
    }
}
