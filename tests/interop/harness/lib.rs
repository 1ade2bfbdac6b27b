//! What the interop tests stand on: the lab with its real servers, and a test runner that starts it.
//!
//! A run goes through two processes. The first, [`run()`] as `cargo test` starts it, checks that
//! everything needed is there, builds the examples, brings the lab up, and starts the same program
//! again inside the lab's network namespace. The second runs the trials, so that the library under
//! test is called in the very process that reports. The first takes the lab down, whatever happened.
//!
//! Without `PPTP_INTEROP=1` in the environment nothing is started and every trial is ignored. With it
//! whatever is missing is a failure.

mod capture;
mod certificates;
mod content;
mod daemon;
mod device_program;
mod dial;
mod dockerd;
mod end;
mod fault;
mod http;
mod lab;
mod network;
mod program;
mod resolver;
mod run;
mod soak;
mod transfer;
mod trial;

pub use capture::{Capture, Recording};
pub use certificates::Certificates;
pub use content::{download, upload};
pub use daemon::Daemon;
pub use device_program::DeviceProgram;
pub use dial::{config, connect_past_pptpd, dial, dial_with};
pub use dockerd::Dockerd;
pub use end::{End, detection};
pub use fault::{KillableServer, Moved, Pause, Process, Unplugged, WithoutEchoes};
pub use http::get;
pub use lab::{Building, DEVICE, Delay, Journal, Lab, PASSWORD, ROUTER, USER};
pub use network::{Nft, Route, Vpn, Watch, Way};
pub use pptp_test_support::digest::sha256;
pub use program::{Example, Finished, Program};
pub use resolver::Resolver;
pub use run::{Stage, run};
pub use soak::Soak;
pub use transfer::{SIXTEEN_MEBIBYTES, Transfer};
pub use trial::{Outcome, trial, trial_beside, trial_within};
