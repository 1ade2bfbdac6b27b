//! Keeps PPTP tunnels to many sites and lets ordinary tools reach them, whatever their addresses
//!
//! This is the library of the program `pptp-connector`, for its tests and its fuzzers. Programs in Rust use
//! `pptp_fleet` instead.
//!
//! | module | content |
//! |---|---|
//! | `configuration` | the settings from files, with all problems at once |
//! | `settings` | the settings of the program, as plain values |
//! | `seal` | sealed passwords |
//! | `state_dir` | the folder of what outlives the process |
//! | `deals` | the loopback addresses that are dealt out to sites |
//! | `directory` | the sites by their names, as the ways in see them |
//! | `hex` | octets as hexadecimal digits |
//! | `passwords` | passwords of many sites, some at a time |
//! | `unix` | unix sockets, and names of users and groups |
//! | `target` | a host and a port behind a site |
//! | `way_in` | forwards and proxies |
//! | `daemon` | a fleet with its ways in |
//! | `host` | what the process gives up, and what it tells its service manager |
//! | `api` | the control interface |
//! | `cli` | the command line |
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod api;
pub mod cli;
pub mod configuration;
pub mod daemon;
pub mod deals;
pub mod directory;
mod hex;
pub mod host;
mod passwords;
pub mod seal;
pub mod settings;
pub mod state_dir;
pub mod target;
pub mod unix;
pub mod way_in;
