//! What dials and tunnels fail by

use std::time::Duration;

use pptp::error::{ControlFailure, Failure, LinkFailure, TunnelFailure};

pub(super) fn failure_of(failure: impl Into<TunnelFailure>) -> Failure {
    Failure::Tunnel(failure.into())
}

pub(super) fn unreachable() -> Failure {
    Failure::NameNotResolved { name: "vpn.example".to_owned(), reason: "no network".to_owned() }
}

pub(super) fn timeout() -> Failure {
    failure_of(TunnelFailure::ConnectTimeout { limit: Duration::from_secs(30) })
}

pub(super) fn refused() -> Failure {
    failure_of(LinkFailure::AuthFailed { code: 691, retry: false, message: String::new() })
}

pub(super) fn echo_timeout() -> Failure {
    failure_of(LinkFailure::EchoTimeout { unanswered: 4 })
}

pub(super) fn connection_lost() -> Failure {
    failure_of(ControlFailure::ConnectionLost)
}
