//! The proof packets of a link that wait to be sent

/// The proof packets that wait to be sent, all with the same number
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PendingProofs {
    pub(crate) sequence: u16,
    pub(crate) pings: u8,
    pub(crate) expires: u8,
}

impl PendingProofs {
    pub(crate) const fn is_empty(self) -> bool {
        self.pings == 0 && self.expires == 0
    }
}
