//! A driver: one task and one socket for any number of sessions, each with a carrier
//!
//! A [`Driver`] receives datagrams in batches, finds the [`Session`] of each by its Call ID, and gives the sessions
//! their turns. A session is a client's tunnel, or a server's client. Its [`Carrier`] is the state machine that
//! carries IP packets in datagrams; its [`Guarded`] part also knows the users of these packets.
//!
//! | module | content |
//! |---|---|
//! | [`Carrier`] | the methods that a driver needs of a state machine; `pptp_tunnel::Tunnel` has them |
//! | [`Session`], [`Guarded`] | a session: its shared part, and the part behind its lock |
//! | [`Driver`], [`DriverHandle`] | the loop, and the handle that keeps it running |
//! | [`DriverShared`], [`Counters`] | the state that a driver shares with its sessions and their owners |
//! | `turn`, [`TurnFlags`] | one session's turn, and the flags of the turns that wait |
//! | `deadlines` | the deadlines of all sessions |
//! | `flood_budget` | the bound on the time of useless datagrams |
//! | `peer_calls`, `call_ids` | the calls that ICMP messages and datagrams are about |
//! | `beats` | the signs of life, for watchdogs |
//!
//! This crate is not for users: its interface follows what `pptp` and `pptp-testkit` need.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod beats;
mod call_ends;
mod call_ids;
mod carrier;
mod clock;
mod counters;
mod deadlines;
mod driver;
mod driver_shared;
mod flood_budget;
mod handle;
mod peer_calls;
mod randomness;
mod session;
mod turn;
mod turn_flags;

pub use self::{
    call_ends::CallEnds,
    carrier::{Carrier, NotNow},
    clock::now,
    counters::{Counters, DriverWakers},
    driver::Driver,
    driver_shared::DriverShared,
    handle::DriverHandle,
    randomness::Randomness,
    session::{AfterCarrier, CarrierEvent, Guarded, News, Packets, Session},
    turn::{Slots, Uplink},
    turn_flags::TurnFlags,
};
