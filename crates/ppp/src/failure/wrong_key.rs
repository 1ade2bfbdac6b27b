//! The reason of a link that ended because its MPPE keys differ

use std::fmt;

/// The signs that the two ends have different MPPE keys
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrongKey {
    /// The peer rejected protocols that were never sent, these among them
    RandomProtocols([u16; Self::PROTOCOLS]),
    /// No packet of the peer could be opened
    NothingOpens {
        /// Packets that came
        packets: u64,
    },
}

impl WrongKey {
    /// Rejected protocols that show it; one or two may come of a server without IPV6CP or of damage
    pub(crate) const PROTOCOLS: usize = 3;
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RandomProtocols([first, second, third]) => write!(
                f,
                "the peer rejected the protocols {first:04x}, {second:04x} and {third:04x}, which \
                 nobody sent"
            ),
            Self::NothingOpens { packets } => {
                write!(f, "none of the first {packets} packets could be opened")
            }
        }
    }
}
