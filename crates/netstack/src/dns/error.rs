//! The reasons for which a name is not found

use std::{io, net::Ipv4Addr};

use super::answer::MAX_ALIASES;

/// The reason for which a name was not found
///
/// It is inside the [`io::Error`] of a lookup that failed ([`io::Error::get_ref`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The server says that there is no such name
    #[error("no such name: {name} (says {server})")]
    NoSuchName {
        /// The name
        name: String,
        /// The server that was asked
        server: Ipv4Addr,
    },
    /// The name exists, but has no record of the kind
    #[error("{name} has no {kind} record (says {server})")]
    NoRecord {
        /// The name
        name: String,
        /// A or TXT
        kind: &'static str,
        /// The server that was asked
        server: Ipv4Addr,
    },
    /// The name is an alias of an alias, more than 16 times, or in a circle
    #[error(
        "the aliases of {name} lead nowhere: more than {MAX_ALIASES} of them, or a circle (says {server})"
    )]
    Aliases {
        /// The name
        name: String,
        /// The server that was asked
        server: Ipv4Addr,
    },
    /// The name cannot be one
    #[error("not a domain name: {name:?}")]
    InvalidName {
        /// The name
        name: String,
    },
    /// `localhost`, or a name below it, which no DNS server is asked for (RFC 6761 §6.3)
    #[error(
        "{name} means this host itself, and no DNS server inside the network is asked for it \
         (RFC 6761 §6.3): use the operating system's sockets for it"
    )]
    Localhost {
        /// The name
        name: String,
    },
    /// The stack was given no DNS server
    #[error("no DNS server to ask for {name}")]
    NoServer {
        /// The name
        name: String,
    },
    /// No server gave an answer; the fields tell of the last one
    #[error("{server} gave no answer for {name}: {what}")]
    NoAnswer {
        /// The name
        name: String,
        /// The last server that was asked
        server: Ipv4Addr,
        /// Its response code, or the socket's error
        what: String,
    },
    /// The stack has as many other questions in flight as it may have; equal questions count once
    #[error(
        "{name} was not asked for: {most} other questions are waiting for their answers; \
         ask again when one of them has ended"
    )]
    TooManyQuestions {
        /// The name
        name: String,
        /// The largest number of questions in flight
        most: usize,
    },
}

impl LookupError {
    pub(crate) fn into_io(self, kind: io::ErrorKind) -> io::Error {
        io::Error::new(kind, self)
    }
}

/// The reason for which a question has no answer, for all its askers; each spells the name in its own way
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    NoSuchName {
        server: Ipv4Addr,
    },
    NoRecord {
        server: Ipv4Addr,
    },
    Aliases {
        server: Ipv4Addr,
    },
    NoServer,
    NoAnswer {
        server: Ipv4Addr,
        what: String,
        kind: io::ErrorKind,
    },
    /// The future that asked has panicked
    Panicked,
}

impl Failure {
    pub(crate) fn into_io(self, name: &str, kind: &'static str) -> io::Error {
        let name = name.to_owned();
        let not_found = io::ErrorKind::NotFound;
        match self {
            Self::NoSuchName { server } => {
                LookupError::NoSuchName { name, server }.into_io(not_found)
            }
            Self::NoRecord { server } => {
                LookupError::NoRecord { name, kind, server }.into_io(not_found)
            }
            Self::Aliases { server } => LookupError::Aliases { name, server }.into_io(not_found),
            Self::NoServer => LookupError::NoServer { name }.into_io(not_found),
            Self::NoAnswer { server, what, kind } => {
                LookupError::NoAnswer { name, server, what }.into_io(kind)
            }
            Self::Panicked => io::Error::other("the lookup has panicked"),
        }
    }
}
