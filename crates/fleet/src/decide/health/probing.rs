//! The application probe of a site: when it is due, and what its results say

use std::time::{Duration, Instant};

use super::Fact;

/// The application probe of a site
#[derive(Debug, Default)]
pub(super) struct Probing {
    step: Step,
    /// The time at which the latest probe was begun
    begun: Option<Instant>,
    results: Option<Results>,
}

/// The results of a site's probes
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Results {
    /// Fewer than [`MAX_FAILURES`] failures in a row
    pub(crate) is_ok: bool,
    /// The time since which it is so
    pub(crate) since: Instant,
    pub(crate) last_error: Option<String>,
    /// Failures in a row
    pub(crate) failures: u32,
}

/// The step of a probe
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Step {
    /// No packet passes
    #[default]
    Off,
    /// The next probe is begun at this time
    Due(Instant),
    /// The probe before was answered. If nothing was received for a while at this time, the next one is begun
    Look(Instant),
    /// A probe is to be begun
    Wanted,
    /// A probe is under way, until this time at the latest
    UnderWay(Instant),
}

impl Probing {
    pub(super) const fn results(&self) -> Option<&Results> {
        self.results.as_ref()
    }

    /// Notes that packets pass: the device is asked at once
    pub(super) fn start(&mut self, now: Instant) {
        let earliest = self.begun.and_then(|begun| begun.checked_add(AFTER_FAILURE));
        self.step = Step::Due(earliest.map_or(now, |at| at.max(now)));
    }

    /// Notes that no packet passes: a probe under way says nothing of the device
    pub(super) fn stop(&mut self) {
        self.step = Step::Off;
        // it may have been the line
        if let Some(results) = self.results.as_mut().filter(|results| results.is_ok) {
            results.failures = 0;
        }
    }

    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        result: Result<(), String>,
    ) -> Option<Fact> {
        let Step::UnderWay(_) = self.step else { return None };
        let begun = self.begun.unwrap_or(now);
        let (pause, step): (_, fn(Instant) -> Step) = match result {
            Ok(()) => (SILENCE, Step::Look),
            Err(_) => (AFTER_FAILURE, Step::Due),
        };
        self.step = step(begun.checked_add(pause).unwrap_or(now).max(now));
        let new = || Results { is_ok: true, since: now, last_error: None, failures: 0 };
        let results = self.results.get_or_insert_with(new);
        let was_ok = results.is_ok;
        let fact = match result {
            Ok(()) => {
                results.failures = 0;
                results.is_ok = true;
                (!was_ok).then_some(Fact::ProbeAnswered)
            }
            Err(error) => {
                results.failures = results.failures.saturating_add(1);
                results.is_ok = results.failures < MAX_FAILURES;
                results.last_error = Some(error.clone());
                (was_ok && !results.is_ok).then_some(Fact::ProbeFailed(error))
            }
        };
        if was_ok != results.is_ok {
            results.since = now;
        }
        fact
    }

    pub(super) fn handle_begun(&mut self, now: Instant) {
        if self.step == Step::Wanted {
            self.begun = Some(now);
            self.step = Step::UnderWay(now.checked_add(MAX_TIME_OF_TASK).unwrap_or(now));
        }
    }

    /// Returns true if the probe under way should have ended before
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.step, Step::UnderWay(until) if until <= now)
    }

    /// Returns true if the next probe is due, which is to be begun then
    pub(super) fn is_due(
        &mut self,
        now: Instant,
        last_received: impl FnOnce() -> Option<Instant>,
    ) -> bool {
        self.step = match self.step {
            Step::Due(at) if at <= now => Step::Wanted,
            Step::Look(at) if at <= now => match self.due(now, last_received()) {
                due if due > now => Step::Look(due),
                _ => Step::Wanted,
            },
            _ => return false,
        };
        self.step == Step::Wanted
    }

    /// The time of the probe after one that was answered
    fn due(&self, now: Instant, last_received: Option<Instant>) -> Instant {
        let begun = self.begun.unwrap_or(now);
        let silent_since = last_received.map_or(begun, |at| at.max(begun));
        let silent = silent_since.checked_add(SILENCE).unwrap_or(now);
        begun.checked_add(INTERVAL).unwrap_or(now).min(silent)
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.step {
            Step::Off | Step::Wanted => None,
            Step::Due(at) | Step::Look(at) | Step::UnderWay(at) => Some(at),
        }
    }
}

/// The time after which a probe without an answer has failed
pub(crate) const MAX_PROBE_TIME: Duration = Duration::from_secs(5);

/// The time after which a probe's task is taken for lost
const MAX_TIME_OF_TASK: Duration = Duration::from_secs(6);

/// The time between the beginnings of two probes that are answered: devices fail while lines are well
const INTERVAL: Duration = Duration::from_mins(1);

/// The time without a packet after which a probe does not wait for the interval
const SILENCE: Duration = Duration::from_secs(30);

/// The time between the beginning of a probe that failed and the next, and the least between any two
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The failures in a row that are told: a packet may be lost, and a device may start anew
const MAX_FAILURES: u32 = 3;
