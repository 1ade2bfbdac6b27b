//! Ways in which servers leave the protocol, as data, and how they are recognized
//!
//! The quirks of common servers are built in, and a tunnel uses them without being told. A server of one's
//! own is described by [`TunnelConfig::quirks`](crate::TunnelConfig::quirks), or for many tunnels by a
//! [`Recognition`]:
//!
//! ```
//! use pptp::{
//!     TunnelConfig,
//!     quirks::{ControlQuirks, Pattern, Recognition},
//! };
//!
//! let old_router = Recognition {
//!     name: "an old router".into(),
//!     vendor: Some(Pattern::Contains("acme".into())),
//!     host_name: None,
//!     firmware: None,
//!     quirks: ControlQuirks { zero_call_id: Some(true), ..ControlQuirks::NONE }.into(),
//! };
//! let config = TunnelConfig::new("vpn.example.com", "testuser", "test123").recognize(old_router);
//! ```
//!
//! [`Quirks`] has a part for the control connection and one for PPP. Each is a [`Quirks`] by `.into()`.

#[doc(inline)]
pub use pptp_tunnel::{ControlQuirks, LinkQuirks, Pattern, Peer, Quirks, Recognition, Recognized};
