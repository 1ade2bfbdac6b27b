//! The queue of sockets with something to send

use super::table::Id;

/// A place in the queue of sockets with something to send
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ticket {
    Tcp(Id),
    Udp(Id),
    Echo(Id),
}
