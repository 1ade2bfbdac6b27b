//! The protection of a link that is up against frames that the peer did not send
//!
//! The rules are in `machine::guard`; here is the state by which they judge.

pub(crate) mod confirmation;
pub(crate) mod pinned;
pub(crate) mod sequence_window;
