//! Connections that are over on this side: a small record each, without buffers

mod record;
#[cfg(test)]
mod tests;

use pptp_packet::Egress;

use self::record::Record;
pub(super) use self::record::{Answer, FinalNumbers};
use crate::{
    engine::{BareSegment, Control, Segment},
    ip::Flow,
    shared::time::{NEVER, Time},
};

/// The records of connections that are over on this side (RFC 9293 §3.3.2: TIME-WAIT, and FIN-WAIT-2 of a
/// connection that has no user any more)
///
/// The engine keeps a socket with both its buffers for them. This side only needs an answer to the
/// peer's FIN, and the numbers that tell a true FIN from a forged one.
#[derive(Debug, Default)]
pub(super) struct Closing {
    records: Vec<Record>,
}

impl Closing {
    pub(super) fn insert(&mut self, flow: Flow, numbers: FinalNumbers, time_wait: bool, now: Time) {
        self.records.retain(|record| !record.is_of(&flow));
        if self.records.len() >= MAX_RECORDS {
            self.records.remove(0);
        }
        self.records.push(Record::new(flow, numbers, time_wait, now));
    }

    pub(super) fn handle(&mut self, segment: &Segment, now: Time) -> Answer {
        let flow = Flow { local: segment.local, peer: segment.peer };
        let at = self.records.iter().position(|record| record.is_of(&flow));
        let Some(at) = at else { return Answer::NotOurs };
        let Some(record) = self.records.get_mut(at) else { return Answer::NotOurs };
        let (answer, is_over) = record.handle(segment, now);
        if is_over {
            self.records.swap_remove(at);
        }
        answer
    }

    /// Forgets a connection; returns the number above which the next one between its ports begins
    pub(super) fn take(&mut self, flow: &Flow) -> Option<i32> {
        let at = self.records.iter().position(|record| record.is_of(flow))?;
        Some(self.records.swap_remove(at).sent())
    }

    pub(super) fn holds(&self, flow: &Flow) -> bool {
        self.records.iter().any(|record| record.is_of(flow))
    }

    pub(super) fn sweep(&mut self, now: Time) {
        if self.next() <= now {
            self.records.retain(|record| record.until() > now);
            if self.records.is_empty() {
                self.records = Vec::new();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.records = Vec::new();
    }

    /// The time at which the next record is due
    pub(super) fn next(&self) -> Time {
        self.records.iter().map(Record::until).min().unwrap_or(NEVER)
    }
}

/// Composes the answer to a segment
pub(super) fn compose(answer: Answer, segment: &Segment, out: &mut impl Egress) -> bool {
    let (source, destination) = (segment.local, segment.peer);
    let composed = match answer {
        Answer::Acknowledgment(FinalNumbers { sent, received, window }) => BareSegment {
            source,
            destination,
            control: Control::None,
            sequence: sent,
            acknowledgment: Some(received),
            // there is no reader any more: the window only keeps the peer from waiting
            window: u16::try_from(window).unwrap_or(u16::MAX),
        },
        Answer::Reset => BareSegment {
            source,
            destination,
            control: Control::Rst,
            sequence: segment.acknowledgment,
            acknowledgment: None,
            window: 0,
        },
        Answer::Nothing | Answer::Reopens | Answer::NotOurs => return false,
    };
    composed.compose(out);
    true
}

/// The largest number of records; beyond it the oldest one is dropped
const MAX_RECORDS: usize = 128;
