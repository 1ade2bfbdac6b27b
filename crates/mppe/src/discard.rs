//! Reasons for dropping frames, and counters for them

/// The reason why a frame was not opened
///
/// The state is unchanged then, and so are the frame's octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// Less than an MPPE header and one octet
    #[error("frame too short")]
    TooShort,
    /// The D bit is clear: a frame in the clear where all are encrypted
    #[error("frame is not encrypted")]
    NotEncrypted,
    /// The A bit is clear, which a stateless sender sets in every frame and a stateful one in each
    /// flag frame
    #[error("frame without the A bit")]
    NotFlushed,
    /// The B or the C bit is set: MPPC, which was not negotiated
    #[error("frame is compressed")]
    Compressed,
    /// A duplicate or a frame that is too late: it is behind the last opened one, and its key is
    /// not kept
    #[error("late or duplicate frame")]
    Late,
    /// Decryption gives no plausible plaintext: the frame is forged, damaged, or of another session
    #[error("no plausible plaintext")]
    Implausible,
    /// Frames before it are missing, and a stateful session cannot continue without them: the peer
    /// must be asked for a reset
    #[error("frames are missing before it, waiting for a reset")]
    OutOfStep,
    /// The frame is too far ahead: other frames must be consistent with it first
    #[error("frame too far ahead, waiting for others that agree")]
    TooFarAhead,
    /// Finding its key takes more work than may be spent now
    #[error("out of budget for key changes")]
    OverBudget,
    /// Wrong A and D bits came too often: the link must be closed
    #[error("too many frames with the wrong header bits")]
    ScoreLimit,
    /// The session is beyond recovery: the link must be closed
    #[error("the peer's keys are out of reach")]
    OutOfReach,
}

impl Discard {
    /// Returns true if the link cannot go on: LCP must be closed
    pub const fn is_fatal(self) -> bool {
        matches!(self, Self::ScoreLimit | Self::OutOfReach)
    }
}

/// Counters of a [`Decryptor`](crate::Decryptor) or
/// [`StatefulDecryptor`](crate::StatefulDecryptor), in frames unless said otherwise
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Opened, late ones included
    pub opened: u64,
    /// Opened with a kept key
    pub opened_late: u64,
    /// [`Discard::TooShort`]
    pub too_short: u64,
    /// [`Discard::NotEncrypted`]
    pub not_encrypted: u64,
    /// [`Discard::NotFlushed`]
    pub not_flushed: u64,
    /// [`Discard::Compressed`]
    pub compressed: u64,
    /// [`Discard::Late`]
    pub late: u64,
    /// [`Discard::Implausible`]
    pub implausible: u64,
    /// [`Discard::OutOfStep`]
    pub out_of_step: u64,
    /// [`Discard::TooFarAhead`]
    pub too_far_ahead: u64,
    /// [`Discard::OverBudget`]
    pub over_budget: u64,
    /// [`Discard::ScoreLimit`]
    pub score_limit: u64,
    /// [`Discard::OutOfReach`]
    pub out_of_reach: u64,
    /// Key changes, in links of the chain
    pub rekeys: u64,
    /// Keys tried on frames: each deciphers 62 octets of one, and all of it if it is the right one
    pub keys_tried: u64,
    /// Resets asked for, in a stateful session
    pub reset_requests: u32,
    /// Keys kept for late frames now
    pub kept_keys: u16,
}

impl Stats {
    pub(crate) fn rekeyed(&mut self, steps: u64) {
        self.rekeys = self.rekeys.saturating_add(steps);
    }

    pub(crate) fn tried(&mut self, keys: u64) {
        self.keys_tried = self.keys_tried.saturating_add(keys);
    }

    pub(crate) fn count(&mut self, discard: Discard) {
        let counter = match discard {
            Discard::TooShort => &mut self.too_short,
            Discard::NotEncrypted => &mut self.not_encrypted,
            Discard::NotFlushed => &mut self.not_flushed,
            Discard::Compressed => &mut self.compressed,
            Discard::Late => &mut self.late,
            Discard::Implausible => &mut self.implausible,
            Discard::OutOfStep => &mut self.out_of_step,
            Discard::TooFarAhead => &mut self.too_far_ahead,
            Discard::OverBudget => &mut self.over_budget,
            Discard::ScoreLimit => &mut self.score_limit,
            Discard::OutOfReach => &mut self.out_of_reach,
        };
        *counter = counter.saturating_add(1);
    }
}
