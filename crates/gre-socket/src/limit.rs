//! The number of descriptors that the process may open

use std::io;

#[cfg(target_os = "linux")]
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The process may not open as many descriptors as it needs
#[derive(Debug, thiserror::Error)]
#[error(
    "{needed} open files are needed but the limit is {limit}: raise RLIMIT_NOFILE \
     (`ulimit -n {needed}`, or LimitNOFILE={needed} in a systemd unit)"
)]
pub struct FileLimit {
    /// The number that is needed
    pub needed: u64,
    /// The number that is allowed, after all attempts to raise it
    pub limit: u64,
    /// The reason why the limit could not be raised
    #[source]
    pub source: io::Error,
}

/// Raises `RLIMIT_NOFILE` to at least `needed` descriptors; returns the limit then in effect
///
/// Each tunnel needs one descriptor for its control connection. The soft limit is raised up to the
/// hard one without a privilege; the hard limit only with `CAP_SYS_RESOURCE`. A limit that suffices is left
/// alone, and one that cannot suffice is raised as far as it goes before the error says so.
///
/// # Errors
/// A limit that is too low; on systems that are not Linux always, since they have limits of other kinds.
#[cfg(target_os = "linux")]
pub fn raise_file_limit(needed: u64) -> Result<u64, FileLimit> {
    let failed = |limit, source: nix::Error| FileLimit { needed, limit, source: source.into() };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|source| failed(0, source))?;
    if soft >= needed {
        return Ok(soft);
    }
    let Err(source) = setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)) else {
        return Ok(needed);
    };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    Err(failed(if raised { hard } else { soft }, source))
}

/// Fails: the limits of this system are of another kind
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn raise_file_limit(needed: u64) -> Result<u64, FileLimit> {
    Err(FileLimit { needed, limit: 0, source: io::ErrorKind::Unsupported.into() })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_suffices_is_left_alone() {
        // The other test may raise it meanwhile.
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let limit = raise_file_limit(1).unwrap();
        assert!(limit == soft || limit == hard);
    }

    #[test]
    fn a_number_no_kernel_allows_is_named_in_the_error_and_all_is_done_that_can_be() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let error = raise_file_limit(1 << 40).unwrap_err();
        assert_eq!((error.needed, error.limit), (1 << 40, hard));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
        assert!(error.to_string().contains("1099511627776"), "{error}");
        assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
    }
}
