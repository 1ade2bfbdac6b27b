//! The connect of a tunnel, and its control connection
//!
//! | module | content |
//! |---|---|
//! | `ask` | the tasks that ask the user about the login |
//! | `connecting` | [`Connecting`]: the future that a user holds |
//! | `control_task` | the task that dials and then serves the control connection |
//! | `dial_state` | the part of a tunnel's state that only its connect needs |
//! | `dialling` | a connect under way, and the decision to dial once more |
//! | `login` | [`RefusedLogin`]: the questions to the user when a server refuses a login |
//! | `network` | TCP connections: the kernel's, or those of a network in memory |
//! | `resolver` | the lookup of a server's name |

mod ask;
mod connecting;
pub(crate) mod control_task;
pub(crate) mod dial_state;
pub(crate) mod dialling;
pub(crate) mod login;
pub(crate) mod network;
pub(crate) mod resolver;

pub use self::{
    connecting::Connecting,
    login::{Credentials, RefusedLogin},
};
