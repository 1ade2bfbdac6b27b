//! The source of a driver's random choices

use std::fmt;

/// The source of Call IDs, challenges, Magic-Numbers, sequence numbers and ports
pub enum Randomness {
    /// The system's
    System,
    /// A virtual network's or a test server's, whose runs are alike where its seed is
    Virtual(Box<dyn Fn() -> [u8; 32] + Send + Sync>),
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Virtual(_) => "Virtual",
        })
    }
}

impl Randomness {
    pub(crate) fn seed(&self) -> [u8; 32] {
        match self {
            Self::System => rand::random(),
            Self::Virtual(seed) => seed(),
        }
    }
}
