//! The parts of a [`TunnelError`]: what failed, at which layer, and what to do
//!
//! A supervisor needs three answers and none of the types below: [`class`](TunnelError::class) tells
//! who has to act first, [`retry_after`](TunnelError::retry_after) when to dial again, and
//! [`advice`](TunnelError::advice) what to tell people. A program that treats one failure apart from
//! the others looks at the [`failure`](TunnelError::failure). It is nested as the protocols are:
//!
//! | type | failures |
//! |---|---|
//! | [`Failure`] | options, names, TCP, open files, the runtime, and [`Failure::Tunnel`] |
//! | [`TunnelFailure`] | GRE, a connect that took too long, a tunnel that was closed, and the two below |
//! | [`ControlFailure`] | the control connection and the call |
//! | [`LinkFailure`] | PPP: LCP, authentication, encryption, addresses |
//!
//! [`Failure::tunnel`], [`Failure::control`] and [`Failure::link`] go to each of them in one step:
//!
//! ```no_run
//! # async fn example(client: pptp::Client, config: pptp::TunnelConfig) {
//! use pptp::error::{Failure, LinkFailure, TunnelFailure};
//!
//! let Err(error) = client.connect(config).await else { return };
//! match &error.failure {
//!     Failure::TcpFailed { .. } => println!("the server does not listen, or a firewall is in between"),
//!     Failure::Tunnel(TunnelFailure::GreBlocked { .. }) => println!("a firewall stops GRE"),
//!     _ => println!("{error}"), // with its advice
//! }
//! if let Some(LinkFailure::AuthFailed { .. }) = error.failure.link() {
//!     println!("wrong user name or password");
//! }
//! # }
//! ```

mod answers;
mod failure;
mod io_error;
#[cfg(test)]
mod tests;
mod tunnel_error;

#[doc(inline)]
pub use pptp_gre_socket::OpenError;
#[doc(inline)]
pub use pptp_tunnel::{
    Class, Code, ControlFailure, ControlParseError, ControlType, DisconnectResult,
    Failure as TunnelFailure, GeneralError, Layer, LinkFailure, LinkProtocol, LinkRule,
    NothingPasses, OutgoingCallResult, PeerMisbehaved, Phase, RasCode, Retry, StartResult,
    StopReason, WrongKey,
};

pub use self::failure::Failure;
pub use self::tunnel_error::TunnelError;
