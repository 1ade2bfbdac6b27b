//! What the peer's sequence numbers mean (RFC 2637 section 4.3)

/// Where a sequence number stands relative to the highest one committed
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Ahead of it, or the first of the call
    Ahead,
    /// Behind it: a late frame
    Behind,
}

/// What the payload must have shown before a [`Verdict`] may be committed
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Any accepted payload: opened by MPPE, or a well-formed PPP control frame
    Accepted,
    /// Opened by MPPE to a plausible packet: the number lies beyond the forward-jump guard, where
    /// a well-formed frame alone proves nothing
    Decrypted,
}

/// A provisional judgment on one sequence number, to be committed if the payload is accepted
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a verdict counts only once it is committed"]
pub struct Verdict {
    /// The sequence number judged
    pub sequence: u32,
    /// Where it stands
    pub order: Order,
    /// What its payload must show
    pub evidence: Evidence,
}

/// Why a datagram carries nothing for the layer above
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// It has no sequence number: a bare acknowledgment
    #[error("no sequence number")]
    Unsequenced,
    /// Its sequence number was committed before
    #[error("duplicate sequence number")]
    Duplicate,
}
