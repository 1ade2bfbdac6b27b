//! The work that an answer costs, counted and bounded

use super::{
    answer::{MAX_ALIASES, MAX_RECORDS},
    exchange::{MAX_DATAGRAMS, MAX_QUERIES},
    name::{MAX_NAME, MAX_STEPS},
};

/// The work that an answer has cost so far
///
/// Counted where it is done: a record that is looked at, a label or pointer that is walked, an octet that is
/// copied, a comparison of two names and each octet of it are one each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work(u64);

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
    pub(super) const fn total(self) -> u64 {
        self.0
    }
}

/// The most work that one poll of a lookup can have with DNS answers, whatever they say: 1,396,925
///
/// The unit of [`Stats::dns_work_most`](crate::Stats::dns_work_most). The sum of an answer: the names of the question,
/// of each record looked at and of each alias followed are expanded, each of at most 255 octets behind at most 255
/// labels and pointers; each record's owner is compared with the name that is looked for, once for each alias and once
/// at the end; and what the records say is copied, which is no more than the answer's octets. Beside it a poll looks at
/// the questions of at most 15 messages that answer something else.
pub const MAX_DNS_WORK: u64 = OTHERS * (EACH_NAME + EACH_COMPARISON)
    + NAMES * EACH_NAME
    + COMPARISONS * EACH_COMPARISON
    + RECORDS
    + ANSWER;

/// Of the datagrams of one poll, those that are not the answer
const OTHERS: u64 = (MAX_DATAGRAMS * MAX_QUERIES) as u64 - 1;
const RECORDS: u64 = MAX_RECORDS as u64;
const LOOKS: u64 = MAX_ALIASES as u64 + 1;
const NAMES: u64 = 1 + RECORDS + LOOKS;
const EACH_NAME: u64 = (MAX_STEPS + MAX_NAME) as u64;
const COMPARISONS: u64 = 1 + (LOOKS + 1) * RECORDS;
const EACH_COMPARISON: u64 = 1 + MAX_NAME as u64;
/// Octets of the largest message over TCP
const ANSWER: u64 = u16::MAX as u64;
