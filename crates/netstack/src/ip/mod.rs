//! IP: addresses, fragments, identifications

mod addresses;
mod time_to_live;

pub(crate) use self::{
    addresses::Addresses,
    time_to_live::{HOP_LIMIT, hop_limit},
};
