//! The authentication phase (RFC 1661 §3.5): what both roles have in common
//!
//! ```text
//!   client         the side that is authenticated: one method, as LCP agreed
//!     pap          the password in the clear (RFC 1334)
//!     eap          EAP with MS-CHAPv2 inside (RFC 3748)
//!     conversation challenge, answer and verdict of the CHAP family, carried by CHAP or EAP
//!       account    a challenge's answer, made of the password
//!   phase          the phase of either role: its outcomes, and the keys that it leaves
//! ```
//!
//! Three files touch the password: `account` hashes it, `pap` sends it, and `client` compares it with
//! the owner's other one. The packets are in [`wire::authentication`](crate::wire::authentication).

mod account;
mod client;
mod conversation;
mod eap;
mod pap;
mod phase;

#[cfg(feature = "server")]
pub(crate) use account::Algorithm;
pub(crate) use client::ClientAuthentication;
pub(crate) use phase::{Authenticated, Authentication, Keys, Outcome, peer_text};
#[cfg(feature = "server")]
pub(crate) use phase::{V1Keys, peer_name};
