//! When a site is dialled, and who changes that

use std::{fmt, time::Duration};

/// When a site is dialled
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connect {
    /// Always: it is kept up
    #[default]
    Always,
    /// While clients use it: it is dialled for the first one, and hung up `idle` after the last use
    OnDemand {
        /// The time without a use after which it is hung up
        idle: Duration,
    },
    /// When a person or a program asks for it; then it is kept up
    Manual,
}

/// The person or the program that changed something, as told to others
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller(pub String);

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
