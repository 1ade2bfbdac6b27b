//! The end of a tunnel, and its reason

use crate::TunnelError;

/// The end of a tunnel: first its reason is known, and then the machine has finished
#[derive(Default)]
pub(crate) struct Ending {
    error: Option<Box<TunnelError>>,
    is_finished: bool,
}

impl Ending {
    /// The reason for the end, once it is known
    pub(crate) fn error(&self) -> Option<&TunnelError> {
        self.error.as_deref()
    }

    /// True if nothing more will happen
    pub(crate) const fn is_finished(&self) -> bool {
        self.is_finished
    }

    pub(super) fn set(&mut self, error: &TunnelError) {
        self.error = Some(Box::new(error.clone()));
    }

    /// Forgets the reason, because a panic cut the end short
    pub(super) fn forget(&mut self) {
        self.error = None;
    }

    /// Notes that nothing more will happen; returns true if that was known before
    pub(super) const fn finish(&mut self) -> bool {
        std::mem::replace(&mut self.is_finished, true)
    }
}
