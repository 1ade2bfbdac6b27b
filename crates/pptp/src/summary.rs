//! The `Debug` output of a tunnel: short, and without holding up the driver

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
};

use crate::{
    state::{StateName, short},
    tunnel_shared::{TunnelHandle, TunnelShared},
};
use pptp_driver::Session;

/// A tunnel in one line: name, state, addresses
///
/// Copied from the tunnel, so that no task waits for a formatter and its output.
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
            server: tunnel.dialled().map(|dialled| dialled.server),
            inner_address: tunnel.lock().negotiated.info().map(|info| info.inner_address),
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

debug_as_summary! {
    TunnelShared: self => self;
    TunnelHandle: self => &self.shared;
}
