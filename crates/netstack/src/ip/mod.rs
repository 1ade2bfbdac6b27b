//! IP: addresses, fragments, identifications, multicast groups
//!
//! | file | content |
//! |---|---|
//! | `address`, `endpoint`, `flow` | an address, one with a port, and two of these, of either version of IP |
//! | `version` | the versions of IP, and the lengths of headers |
//! | `addresses`, `martian` | the stack's own addresses, and those that no packet may have |
//! | `fragments`, `reassembly` | fragments that come in, until their datagrams are whole |
//! | `identification` | the identifications of datagrams that leave |
//! | `multicast` | the groups that the stack listens to |
//! | `time_to_live` | the time to live of packets that leave |

mod address;
mod addresses;
mod endpoint;
mod flow;
mod fragments;
mod identification;
mod martian;
mod multicast;
mod reassembly;
mod time_to_live;
mod version;

pub(crate) use self::{
    address::Address,
    addresses::{Addresses, overlap},
    endpoint::Endpoint,
    flow::Flow,
    fragments::{Fragments, is_reassembled},
    identification::Identification,
    martian::{Martian, check_sendable},
    multicast::Multicast,
    time_to_live::{HOP_LIMIT, hop_limit},
    version::{ECHO_HEADER, IPV4_HEADER, IPV6_HEADER, TCP_HEADER, UDP_HEADER, Version, header_len},
};
