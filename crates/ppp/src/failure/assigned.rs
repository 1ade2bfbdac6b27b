//! The values that a server may not change once a link was up

use std::fmt;

/// A value that the server assigns by IPCP
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assigned {
    /// Our inner address
    InnerAddress,
    /// A DNS server
    DnsServer,
}

impl fmt::Display for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InnerAddress => "inner address",
            Self::DnsServer => "DNS server",
        })
    }
}
