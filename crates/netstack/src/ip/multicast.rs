//! The groups the stack listens to

use std::net::Ipv4Addr;

use super::Address;
use crate::{
    SocketError,
    engine::Engine,
    shared::time::{NEVER, Time},
};

/// The groups the stack listens to, and when the engine has to speak of them (IGMP version 2, RFC 2236)
///
/// The engine answers a router's query some time later, but has no deadline for it.
#[derive(Debug, Default)]
pub(crate) struct Multicast {
    /// Each group with the number of sockets that joined it
    groups: Vec<(Address, u32)>,
    due: Option<Time>,
    /// Time between two reports, and how many are still to come
    reports: (Time, u32),
}

impl Multicast {
    pub(crate) fn join(
        &mut self,
        group: Address,
        engine: &mut Engine,
        now: Time,
    ) -> Result<(), SocketError> {
        if let Some((_, members)) = self.groups.iter_mut().find(|(joined, _)| *joined == group) {
            *members = members.saturating_add(1);
            return Ok(());
        }
        engine.join(group)?;
        self.groups.push((group, 1));
        self.due = Some(now);
        Ok(())
    }

    pub(crate) fn leave(&mut self, group: Address, engine: &mut Engine, now: Time) {
        let Some(at) = self.groups.iter().position(|(joined, _)| *joined == group) else { return };
        let Some((_, members)) = self.groups.get_mut(at) else { return };
        *members = members.saturating_sub(1);
        if *members == 0 {
            self.groups.swap_remove(at);
            if self.groups.is_empty() {
                self.groups = Vec::new();
            }
            engine.leave(group);
            self.due = Some(now);
        }
    }

    pub(crate) fn join_again(&mut self, engine: &mut Engine) {
        for (group, _) in &self.groups {
            let _ = engine.join(*group);
        }
        self.due = if self.groups.is_empty() { None } else { Some(0) };
    }

    /// Returns true if any socket listens to the group
    pub(crate) fn holds(&self, group: Address) -> bool {
        self.groups.iter().any(|(joined, _)| *joined == group)
    }

    /// Takes note of a membership query: its times are those at which the engine will report
    pub(crate) fn handle_query(&mut self, message: &[u8], now: Time) {
        let &[0x11, response_time, _, _, g0, g1, g2, g3, ..] = message else { return };
        if self.groups.is_empty() {
            return;
        }
        let most = Time::from(response_time).saturating_mul(100_000);
        // a report for each group, and one time more until the engine is done with the query
        let times = u32::try_from(self.groups.len()).unwrap_or(u32::MAX).saturating_add(1);
        let general = Ipv4Addr::new(g0, g1, g2, g3).is_unspecified();
        let (step, count) = match (general, response_time) {
            (true, 0) => (100_000, times),
            (true, _) => (most.checked_div(times.into()).unwrap_or(most), times),
            (false, _) => (most / 4, 1),
        };
        self.reports = (step, count);
        self.due = Some(now.saturating_add(step));
    }

    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Takes note that the engine has sent the reports that were due
    pub(crate) fn done(&mut self, now: Time) {
        let (step, left) = self.reports;
        self.reports = (step, left.saturating_sub(1));
        self.due = (left > 1).then(|| now.saturating_add(step));
    }

    pub(crate) fn next(&self) -> Time {
        self.due.unwrap_or(NEVER)
    }
}
