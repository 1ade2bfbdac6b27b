//! PPP for one link: LCP, authentication, CCP with MPPE and IPCP, joined in one [`Link`]
//!
//! A link is a state machine without I/O, clock or randomness of its own: PPP frames and `now` come
//! in; frames, events and the next deadline come out. It knows no carrier. PPTP's GRE is one; any
//! other that keeps frames apart and numbers them would do.
//!
//! ```text
//!   link            the one type that users of this crate see; dispatches to the role
//!   client, server  the two roles
//!   machine         phases: the frames that a phase lets in, the events that start and end a link
//!     events        the output of a link
//!     guard         state that protects a link that is up against forged frames
//!     negotiation   the automaton of RFC 1661 §4.1 as data, its driver, and the options of
//!                   LCP, CCP, IPCP and IPV6CP
//!     encryption    the data path: encrypted, in the clear, or closed; never back to the clear
//!     authentication  PAP, CHAP with MD5, MS-CHAPv1, MS-CHAPv2, and that in EAP
//!   context         shared by all protocols: randomness, rates, counters, round trips
//!   failure         the reasons that a link ends, and their classes
//!   liveness        LCP echoes, and proofs that packets pass inside the link
//!   config          the decisions of the link's owner
//!   wire            the wire formats
//! ```
//!
//! A folder imports those below it in this list, never one above.
//!
//! A connect takes as few round trips as the RFCs allow: everything that can be sent at a moment is
//! sent at that moment. [`Link::round_trips`] counts them.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod authentication;
mod client;
mod config;
mod context;
mod encryption;
mod events;
mod failure;
mod guard;
mod link;
mod liveness;
mod machine;
mod negotiation;
#[cfg(feature = "server")]
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use config::{
    AddressRequest, ClientConfig, EchoPolicy, ProofPolicy,
    policy::{AuthenticationPolicy, EncryptionDemand, EncryptionPolicy},
    questions::{Question, Questions},
    quirks::Quirks,
};
pub use context::{
    round_trips::RoundTripTime,
    stats::{Discard, Stats},
};
pub use encryption::agreed::Encryption;
pub use events::{Event, Negotiated, Phase, Received, Timer};
pub use failure::{Assigned, Failure, Rule, WrongKey, class::Class, ras::RasCode};
pub use link::Link;
pub use liveness::{
    path_monitor::{NothingPasses, Proof, Reachability},
    wants_answer::wants_answer,
};
pub use negotiation::ipv6cp::Ipv6Addresses;
pub use pptp_mppe::{
    Arrival, Discard as MppeDiscard, KeyStrength, Order, StatefulReset, Stats as DecryptorStats,
};
pub use pptp_mschap::{HashName, Password, PasswordEncoding};
#[cfg(feature = "server")]
pub use server::behavior::{OnNak, ServerAuthentication, ServerEncryption, ServerOrder};
#[cfg(feature = "server")]
pub use server::config::{Extras, ServerConfig};
#[cfg(feature = "server")]
pub use server::faults::{Deafness, Echoes, LinkFaults};
#[cfg(feature = "server")]
pub use server::startup_delays::StartupDelays;
pub use wire::{
    frame, options, packet,
    protocol::{AuthenticationProtocol, MppeBits, Protocol},
};
