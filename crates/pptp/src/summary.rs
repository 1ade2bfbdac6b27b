//! What `Debug` tells of a tunnel: short, and without holding up the driver

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
};

use crate::{State, driver::tunnel_shared::TunnelShared};

/// A tunnel in one line: name, state, addresses
///
/// Copied from the tunnel, so that nobody waits for a formatter and for whatever it writes to.
pub(crate) struct Summary<'a> {
    name: &'a str,
    state: StateName,
    server: Option<SocketAddrV4>,
    inner_address: Option<Ipv4Addr>,
}

impl<'a> Summary<'a> {
    pub(crate) fn of(tunnel: &'a TunnelShared) -> Self {
        Self {
            name: &tunnel.name,
            state: tunnel.state.with(StateName::of).unwrap_or(StateName::Down("")),
            server: tunnel.route().map(|route| route.server),
            inner_address: tunnel.lock().info.as_ref().map(|info| info.inner_address),
        }
    }

    /// Writes it as `what`, which is a type's name
    pub(crate) fn write(&self, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{what} {{ name: {:?}, state: {:?}", short(self.name), self.state)?;
        if let Some(server) = self.server {
            write!(f, ", server: {server}")?;
        }
        if let Some(address) = self.inner_address {
            write!(f, ", inner address: {address}")?;
        }
        f.write_str(" }")
    }
}

/// A state by its name: the reason of an end is as long as an advice
pub(crate) enum StateName {
    Connecting(pptp_tunnel::Phase),
    Redialling,
    Up,
    Renegotiating,
    /// The failure's name
    Down(&'static str),
}

impl StateName {
    pub(crate) const fn of(state: &State) -> Self {
        match state {
            State::Connecting { phase } => Self::Connecting(*phase),
            State::Redialling { .. } => Self::Redialling,
            State::Up => Self::Up,
            State::Renegotiating => Self::Renegotiating,
            State::Down { reason } => Self::Down(reason.name()),
        }
    }
}

impl fmt::Debug for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting(phase) => write!(f, "Connecting({phase:?})"),
            Self::Redialling => f.write_str("Redialling"),
            Self::Up => f.write_str("Up"),
            Self::Renegotiating => f.write_str("Renegotiating"),
            Self::Down(name) => write!(f, "Down({name})"),
        }
    }
}

/// The beginning of a name that its owner may have made as long as they like
pub(crate) fn short(name: &str) -> &str {
    name.char_indices().nth(MAX_NAME_CHARS).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// Characters of a name that are told: at most six octets each, escaped
const MAX_NAME_CHARS: usize = 48;

/// Gives types with a `shared: Arc<TunnelShared>` the summary of their tunnel as `Debug`
macro_rules! debug_as_summary {
    ($($type:ident: $self:ident => $shared:expr;)+) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&$self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::summary::Summary::of($shared).write(stringify!($type), f)
            }
        }
    )+};
}
pub(crate) use debug_as_summary;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(short("building 7"), "building 7");
        assert_eq!(short(&"ä".repeat(1000)), "ä".repeat(48));
    }
}
