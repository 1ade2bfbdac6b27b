//! The signs of life of the peer and of the path inside the link
//!
//! [`echo`] asks the peer by LCP, [`path_monitor`] weighs whether packets pass, by [`proof`] packets.

pub(crate) mod carrier;
pub(crate) mod echo;
pub(crate) mod path_monitor;
pub(crate) mod pending_proofs;
pub(crate) mod proof;
pub(crate) mod wants_answer;
