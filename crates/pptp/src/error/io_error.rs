//! The `io::Error` that a socket fails with, and the way back to its reason

use std::{error::Error, io};

use super::TunnelError;

impl TunnelError {
    /// Returns the I/O error that calls on the tunnel fail with
    ///
    /// [`TunnelError::from_io`] finds this error in it again.
    pub fn to_io(&self) -> io::Error {
        self.clone().into()
    }

    /// Finds the end of a tunnel in the error of one of its sockets; `None` if the tunnel had no part in it
    ///
    /// `None` says that the tunnel had no part in it: a peer that refused the connection, for instance.
    /// An `io::Error` that other libraries put around the socket's own is looked into.
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        Self::find(error.get_ref()?)
    }

    /// Returns the first end of a tunnel among an error and its sources
    ///
    /// For errors of libraries that use a tunnel's sockets. At most 32 sources are looked at.
    pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        for _ in 0..MAX_SOURCES {
            let error = next?;
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // an `io::Error` is no source of itself: its `source` is that of the error within
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(within) => Some(within),
                None => error.source(),
            };
        }
        None
    }
}

impl From<TunnelError> for io::Error {
    fn from(error: TunnelError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

/// Sources that are looked at: an error may be its own source
const MAX_SOURCES: usize = 32;

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::*;
    use crate::{error::TunnelFailure, info::ConnectTimeline};

    /// An error that other libraries put around another
    #[derive(Debug, thiserror::Error)]
    #[error("around")]
    struct Around(#[source] Box<dyn Error + Send + Sync>);

    /// An error that is its own source
    #[derive(Debug)]
    struct Endless;

    impl std::fmt::Display for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("endless")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Self)
        }
    }

    fn closed() -> TunnelError {
        TunnelError::new(TunnelFailure::Closed, ConnectTimeline::new(Instant::now()))
    }

    #[test]
    fn an_io_error_has_the_reason_and_gives_it_back() {
        let error = closed();
        for io in [error.to_io(), error.clone().into()] {
            assert_eq!(io.kind(), error.io_kind());
            assert_eq!(TunnelError::from_io(&io), Some(&error));
            assert_eq!(io.to_string(), error.to_string());
        }
    }

    #[test]
    fn what_is_around_the_reason_is_looked_into() {
        let error = closed();
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(error.clone());
        let layers: [io::Error; 4] = [
            io::Error::other(Around(Box::new(error.clone()))),
            io::Error::other(error.to_io()),
            io::Error::other(Around(Box::new(io::Error::other(error.to_io())))),
            io::Error::other(Around(Box::new(Around(Box::new(error.to_io()))))),
        ];
        for io in layers {
            assert_eq!(TunnelError::from_io(&io), Some(&error), "{io:?}");
        }
        assert_eq!(TunnelError::find(&Around(Box::new(error.to_io()))), Some(&error));
        assert_eq!(TunnelError::find(&*shared), Some(&error));
    }

    #[test]
    fn other_errors_have_no_tunnel_in_them() {
        let other = [
            io::Error::other("something else"),
            io::ErrorKind::ConnectionRefused.into(),
            io::Error::from_raw_os_error(1),
            io::Error::other(Endless),
        ];
        for io in other {
            assert_eq!(TunnelError::from_io(&io), None, "{io:?}");
        }
    }
}
