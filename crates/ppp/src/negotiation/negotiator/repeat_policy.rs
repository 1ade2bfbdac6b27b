//! The occasions on which an unanswered request is sent again

/// The occasions on which an unanswered request is sent again
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RepeatPolicy {
    /// Every 3 s
    ByTimer,
    /// At once when a request of the peer comes, too
    Prompted,
    /// At once when a request of the peer comes, and by the timer for the first time after 1 s
    PromptedAndEarly,
    /// Also when a request of the peer comes and the answer is overdue, and for the first time after 1 s
    OverdueAndEarly,
}

/// The fate of our latest request, if the peer was closed when it came and sent Terminate-Ack
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnedAway {
    No,
    Yes,
    /// The request was turned away, and was sent again without waiting for the timer
    AskedAgain,
}
