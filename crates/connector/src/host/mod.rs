//! Life on a host: what the process gives up once it has what it needs, and what it tells its service manager
//!
//! | file | content |
//! |---|---|
//! | `confinement` | the whole of it: landlock, and no capabilities; what a reload cannot have any more |
//! | `folders` | the folders that a confined daemon reads and writes |
//! | `landlock` | the kernel's rules for them |
//! | `capabilities` | the capabilities of the thread, and those that are kept |
//! | `user` | the user who called `sudo` |
//! | `notify` | the service manager's socket: READY, RELOADING, STATUS, STOPPING, WATCHDOG |
//! | `watchdog` | its feeder |
//!
//! Landlock and capabilities belong to a thread, and a new thread has those of the one that made it. So a process
//! confines itself while it has one thread only: before the runtime, and before the thread of its log.

mod capabilities;
mod confinement;
mod folders;
mod landlock;
mod notify;
mod user;
mod watchdog;

pub use self::{
    capabilities::{Capabilities, give_up},
    confinement::{Confinement, NotConfined},
    folders::Folders,
    landlock::Landlock,
    notify::Notifier,
    user::{Caller, NotDropped},
    watchdog::{Watchdog, feed},
};
