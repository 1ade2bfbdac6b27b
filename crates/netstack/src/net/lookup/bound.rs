//! The bound on the work of one poll of a lookup

use super::exchange::{MAX_DATAGRAMS, MAX_QUERIES};
use crate::dns::{
    answer::{MAX_ALIASES, MAX_RECORDS},
    name::{MAX_NAME, MAX_STEPS},
};

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

/// The datagrams of one poll that are not the answer
const OTHERS: u64 = (MAX_DATAGRAMS * MAX_QUERIES) as u64 - 1;
const RECORDS: u64 = MAX_RECORDS as u64;
const LOOKS: u64 = MAX_ALIASES as u64 + 1;
const NAMES: u64 = 1 + RECORDS + LOOKS;
const EACH_NAME: u64 = (MAX_STEPS + MAX_NAME) as u64;
const COMPARISONS: u64 = 1 + (LOOKS + 1) * RECORDS;
const EACH_COMPARISON: u64 = 1 + MAX_NAME as u64;
/// Octets of the largest message over TCP
const ANSWER: u64 = u16::MAX as u64;
