//! The sizes of a round, and the way that its data go

/// Packets of a batch
pub const PACKETS: usize = 8;
/// Octets of a whole IP packet where either end takes frames of 1400 octets
pub const FULL: usize = 1396;
/// Batches of a round, so that a round is as much as the driver receives at once
pub const BATCHES: usize = 8;
/// Packets of a round
pub const ROUND: u32 = 64;
const _: () = assert!(PACKETS * BATCHES == ROUND as usize);
/// Segments that the peer acknowledges at once (RFC 1122 §4.2.3.2)
pub const SEGMENTS_ACKNOWLEDGED: usize = 2;

/// The way that the data go
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the client
    Download,
    /// From the client
    Upload,
}
