//! A record, and the octets as which it is stored

use std::{fmt, time::Duration};

use super::{sensitivity::Sensitivity, zero_runs::unsqueeze};

/// The kind of a record
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Octets of the control connection, sent
    ControlSent,
    /// Octets of the control connection, received
    ControlReceived,
    /// A PPP frame without MPPE, sent
    FrameSent,
    /// A PPP frame without MPPE, received
    FrameReceived,
}

impl Kind {
    /// Returns true if it is of a PPP frame, and not of the control connection
    pub const fn is_frame(self) -> bool {
        matches!(self, Self::FrameSent | Self::FrameReceived)
    }

    /// Returns true if we sent it
    pub const fn is_sent(self) -> bool {
        matches!(self, Self::ControlSent | Self::FrameSent)
    }

    /// The kind that is stored as this octet
    pub(super) const fn from_stored(octet: u8) -> Self {
        match octet {
            0 => Self::ControlSent,
            1 => Self::ControlReceived,
            2 => Self::FrameSent,
            _ => Self::FrameReceived,
        }
    }
}

/// One moment of the wire
///
/// `Debug` leaves the octets out, which have the server's challenge among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Time since the tunnel was made, to the millisecond
    pub at: Duration,
    /// The kind of its content, and the direction
    pub kind: Kind,
    /// A frame's GRE sequence number (RFC 2637 §4.1)
    pub sequence: Option<u32>,
    /// The octets, secrets zeroed
    pub octets: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, kind, sequence, octets } = self;
        let length = octets.len();
        write!(f, "Record {{ {at:?}, {kind:?}, sequence {sequence:?}, {length} octets }}")
    }
}

impl Record {
    /// Returns true if some of the octets told a secret, and are zeros here
    pub fn is_redacted(&self) -> bool {
        self.kind.is_frame()
            && matches!(Sensitivity::of(&self.octets), Sensitivity::Secret { open } if open < self.octets.len())
    }

    /// Reads the first of some stored records, and returns those behind it too
    pub(super) fn read(part: &[u8]) -> Option<(Self, &[u8])> {
        let ([kind, time @ .., high, low], rest) = part.split_first_chunk::<RECORD_HEADER>()?;
        let (stored, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        let kind = Kind::from_stored(*kind);
        let (sequence, squeezed) = match stored.split_first_chunk() {
            Some((sequence, squeezed)) if kind.is_frame() => {
                (Some(u32::from_be_bytes(*sequence)), squeezed)
            }
            _ => (None, stored),
        };
        let at = Duration::from_millis(u32::from_be_bytes(*time).into());
        Some((Self { at, kind, sequence, octets: unsqueeze(squeezed) }, rest))
    }
}

/// Octets of the header of a stored record: kind 1, milliseconds 4, stored length 2
pub(super) const RECORD_HEADER: usize = 7;
