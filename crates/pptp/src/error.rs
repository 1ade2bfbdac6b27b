//! The parts of a [`TunnelError`](crate::TunnelError): what failed, at which layer, and what to do
//!
//! A supervisor needs three answers and none of the types below: [`class`](crate::TunnelError::class) tells
//! who has to act first, [`retry_after`](crate::TunnelError::retry_after) when to dial again, and
//! [`advice`](crate::TunnelError::advice) what to tell people. A program that treats one failure apart from
//! the others looks at the [`failure`](crate::TunnelError::failure):
//!
//! ```no_run
//! # async fn example(client: pptp::Client, config: pptp::TunnelConfig) {
//! use pptp::error::{Failure, LinkFailure};
//!
//! let Err(error) = client.connect(config).await else { return };
//! match &error.failure {
//!     Failure::Link(LinkFailure::AuthFailed { .. }) => println!("wrong user name or password"),
//!     Failure::TcpFailed { .. } => println!("the server does not listen, or a firewall is in between"),
//!     _ => println!("{error}; {}", error.advice()),
//! }
//! # }
//! ```

#[doc(inline)]
pub use pptp_gre_socket::OpenError;
#[doc(inline)]
pub use pptp_tunnel::{
    Class, Code, ControlFailure, ControlParseError, ControlType, DisconnectResult, Failure,
    GeneralError, Layer, LinkFailure, LinkProtocol, LinkRule, NothingPasses, OutgoingCallResult,
    PeerMisbehaved, Phase, RasCode, Retry, StartResult, StopReason, WrongKey,
};
