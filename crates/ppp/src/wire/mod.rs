//! The wire formats: frames, packets with their options, and the messages of authentication
//!
//! Nothing here has a state, and nothing here knows the rest of the crate.

pub(crate) mod authentication;
pub mod frame;
pub mod options;
pub mod packet;
pub(crate) mod protocol;
