//! The places in which clients are measured

/// The place in which a client is measured, with those beside it
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scene {
    /// In the lab's second guest, against pptpd in the first
    Guest,
    /// On this machine, in network namespaces of the bench's own
    Native,
}

impl Scene {
    /// Its name in a line
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Native => "native",
        }
    }
}

/// Turns of each client
pub(super) const ROUNDS: usize = 3;
