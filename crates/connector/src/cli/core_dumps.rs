//! Core dumps: none of a process that has passwords

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::{client::Failure, exit::Exit};

/// Keeps the memory of this process out of core dumps, and from debuggers of its user
///
/// # Errors
/// The system refuses.
pub(super) fn forbid() -> Result<(), Failure> {
    let forbidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    forbidden.map_err(|error| {
        let message = format!("cannot keep passwords out of core dumps: {error}");
        Failure::new(Exit::Program, message)
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn a_process_with_passwords_leaves_no_core() {
        forbid().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
