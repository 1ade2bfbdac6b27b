//! The quirks of a server that a tunnel remembers

use pptp_tunnel::{Quirks, Recognition};

/// The quirks of a server; those of a kind that is built in take no memory, since pptpd is one
#[derive(Debug, Clone)]
pub(crate) enum KnownQuirks {
    /// Of a row of [`Recognition::KNOWN`]
    BuiltIn(&'static Quirks),
    Other(Box<Quirks>),
}

impl KnownQuirks {
    pub(crate) const fn get(&self) -> &Quirks {
        match self {
            Self::BuiltIn(quirks) => quirks,
            Self::Other(quirks) => quirks,
        }
    }
}

impl From<Quirks> for KnownQuirks {
    fn from(quirks: Quirks) -> Self {
        let mut built_in = Recognition::KNOWN.iter().map(|kind| &kind.quirks);
        let known = built_in.find(|it| **it == quirks);
        known.map_or_else(|| Self::Other(Box::new(quirks)), Self::BuiltIn)
    }
}
