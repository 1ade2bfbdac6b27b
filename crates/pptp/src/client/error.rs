//! The reasons why a client could not be made

use pptp_gre_socket::OpenError;

/// The reason why a client could not be made, or is of no more use
///
/// ```no_run
/// use pptp::{Client, ClientError, error::OpenError};
///
/// # fn example() {
/// match Client::new() {
///     Err(ClientError::Socket(OpenError::Unsupported)) => println!("not on this system"),
///     Err(error) => println!("{error}"), // says how to grant what is missing
///     Ok(_client) => {}
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The raw socket could not be opened; the source says what to do
    #[error(transparent)]
    Socket(#[from] OpenError),
    /// More sockets were handed over than a client has drivers
    #[error("{given} raw sockets were handed over: a client has 4 drivers at most")]
    TooManySockets {
        /// The number of sockets
        given: usize,
    },
    /// The same socket was handed over twice
    #[error("the same raw socket was handed over twice: each driver needs one of its own")]
    SameSocket,
    /// The driver runs no more: its runtime was shut down, or a fault of this library ended it
    #[error("the client's driver has stopped: its runtime was shut down, or it panicked")]
    DriverStopped,
    /// There is no tokio runtime here for the driver to run on
    #[error("a client needs a tokio runtime: make it inside one")]
    NoRuntime,
}
