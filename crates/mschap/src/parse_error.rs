//! Errors of the texts in Success and Failure packets

/// Reasons why the text of a Success or a Failure packet cannot be read
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A Success does not begin with `S=` and 40 hexadecimal digits
    #[error("no authenticator response in the success message")]
    NoAuthenticatorResponse,
    /// Something other than a message follows the authenticator response
    #[error("octets other than a message behind the authenticator response")]
    TrailingOctets,
    /// A Failure has no readable `E=`
    #[error("no error code in the failure message")]
    NoErrorCode,
}
