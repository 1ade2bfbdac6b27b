//! The occasions on which an unanswered request is sent again

/// When an unanswered request is sent again
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Every 3 s
    ByTimer,
    /// At once when a request of the peer comes, too
    Prompted,
    /// The same, and by the timer for the first time after 1 s
    PromptedAndEarly,
    /// When a request of the peer comes and the answer is overdue, and for the first time after 1 s
    OverdueAndEarly,
}

/// Whether our latest request was answered by Terminate-Ack: the peer was closed when it came
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnedAway {
    No,
    Yes,
    /// It was, and the peer has been asked again without waiting for the timer
    AskedAgain,
}
