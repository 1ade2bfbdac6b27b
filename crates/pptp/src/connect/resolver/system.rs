//! The system's resolver, each call on a thread of its own

use std::{
    io,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};

use super::{MAX_ADDRESSES, Outcome, Unresolved, Worker};

/// Lets a worker look names up on a thread
///
/// A thread of our own and none of a runtime's pool: a runtime that is shut down waits for those of
/// its pool, and a lookup may serve several runtimes.
pub(super) fn start(mut worker: Worker) -> io::Result<()> {
    let work = move || {
        while let Some(lookup) = worker.next() {
            let outcome = catch_unwind(AssertUnwindSafe(|| look_up(lookup.name())));
            let panicked = |_| Err(Unresolved::Temporary("the lookup panicked".into()));
            lookup.finish(outcome.unwrap_or_else(panicked));
        }
    };
    thread::Builder::new().name("pptp-resolver".into()).spawn(work).map(drop)
}

/// Asks the system's resolver, for as long as that takes
fn look_up(name: &str) -> Outcome {
    // one entry for each address instead of one for each kind of socket
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let entries = getaddrinfo(Some(name), None, Some(hints)).map_err(unresolved)?;
    let mut addresses = Vec::<IpAddr>::new();
    for entry in entries {
        let address = entry.map_err(|e| Unresolved::Temporary(e.to_string()))?.sockaddr.ip();
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Unresolved::NoSuchName("the name has no address".into()));
    }
    Ok(Arc::from(addresses))
}

/// Only what the resolver is sure of is certain; a name server that is silent, refuses or fails says
/// nothing of the name
fn unresolved(error: LookupError) -> Unresolved {
    let kind = error.kind();
    let reason = io::Error::from(error).to_string();
    match kind {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Unresolved::NoSuchName(reason),
        _ => Unresolved::Temporary(reason),
    }
}
