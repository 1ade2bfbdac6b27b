//! The capabilities of the thread, and those that are kept

use std::{fmt, io};

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
        set_no_new_privs,
    },
};

/// The capabilities that a process has kept
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(CapabilitySet);

impl Capabilities {
    /// No capability
    pub const NONE: Self = Self(CapabilitySet::empty());

    /// Returns what marks packets at each dial: `CAP_NET_ADMIN`, or else `CAP_NET_RAW`, which is enough from Linux 5.17 on
    ///
    /// Nothing if the thread has neither.
    ///
    /// # Errors
    /// The system does not tell what the thread has.
    pub fn for_marks() -> io::Result<Self> {
        let permitted = capabilities(None)?.permitted;
        let is_admin = permitted.contains(CapabilitySet::NET_ADMIN);
        let wanted = if is_admin { CapabilitySet::NET_ADMIN } else { CapabilitySet::NET_RAW };
        Ok(Self(permitted & wanted))
    }
}

/// Gives up all capabilities of this thread but those that are kept, also for programs that it might start
///
/// Threads that this one makes later have no more. The bounding set is emptied as far as the system permits, which
/// takes `CAP_SETPCAP`; `no_new_privs` holds without it.
///
/// # Errors
/// The system refuses.
pub fn give_up(keep: Capabilities) -> io::Result<()> {
    set_no_new_privs(true)?;
    empty_bounding_set(keep.0)?;
    clear_ambient_capability_set()?;
    let sets = CapabilitySets {
        effective: keep.0,
        permitted: keep.0,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

fn empty_bounding_set(keep: CapabilitySet) -> io::Result<()> {
    for capability in CapabilitySet::all().difference(keep) {
        let removed = match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        match removed {
            // no `CAP_SETPCAP`; or a kernel that does not know the capability
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no capabilities");
        }
        let names: Vec<_> = self.0.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
        write!(f, "no capability but {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::thread::no_new_privs;

    use super::*;

    #[test]
    fn a_thread_that_gave_all_up_has_nothing_left_and_neither_have_threads_that_it_makes() {
        let seen = || (capabilities(None).unwrap(), no_new_privs().unwrap());
        let given_up = thread::spawn(move || {
            give_up(Capabilities::NONE).unwrap();
            [seen(), thread::spawn(seen).join().unwrap()]
        });
        for (sets, is_restricted) in given_up.join().unwrap() {
            let none = CapabilitySet::empty();
            assert_eq!([sets.effective, sets.permitted, sets.inheritable], [none; 3]);
            assert!(is_restricted);
        }
        assert!(!no_new_privs().unwrap(), "it concerns a thread, and this one gave nothing up");
    }

    #[test]
    fn what_is_kept_is_named() {
        assert_eq!(Capabilities::NONE.to_string(), "no capabilities");
        let kept = Capabilities(CapabilitySet::NET_ADMIN);
        assert_eq!(kept.to_string(), "no capability but CAP_NET_ADMIN");
    }
}
