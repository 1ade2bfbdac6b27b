//! The user who called `sudo`

use std::io;

use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

/// The user and the group who called `sudo`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    uid: u32,
    gid: u32,
}

/// The reason why the process is not the caller's
#[derive(Debug, thiserror::Error)]
#[error("cannot become the user {uid}, who called sudo: {error}")]
pub struct NotDropped {
    uid: u32,
    error: io::Error,
}

impl Caller {
    /// Returns the caller, by the values of `SUDO_UID` and `SUDO_GID`, if this process is root's
    ///
    /// `None` without `sudo`, and if root has called it.
    pub fn find(uid: Option<&str>, gid: Option<&str>) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let (uid, gid) = (uid?.parse().ok()?, gid?.parse().ok()?);
        (uid != 0).then_some(Self { uid, gid })
    }

    /// Gives this thread to the caller for good, and with it each thread that it makes later
    ///
    /// It has the caller's first group and no other. All capabilities are gone with root.
    ///
    /// # Errors
    /// The system refuses: to go on as root would be a surprise.
    pub fn become_it(self) -> Result<(), NotDropped> {
        let Self { uid, gid } = self;
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let changed = set_thread_groups(&[group])
            .and_then(|()| set_thread_res_gid(group, group, group))
            .and_then(|()| set_thread_res_uid(user, user, user));
        changed.map_err(|error| NotDropped { uid, error: error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_has_a_caller_and_only_another_user_is_one() {
        let found = |uid, gid| Caller::find(uid, gid);
        let someone = geteuid().is_root().then_some(Caller { uid: 1000, gid: 100 });
        assert_eq!(found(Some("1000"), Some("100")), someone);
        for (uid, gid) in [
            (None, None),
            (Some("1000"), None),
            (Some("0"), Some("0")),
            (Some("-1"), Some("100")),
            (Some("1000"), Some("a")),
        ] {
            assert_eq!(found(uid, gid), None, "{uid:?} {gid:?}");
        }
    }
}
