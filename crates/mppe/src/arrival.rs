//! An arriving frame: its place in the sequence, and its packet

/// The place of the carrier's sequence number relative to the highest one it has committed
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ahead of it
    Ahead,
    /// Equal to it or behind it: late or a duplicate
    Behind,
}

/// The carrier's knowledge about a frame
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The carrier's sequence number: in PPTP that of GRE
    ///
    /// It counts frames, encrypted or not, modulo 2^32.
    pub sequence: u32,
    /// The place of the sequence number
    pub order: Order,
}

/// An opened frame
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'p> {
    /// The inner PPP protocol, 0021 or 0057
    pub protocol: u16,
    /// The packet behind it, in place
    pub payload: &'p mut [u8],
}
