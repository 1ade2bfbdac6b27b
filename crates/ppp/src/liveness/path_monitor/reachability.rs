//! The knowledge of whether packets pass inside a link

/// The knowledge of whether packets pass inside the link
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reachability {
    /// The first proof is under way: the link came up less than 3 s ago
    #[default]
    Unknown,
    /// Packets pass both ways
    Proven(Proof),
    /// The peer answered no proof, and none of its packets was opened yet; the path may be good all
    /// the same
    Unproven,
}

/// The way in which the data path was proven
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Proof {
    /// The peer's inner address answered a ping
    Ping,
    /// A router of the peer sent the ICMP error that a packet with a TTL of 1 causes
    RouterError,
    /// A packet of the remote network came in; no proof was answered
    Traffic,
}
