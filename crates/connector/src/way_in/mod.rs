//! The ways in: where programs of this machine reach the hosts of sites
//!
//! Forwards of TCP and UDP, a SOCKS proxy, an HTTP proxy. Each takes streams and datagrams of its clients, and leases of
//! sites from the [`Directory`](crate::directory::Directory).
//!
//! | file | content |
//! |---|---|
//! | `table` | the listeners that run, and their change by a reload |
//! | `missing` | forwards whose address is not to be had yet |
//! | `way` | the settings of a listener, and the key by which a reload knows it again |
//! | `key` | the key of a listener in the table |
//! | `bind` | sockets for listeners, unix sockets among them |
//! | `accept` | the loop that accepts clients |
//! | `listener` | a listener while it runs, and the service of one client |
//! | `tcp`, `udp` | forwards |
//! | `knx` | the forward of KNXnet/IP |
//! | `socks` | the SOCKS 5 proxy |
//! | `http` | the HTTP proxy |
//! | `names` | the site and the host that a client asks for, from user and host names |
//! | `access` | who may reach what |
//! | `reach` | the way to a target: lease, name, connection |
//! | `inner_socket` | a UDP socket inside a site that outlives tunnels |
//! | `refusal` | the reasons for which a client does not reach its target |
//! | `refusal_log` | the log of refusals |
//! | `pass` | the two streams of a connection |
//! | `limits` | the tree of places |
//! | `counters` | the counters of a listener |
//! | `client`, `datagrams` | streams and datagrams of clients |
//! | `memory` | those in memory, for tests in virtual time |

mod accept;
mod access;
mod bind;
mod client;
mod counters;
mod datagrams;
mod http;
mod inner_socket;
mod key;
mod knx;
mod limits;
mod listener;
mod memory;
mod missing;
mod names;
mod pass;
mod reach;
mod refusal;
mod refusal_log;
mod socks;
mod table;
mod tcp;
mod udp;
mod way;

pub(crate) use self::bind::bind_tcp;
pub use self::{
    client::{ClientStream, Origin},
    counters::Counters,
    datagrams::Datagrams,
    http::route::{Route, RouteKind, route},
    memory::{MemoryClient, MemoryDatagrams, MemoryStream, memory_stream},
    names::Destination,
    refusal::{ConnectFailure, Reason, Refusal},
    table::{ChosenPort, Failed, ListenerStatus, Plan, WaysIn},
    way::{ListenKey, Way},
};
