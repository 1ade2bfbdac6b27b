//! IP: addresses, fragments, identifications, multicast groups

mod addresses;
mod flow;
mod fragments;
mod identification;
mod martian;
mod multicast;
mod reassembly;
mod time_to_live;

pub(crate) use self::{
    addresses::{Addresses, overlap},
    flow::Flow,
    fragments::{Fragments, is_reassembled},
    identification::Identification,
    martian::{Martian, check_sendable},
    multicast::Multicast,
    time_to_live::{HOP_LIMIT, hop_limit},
};
