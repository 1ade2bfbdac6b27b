//! The commands that ask a daemon
//!
//! | file | content |
//! |---|---|
//! | `daemon` | the way to the daemon: requests and their failures |
//! | `terminal` | where a command writes |
//! | `choice` | the sites that an argument chooses |
//! | `show`, `render` | `show`, and its texts |
//! | `act` | `up`, `down`, `restart` |
//! | `events` | `events` |
//! | `examine` | `ping`, `doctor` |
//! | `record` | `capture`, `flight-record` |
//! | `reload` | `reload` |
//! | `metrics` | `metrics` |
//!
//! Each command is a function of the socket's path, its arguments and a [`Terminal`]. It returns the exit code.

mod act;
mod choice;
mod daemon;
mod events;
mod examine;
mod metrics;
mod record;
mod reload;
mod render;
mod show;
mod terminal;

pub use self::{
    act::{ActArguments, down, restart, up},
    choice::{Choice, InvalidChoice},
    daemon::{Answer, Daemon, Failure},
    events::{EventsArguments, events},
    examine::{DoctorArguments, PingArguments, doctor, ping},
    metrics::{MetricsArguments, metrics},
    record::{CaptureArguments, FlightRecordArguments, capture, flight_record},
    reload::{ReloadArguments, reload},
    show::{ShowArguments, show},
    terminal::{Captured, Terminal},
};
