//! The command line
//!
//! | file | content |
//! |---|---|
//! | `program` | the program: its arguments, its runtime, its log |
//! | `client` | the commands that ask a daemon: `show`, `up`, `doctor` … |
//! | `connect` | one site, without a configuration |
//! | `run` | the daemon with its files |
//! | `check` | the configuration without the daemon |
//! | `demo` | three buildings in the process itself |
//! | `nc` | standard input and output, connected to a host behind a site |
//! | `control` | the control socket of a command that runs a daemon |
//! | `core_dumps` | none of a process that has passwords |
//! | `examination` | the findings of a doctor, as lines |
//! | `exit` | the exit codes |
//! | `privileges` | the raw socket that is opened first, and what is given up then |
//! | `runtime` | the runtime, whose threads are made last |
//! | `log` | lines that a thread writes, so that a reader who has stopped holds nothing else |
//! | `insecure`, `password` | arguments that several commands have |
//! | `token` | `token`, `keygen`, `seal` |
//! | `ports` | local ports that nobody has chosen |
//! | `signals` | the signals that end a command |

pub mod check;
pub mod client;
pub mod connect;
mod control;
mod core_dumps;
#[cfg(feature = "demo")]
pub mod demo;
mod examination;
pub mod exit;
pub mod insecure;
mod log;
pub mod nc;
pub mod password;
pub mod ports;
mod privileges;
mod program;
pub mod run;
mod runtime;
mod signals;
pub mod token;

pub use self::program::{check_line, main};

/// Returns a number with its noun: `1 site`, `2 sites`
fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
