//! One site, without a configuration: `connect`
//!
//! | file | content |
//! |---|---|
//! | `arguments` | the arguments, with the letters of ssh |
//! | `settings` | the settings that they ask for |
//! | `configuration` | the configuration that does the same, as text |
//! | `command` | the command |

mod arguments;
mod command;
mod configuration;
mod settings;

pub(super) use self::command::no_client;
pub use self::{
    arguments::{ConnectArguments, ForwardArgument, InvalidArgument, PortArgument},
    command::connect,
};
