//! Quirks of peers: values that an owner of a link may learn only on the way

/// Values that one kind of peer needs: each field replaces the field of the configuration with its name
///
/// `None` leaves the field as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// See [`AuthenticationPolicy::accept_first_offer`](crate::AuthenticationPolicy::accept_first_offer)
    pub accept_first_offer: Option<bool>,
}

impl Quirks {
    /// Quirks in which no field is set
    pub const NONE: Self = Self { accept_first_offer: None };

    /// Returns these quirks; a field that is not set here is taken from `others`
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self { accept_first_offer: self.accept_first_offer.or(others.accept_first_offer) }
    }
}
