//! Lines for people: what happens to the sites

use std::{collections::BTreeMap, fmt, net::Ipv4Addr, time::Duration};

use pptp_fleet::{EventKind, Events, Fleet, HangUp, SiteName, SiteState};
use tokio::{task::unconstrained, time::Instant};
use tokio_util::sync::CancellationToken;

/// Makes lines of a fleet's events: one for each change, none for a failure that is repeated
#[derive(Debug, Default)]
pub struct Narrator {
    told: BTreeMap<SiteName, Told>,
}

/// The latest line about a site
#[derive(Debug, Default)]
struct Told {
    /// The state, and the name of its failure
    key: String,
    /// True if it had a tunnel, of whose end nothing was told yet
    had_tunnel: bool,
}

/// The facts of a site that is up
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpFacts {
    /// Our address in the site's network
    pub inner_address: Ipv4Addr,
    /// The time that the connect took
    pub connect_time: Duration,
}

/// The importance of a line
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// As it should be
    Info,
    /// A site is down, and is dialled again
    Warning,
    /// A person has to act
    Error,
}

/// A line for people
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its importance
    pub importance: Importance,
    /// Its text, without time
    pub text: String,
}

impl Narrator {
    /// Makes the line of an event, if it is worth one; `up` is known of a site that is up
    pub fn line(&mut self, kind: &EventKind, up: Option<UpFacts>, now: Instant) -> Option<Line> {
        match kind {
            EventKind::Site { name, state } => self.site_line(name, state, up, now),
            EventKind::OutageBegan => Some(Line::new(
                Importance::Error,
                "many servers fail together: this machine or its network is out of order; three sites try on",
            )),
            EventKind::OutageEnded => Some(Line::new(
                Importance::Info,
                "a server was reached: the outage of this machine is over",
            )),
            EventKind::FlappingBegan { name } => Some(Line::new(
                Importance::Warning,
                format!("{name}: flapping: it came up four times or more within an hour"),
            )),
            EventKind::FlappingEnded { name } => {
                Some(Line::new(Importance::Info, format!("{name}: it stays up again")))
            }
            EventKind::ProbeFailed { name, error } => Some(Line::new(
                Importance::Warning,
                format!("{name}: degraded: the device behind it does not answer: {error}"),
            )),
            EventKind::ProbeAnswered { name } => Some(Line::new(
                Importance::Info,
                format!("{name}: the device behind it answers again"),
            )),
            EventKind::RolloutPaused { redialled, failed, left } => Some(Line::new(
                Importance::Error,
                format!(
                    "the change is paused: {failed} of {redialled} sites did not come up again with it, and {left} keep \
                     their tunnels; mend the configuration and reload, or: pptp-connector reload --continue"
                ),
            )),
            EventKind::Gap { missed } => Some(Line::new(
                Importance::Warning,
                format!("{missed} events are not told: there were too many"),
            )),
            _ => None,
        }
    }

    fn site_line(
        &mut self,
        name: &SiteName,
        state: &SiteState,
        up: Option<UpFacts>,
        now: Instant,
    ) -> Option<Line> {
        let told = self.told.entry(name.clone()).or_default();
        let line = site_line(state, up, now, told.had_tunnel);
        // on the way to the next attempt: what was told stays told
        let is_on_the_way = match state {
            SiteState::Queued | SiteState::FetchingSecret | SiteState::Dialling { .. } => true,
            SiteState::HangingUp { why } => *why == HangUp::Failed,
            _ => false,
        };
        if is_on_the_way {
            return None;
        }
        let key = key(state);
        let is_told = std::mem::replace(&mut told.key, key.clone()) == key;
        told.had_tunnel = match state {
            SiteState::Up { .. } => true,
            SiteState::Renegotiating { .. } | SiteState::HangingUp { .. } => told.had_tunnel,
            _ => false,
        };
        if matches!(state, SiteState::Removed) {
            self.told.remove(name);
        }
        let line = line.filter(|_| !is_told)?;
        Some(Line { text: format!("{name}: {}", line.text), ..line })
    }
}

impl Line {
    fn new(importance: Importance, text: impl Into<String>) -> Self {
        Self { importance, text: text.into() }
    }

    /// Writes the line to the log
    pub fn log(&self) {
        match self.importance {
            Importance::Info => tracing::info!("{}", self.text),
            Importance::Warning => tracing::warn!("{}", self.text),
            Importance::Error => tracing::error!("{}", self.text),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Writes what happens to the log, until `stop`; what has happened by then is written first
///
/// `events` are those of `fleet`, taken before its first site is set: a task's first step may come late.
pub async fn narrate(fleet: Fleet, mut events: Events, stop: CancellationToken) {
    let mut narrator = Narrator::default();
    loop {
        let event = tokio::select! {
            biased;
            // without a budget: the lines of 3,000 hang-ups are more than a turn of tokio's has
            event = unconstrained(events.next()) => event,
            () = stop.cancelled() => return,
        };
        let Some(event) = event else { return };
        let up = up_facts(&fleet, &event.kind);
        if let Some(line) = narrator.line(&event.kind, up, Instant::now()) {
            line.log();
        }
    }
}

/// Returns what is known of the site of an event, if it is up
pub fn up_facts(fleet: &Fleet, kind: &EventKind) -> Option<UpFacts> {
    let EventKind::Site { name, state: SiteState::Up { .. } } = kind else { return None };
    let info = fleet.site(name.as_str())?.lease()?.info();
    Some(UpFacts { inner_address: info.inner_address, connect_time: info.connect_time })
}

fn site_line(
    state: &SiteState,
    up: Option<UpFacts>,
    now: Instant,
    had_tunnel: bool,
) -> Option<Line> {
    let line = match state {
        SiteState::Up { .. } => match up {
            Some(up) => {
                let took = up.connect_time.as_millis();
                let text = format!("up as {}, connected in {took} ms", up.inner_address);
                Line::new(Importance::Info, text)
            }
            None => Line::new(Importance::Info, "up"),
        },
        SiteState::Renegotiating { .. } => {
            Line::new(Importance::Warning, "the server negotiates anew; nothing passes meanwhile")
        }
        SiteState::HangingUp { why } => Line::new(Importance::Info, format!("hanging up: {why}")),
        SiteState::Waiting { until, failure } => {
            let importance = match failure.class() {
                pptp::Class::Network | pptp::Class::Busy | pptp::Class::Host => Importance::Warning,
                _ => Importance::Error,
            };
            let pause = until.saturating_duration_since(now).as_secs_f32();
            let advice = failure.advice().filter(|_| importance == Importance::Error);
            let advice = advice.map(|advice| format!(" ({advice})")).unwrap_or_default();
            let text = format!("down: {failure}{advice}; next attempt in {pause:.1} s");
            Line::new(importance, text)
        }
        SiteState::Stopped { failure } => {
            Line::new(Importance::Error, format!("stopped: {failure}"))
        }
        SiteState::Down { by } => Line::new(Importance::Info, format!("down by {by}")),
        SiteState::Removed if had_tunnel => Line::new(Importance::Info, "down: Closed"),
        SiteState::Removed => Line::new(Importance::Info, "removed"),
        SiteState::Idle => Line::new(Importance::Info, "idle: it is dialled when somebody uses it"),
        SiteState::Disabled => Line::new(Importance::Info, "disabled"),
        _ => return None,
    };
    Some(line)
}

/// The state and its failure by name: a state with an equal key is not told again
fn key(state: &SiteState) -> String {
    let failure = state.failure().map(|failure| failure.name().to_owned());
    format!("{} {}", state.name(), failure.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use pptp_fleet::{Caller, SiteFailure};

    use super::*;

    fn told(narrator: &mut Narrator, now: Instant, state: SiteState) -> Option<String> {
        let kind = EventKind::Site { name: "b1".parse().unwrap(), state };
        let up = UpFacts {
            inner_address: Ipv4Addr::new(192, 168, 1, 20),
            connect_time: Duration::from_millis(43),
        };
        narrator.line(&kind, Some(up), now).map(|line| line.to_string())
    }

    fn waiting(now: Instant) -> SiteState {
        let failure = SiteFailure::Secret { source: "file x".into(), error: "gone".into() };
        SiteState::Waiting { until: now + Duration::from_millis(1500), failure }
    }

    #[tokio::test(start_paused = true)]
    async fn each_change_has_one_line_and_a_failure_that_is_repeated_none() {
        let now = Instant::now();
        let mut narrator = Narrator::default();
        let mut told = |state| told(&mut narrator, now, state);
        let dialling = SiteState::Dialling { phase: pptp::error::Phase::Resolve };
        assert_eq!(told(dialling.clone()), None, "the outcome is told");
        assert_eq!(told(SiteState::Queued), None);
        assert_eq!(
            told(SiteState::Up { since: now }).unwrap(),
            "b1: up as 192.168.1.20, connected in 43 ms"
        );
        assert_eq!(told(SiteState::HangingUp { why: HangUp::Failed }), None);
        let down =
            "b1: down: the password could not be had from file x: gone; next attempt in 1.5 s";
        assert_eq!(told(waiting(now)).unwrap(), down);
        assert_eq!(told(dialling), None);
        assert_eq!(told(waiting(now)), None, "the same failure again");
        assert!(told(SiteState::Up { since: now }).is_some());
        assert_eq!(told(waiting(now)).unwrap(), down, "after it was up it is news");
        assert_eq!(
            told(SiteState::Down { by: Caller("anna".into()) }).unwrap(),
            "b1: down by anna"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_tunnel_is_told_when_it_is_over() {
        let now = Instant::now();
        let mut narrator = Narrator::default();
        let mut told = |state| told(&mut narrator, now, state);
        told(SiteState::Up { since: now });
        let hanging_up = SiteState::HangingUp { why: HangUp::ShutDown };
        assert_eq!(told(hanging_up).unwrap(), "b1: hanging up: the program ends");
        assert_eq!(told(SiteState::Removed).unwrap(), "b1: down: Closed");
        assert!(narrator.told.is_empty(), "what is gone is forgotten");
    }
}
