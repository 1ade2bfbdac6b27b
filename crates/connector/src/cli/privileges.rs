//! The raw socket that is opened first, and what is given up then

use std::{env, os::fd::OwnedFd};

use pptp::{Client, ClientBuilder, ClientError};

use super::{client::Failure, exit::Exit};
use crate::{
    host::{Caller, Capabilities, give_up},
    settings::Outer,
};

/// Raw sockets that were opened while the process had the capability, or the reason why they were not
#[derive(Debug)]
pub struct RawSocket(Option<Result<OwnedFd, ClientError>>);

impl RawSocket {
    /// Opens a socket without options
    pub fn open() -> Self {
        Self(Some(pptp::open_raw_socket().map_err(Into::into)))
    }

    /// The socket of a command that needs none
    pub const fn unneeded() -> Self {
        Self(None)
    }

    /// Makes a client with the socket, on the current runtime
    ///
    /// # Errors
    /// The socket could not be opened; without one, as [`Client::new`].
    pub fn client(self) -> Result<Client, ClientError> {
        match self.0 {
            Some(socket) => Client::builder().raw_socket(socket?).build(),
            None => Client::new(),
        }
    }
}

/// Opens the raw sockets that a configuration wants, one for each driver, and makes a builder with them
///
/// It needs no runtime. [`ClientBuilder::build`] does, and needs no capability any more.
///
/// # Errors
/// A socket cannot be opened as it is wanted.
pub(super) fn open_sockets(outer: &Outer) -> Result<ClientBuilder, ClientError> {
    let mut builder = Client::builder();
    if let Some(device) = &outer.device {
        builder = builder.device(device);
    }
    if let Some(address) = outer.local_address {
        builder = builder.local_address(address);
    }
    if let Some(mark) = outer.fwmark {
        builder = builder.fwmark(mark);
    }
    if let Some(octets) = outer.receive_buffer {
        builder = builder.receive_buffer(octets);
    }
    let sockets = (0..outer.drivers.unwrap_or(1)).map(|_| builder.open_raw_socket());
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    Ok(sockets.into_iter().fold(builder, ClientBuilder::raw_socket))
}

/// Becomes the user who called `sudo`, if somebody did, and gives up all capabilities
///
/// # Errors
/// The system refuses.
pub(super) fn drop_all() -> Result<(), Failure> {
    let variable = |name| env::var(name).ok();
    let (uid, gid) = (variable("SUDO_UID"), variable("SUDO_GID"));
    if let Some(caller) = Caller::find(uid.as_deref(), gid.as_deref()) {
        let became = caller.become_it();
        became.map_err(|error| Failure::new(Exit::Program, error.to_string()))?;
    }
    let given_up = give_up(Capabilities::NONE);
    given_up.map_err(|error| {
        Failure::new(Exit::Program, format!("cannot give the capabilities up: {error}"))
    })
}
