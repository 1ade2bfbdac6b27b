//! The events since the start of the daemon, numbered, the latest kept

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use pptp_fleet::{EventKind, Events, SiteName};
use tokio::{sync::watch, time::Instant};

use super::{control::ReloadReport, view::FailureView};

/// The events since the start of the daemon, numbered, the latest kept
///
/// Its readers keep a number each, and no queue: a reader that is slow costs nothing, and is told what it missed.
#[derive(Debug)]
pub struct EventLog {
    epoch: String,
    ring: Mutex<Ring>,
    /// The number of the next event
    next: watch::Sender<u64>,
}

/// The latest events
#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<LoggedEvent>>,
    capacity: usize,
}

/// An event of the log
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// Its number within the log
    pub number: u64,
    /// The time at which it happened
    pub at: Instant,
    /// The word for it: a state's name, `outage-began`, `flapping-began`, `probe-failed`, `rollout-paused`, `reloaded`,
    /// `forward-missing`, `gap` and the like
    pub kind: &'static str,
    /// The site, if it is about one
    pub site: Option<SiteName>,
    /// One line for people
    pub detail: String,
    /// The failure, if there is one
    pub failure: Option<FailureView>,
}

/// The name of an event: the log's epoch and a number, `18c2f-17`
///
/// Another daemon, and the same one after a restart, has another epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventId {
    /// The epoch: letters of hexadecimal numbers
    pub epoch: String,
    /// The number
    pub number: u64,
}

/// A reader of an event log
#[derive(Debug)]
pub struct Reader<'a> {
    log: &'a EventLog,
    next: u64,
    news: watch::Receiver<u64>,
}

impl EventLog {
    /// Makes a log that keeps this many events; it is named after the time at which the daemon was started
    pub fn new(started: SystemTime, capacity: usize) -> Self {
        let millis = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let capacity = capacity.max(MIN_EVENTS);
        Self {
            epoch: format!("{millis:x}"),
            ring: Mutex::new(Ring { events: VecDeque::new(), capacity }),
            next: watch::Sender::new(1),
        }
    }

    /// Keeps at least this many events from now on: four for each site are enough
    pub fn set_capacity(&self, capacity: usize) {
        self.ring().capacity = capacity.max(MIN_EVENTS);
    }

    /// Writes all events of a fleet to the log, until the fleet is gone
    pub async fn follow(&self, mut events: Events) {
        while let Some(event) = events.next().await {
            let (kind, site, detail, failure) = match event.kind {
                EventKind::Site { name, state } => {
                    let failure = state.failure().map(FailureView::new);
                    (state.name(), Some(name), state.to_string(), failure)
                }
                EventKind::OutageBegan => {
                    let detail =
                        "many servers fail together: this machine or its network is out of order";
                    ("outage-began", None, detail.to_owned(), None)
                }
                EventKind::OutageEnded => {
                    ("outage-ended", None, "a server was reached".to_owned(), None)
                }
                EventKind::FlappingBegan { name } => {
                    let detail = "it came up four times or more within an hour";
                    ("flapping-began", Some(name), detail.to_owned(), None)
                }
                EventKind::FlappingEnded { name } => {
                    ("flapping-ended", Some(name), "it stays up again".to_owned(), None)
                }
                EventKind::ProbeFailed { name, error } => ("probe-failed", Some(name), error, None),
                EventKind::ProbeAnswered { name } => {
                    let detail = "the device behind it answers again";
                    ("probe-answered", Some(name), detail.to_owned(), None)
                }
                EventKind::RolloutPaused { redialled, failed, left } => {
                    let detail = format!(
                        "{failed} of {redialled} sites did not come up again; {left} keep their tunnels"
                    );
                    ("rollout-paused", None, detail, None)
                }
                EventKind::Gap { missed } => {
                    ("gap", None, format!("{missed} events are missing"), None)
                }
                // a kind that this crate does not know yet
                _ => continue,
            };
            self.push(event.at, kind, site, detail, failure);
        }
    }

    /// Writes a reload to the log
    pub fn reloaded(&self, report: &ReloadReport) {
        let detail = format!(
            "{} added, {} changed, {} dialled anew, {} removed",
            report.added.len(),
            report.changed.len(),
            report.redialled.len(),
            report.removed.len()
        );
        self.push(Instant::now(), "reloaded", None, detail, None);
    }

    /// Writes to the log that a site was made, changed or removed through the control interface
    pub fn site_changed(&self, site: SiteName, is_removed: bool, by: &str) {
        let (kind, deed) =
            if is_removed { ("site-removed", "removed") } else { ("site-set", "set") };
        self.push(Instant::now(), kind, Some(site), format!("{deed} by {by}"), None);
    }

    /// Writes to the log that a reload changed nothing, and why
    pub fn reload_failed(&self, reason: String) {
        self.push(Instant::now(), "reload-failed", None, reason, None);
    }

    /// Writes to the log that a forward is not open, and is tried again
    pub fn forward_missing(&self, site: Option<SiteName>, reason: String) {
        self.push(Instant::now(), "forward-missing", site, reason, None);
    }

    /// Writes to the log that a forward is open that was missing
    pub fn forward_open(&self, site: Option<SiteName>, forward: String) {
        self.push(Instant::now(), "forward-open", site, forward, None);
    }

    /// Returns the name of the latest event: a reader that begins behind it misses nothing
    pub fn as_of(&self) -> EventId {
        EventId { epoch: self.epoch.clone(), number: self.next.borrow().saturating_sub(1) }
    }

    /// Returns the name of an event
    pub fn id(&self, number: u64) -> EventId {
        EventId { epoch: self.epoch.clone(), number }
    }

    /// Returns a reader of the events behind `id`; without one, of those from now on
    ///
    /// An event of another epoch, and one that was never there, has a gap behind it.
    pub fn reader(&self, id: Option<&EventId>) -> Reader<'_> {
        let news = self.next.subscribe();
        let end = *news.borrow();
        let next = match id {
            None => end,
            Some(id) if id.epoch == self.epoch && id.number < end => id.number.saturating_add(1),
            // older than all: the gap is told
            Some(_) => 0,
        };
        Reader { log: self, next, news }
    }

    fn push(
        &self,
        at: Instant,
        kind: &'static str,
        site: Option<SiteName>,
        detail: String,
        failure: Option<FailureView>,
    ) {
        let mut ring = self.ring();
        let number = *self.next.borrow();
        ring.events.push_back(Arc::new(LoggedEvent { number, at, kind, site, detail, failure }));
        while ring.events.len() > ring.capacity {
            ring.events.pop_front();
        }
        self.next.send_replace(number.saturating_add(1));
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// Waits for the next events, 64 at most; `None` once the log is gone
    ///
    /// Events that are not kept any more are told by one whose kind is `gap`.
    ///
    /// # Cancel safety
    /// No event is lost.
    pub async fn next(&mut self) -> Option<Vec<Arc<LoggedEvent>>> {
        loop {
            self.news.borrow_and_update();
            let events = self.take();
            if !events.is_empty() {
                return Some(events);
            }
            self.news.changed().await.ok()?;
        }
    }

    fn take(&mut self) -> Vec<Arc<LoggedEvent>> {
        let mut taken = Vec::new();
        let ring = self.log.ring();
        let end = *self.log.next.borrow();
        let oldest = ring.events.front().map_or(end, |event| event.number);
        if self.next < oldest {
            let last = oldest.saturating_sub(1);
            taken.push(Arc::new(LoggedEvent {
                number: last,
                at: Instant::now(),
                kind: "gap",
                site: None,
                detail: "events are missing here: list the sites anew".to_owned(),
                failure: None,
            }));
            self.next = oldest;
        }
        let skipped = usize::try_from(self.next.saturating_sub(oldest)).unwrap_or(usize::MAX);
        taken.extend(ring.events.iter().skip(skipped).take(MAX_AT_ONCE).map(Arc::clone));
        if let Some(event) = taken.last() {
            self.next = event.number.saturating_add(1);
        }
        taken
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl std::str::FromStr for EventId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (epoch, number) = text.split_once('-').ok_or(InvalidId)?;
        let is_epoch = (1..=16).contains(&epoch.len())
            && epoch.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
        let is_number = number.bytes().all(|octet| octet.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_number && is_epoch).ok_or(InvalidId)?;
        Ok(Self { epoch: epoch.to_owned(), number })
    }
}

/// The reason why a text is no name of an event
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no event: an event is named `EPOCH-NUMBER`, as in the list that `as_of` is from")]
pub struct InvalidId;

/// The events that are kept at least
const MIN_EVENTS: usize = 4096;

/// The events that a reader takes at a time
const MAX_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> EventLog {
        EventLog::new(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1), 0)
    }

    fn push(log: &EventLog, times: usize) {
        for _ in 0..times {
            log.reload_failed("a typo".into());
        }
    }

    async fn numbers(reader: &mut Reader<'_>) -> Vec<(u64, &'static str)> {
        let events = reader.next().await.unwrap();
        events.iter().map(|event| (event.number, event.kind)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_goes_on_behind_the_event_that_it_has_seen() {
        let log = log();
        assert_eq!(log.as_of().to_string(), "3e8-0");
        push(&log, 3);
        let mut reader = log.reader(Some(&"3e8-1".parse().unwrap()));
        assert_eq!(numbers(&mut reader).await, [(2, "reload-failed"), (3, "reload-failed")]);
        let mut fresh = log.reader(None);
        push(&log, 1);
        assert_eq!(numbers(&mut reader).await, [(4, "reload-failed")]);
        assert_eq!(numbers(&mut fresh).await, [(4, "reload-failed")]);
        assert_eq!(log.as_of().to_string(), "3e8-4");
    }

    #[tokio::test(start_paused = true)]
    async fn another_epoch_and_what_is_not_kept_any_more_have_a_gap_first() {
        let log = log();
        push(&log, 1);
        let mut other = log.reader(Some(&"3e7-900".parse().unwrap()));
        assert_eq!(numbers(&mut other).await, [(0, "gap"), (1, "reload-failed")]);
        let mut future = log.reader(Some(&"3e8-900".parse().unwrap()));
        assert_eq!(numbers(&mut future).await, [(0, "gap"), (1, "reload-failed")]);
        let mut slow = log.reader(Some(&log.as_of()));
        push(&log, MIN_EVENTS + 10);
        let told = numbers(&mut slow).await;
        assert_eq!(told.first(), Some(&(11, "gap")), "events 2 to 11 are gone");
        assert_eq!(told.get(1), Some(&(12, "reload-failed")));
        assert_eq!(log.ring().events.len(), MIN_EVENTS);
    }

    #[test]
    fn only_the_name_of_an_event_is_one() {
        assert_eq!("3e8-7".parse(), Ok(EventId { epoch: "3e8".into(), number: 7 }));
        for text in
            ["", "-", "3e8", "3e8-", "3E8-1", "x-1", "3e8-+1", "3e8--1", "1-99999999999999999999"]
        {
            assert_eq!(text.parse::<EventId>(), Err(InvalidId), "{text}");
        }
    }
}
