//! KNX forwards: KNXnet/IP over UDP, with the endpoints inside of its frames set right
//!
//! The decisions are those of [`pptp_knxnetip::relay::Relay`]. Here are its sockets.
//!
//! | file | content |
//! |---|---|
//! | `serve` | the loop of a forward |
//! | `change` | settings that change while it runs |
//! | `inner` | the task of an inner socket |
//! | `datagrams` | the clients' socket: to which address a datagram was sent, which port refuses |
//! | `kernel` | the same with the kernel's socket |

mod change;
mod datagrams;
mod inner;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(not(target_os = "linux"))]
#[path = "kernel_elsewhere.rs"]
mod kernel;
mod serve;

pub(super) use self::{datagrams::KnxDatagrams, serve::serve};
