//! The signs of life of the peer and of the path inside the link
//!
//! | module | content |
//! |---|---|
//! | `echo` | the LCP echoes that ask the peer (RFC 1661 §5.8) |
//! | `carrier` | the latest sign of life of the carrier under the link |
//! | `path_monitor` | the judgement on whether packets pass inside the link |
//! | `proof`, `pending_proofs` | the packets that prove the path, and those that wait to be sent |
//! | `wants_answer` | a check if an IP packet asks for an answer |

pub(crate) mod carrier;
pub(crate) mod echo;
pub(crate) mod path_monitor;
pub(crate) mod pending_proofs;
pub(crate) mod proof;
pub(crate) mod wants_answer;
