//! The simulated internet: a client, a server, and everything that goes wrong between them
//!
//! A [`Scenario`] is plain data that follows from one number. It is lived in virtual time, on one
//! thread, and all that is random in it comes from that number, so that a run can be repeated to the
//! octet: [`Run::digest`] says so. What must hold whatever happens is checked while it runs:
//!
//! - octets that arrive are those that were sent, whole and in order;
//! - a connect ends within its deadline, up or with a reason that this world can give;
//! - a tunnel that has lost its server says so within the time of its echoes, and every call that
//!   waits on it fails then;
//! - nothing is taken for dead that was heard while the echoes were waited for;
//! - no site is up and silent for more than 20 s while its user sends and the line is whole, if its
//!   server has answered a proof once and answers LCP echoes, or says that it opens nothing; the others
//!   are counted ([`Tally`]). Where more than one in fifty datagrams is lost it is 60 s, and where some are
//!   damaged they are counted too;
//! - no tunnel ends as silent or dead through which packets could pass for the last 15 s, but for those
//!   whose path takes all echoes of their policy in more than one of a million silences, which are counted;
//! - once all is well again a tunnel that is up carries, and one that is not can be connected;
//! - a hang-up takes no longer than it may; no session and no task is left behind.
//!
//! `cargo run --release --example simulate` lives any number of them. The [`grid`] measures what a
//! TCP connection gets through paths that delay, lose and reorder.

mod errand;
mod fault;
pub mod grid;
mod held;
mod journal;
mod run;
mod scenario;
mod server;
mod site;
mod talk;
mod truth;
mod world;

pub use crate::{
    errand::Errand,
    fault::Fault,
    journal::Tally,
    run::Run,
    scenario::{Farewell, Mishap, Path, Scenario},
    server::ServerKind,
    talk::{Talk, Whom},
};
