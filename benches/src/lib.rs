//! What is fast, measured against its bound
//!
//! Each module measures a part of the house and gives [`Figure`]s; the bench of the same name prints
//! them after criterion's own run. Figures are ratios of CPU time within one run ([`measure`]), so
//! that they hold on another machine and beside other work.

pub mod allocations;
pub mod batches;
mod bulk_server;
pub mod connect_storm;
pub mod fairness;
mod figure;
pub mod gate;
pub mod gre;
pub mod heap;
pub mod idle;
pub mod lossy;
pub mod lossy_lab;
pub mod machine;
pub mod measure;
mod memory_tunnel;
pub mod mppe;
pub mod netstack;
pub mod parts;
pub mod path;
pub mod per_tunnel_throughput;
pub mod ppp;
pub mod process;
pub mod prose;
pub mod raw_path;
pub mod reordering;
pub mod servers;
pub mod side_by_side;
pub mod socket;
pub mod suite;
pub mod tunnel_path;
mod upload;
pub mod window;
pub mod wire;

pub use figure::{Figure, Goal, print};
