//! The work that an answer costs, counted and bounded

/// The work that an answer has cost so far
///
/// Counted where it is done: a record that is looked at, a label or pointer that is walked, an octet that is
/// copied, a comparison of two names and each octet of it are one each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work(u64);

impl Work {
    /// Counts one record, label, pointer or comparison
    pub(super) const fn step(&mut self) {
        self.octets(1);
    }

    /// Counts octets that are copied or compared
    pub(super) const fn octets(&mut self, count: usize) {
        self.0 = self.0.saturating_add(count as u64);
    }

    /// Compares two expanded names
    pub(super) fn is_same(&mut self, one: &[u8], other: &[u8]) -> bool {
        self.step();
        if one.len() != other.len() {
            return false;
        }
        self.octets(one.len());
        one == other
    }

    /// The count
    pub(crate) const fn total(self) -> u64 {
        self.0
    }
}
