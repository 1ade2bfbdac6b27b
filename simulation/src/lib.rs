//! The simulated internet: a client, a server, and the faults between them
//!
//! A [`Scenario`] is plain data that follows from one number. It runs in virtual time, on one
//! thread. All random choices in it follow from that number, so that a run can be repeated to the
//! octet: [`Run::digest`] shows that. These promises are checked while it runs:
//!
//! - octets arrive as they were sent, whole and in order;
//! - a connect ends within its deadline, up or with a reason that is possible in this world;
//! - a tunnel that has lost its server reports that within the time of its echoes, and then every call
//!   that waits on it fails;
//! - a peer is not taken for dead if anything of it arrived during the wait for echoes;
//! - no tunnel is up and silent for more than 20 s while its user sends and the line is whole, if its
//!   server has answered a proof once and answers LCP echoes, or reports that it opens nothing. The
//!   other tunnels are counted ([`Tally`]). The limit is 60 s where more than one in fifty datagrams is
//!   lost; where datagrams are damaged they are only counted;
//! - no tunnel ends as silent or dead if packets could pass through it for the last 15 s. It is only
//!   counted if its path loses all echoes of the policy in more than one of a million silences;
//! - once all faults are over, a tunnel that is up carries octets, and one that is not can be connected;
//! - a hang-up takes no longer than its limit; no session and no task is left behind.
//!
//! `cargo run --release --example simulate` runs any number of scenarios. The [`grid`] measures the
//! goodput of a TCP connection over paths that delay, lose and reorder.

mod draw;
mod fault;
pub mod grid;
mod job;
mod journal;
mod live_tunnel;
mod polling;
mod promises;
mod run;
mod scenario;
mod server;
mod silence;
mod site;
mod truth;
mod world;

pub use crate::{
    fault::Fault,
    job::Job,
    journal::Tally,
    polling::{PolledHost, Polling},
    run::Run,
    scenario::{Ending, Path, Scenario, TimedFault},
    server::ServerKind,
};
