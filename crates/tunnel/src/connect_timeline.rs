//! The times of a connect's phases

use std::{
    fmt,
    time::{Duration, Instant},
};

/// The phases of a connection, in the order in which they are reached
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The server's name is being resolved
    Resolve,
    /// TCP to port 1723 is being opened
    TcpConnect,
    /// Start-Control-Connection-Request is out (RFC 2637 §2.1)
    ControlConnection,
    /// Outgoing-Call-Request is out (RFC 2637 §2.7)
    Call,
    /// LCP negotiates, for the first time over GRE (RFC 1661)
    LinkControl,
    /// MS-CHAPv2 runs (RFC 2759)
    Authentication,
    /// CCP and IPCP negotiate, beside each other (RFC 1962, RFC 1332)
    Network,
    /// IP packets flow
    Up,
}

impl Phase {
    /// All phases, in order
    pub const ALL: [Self; 8] = [
        Self::Resolve,
        Self::TcpConnect,
        Self::ControlConnection,
        Self::Call,
        Self::LinkControl,
        Self::Authentication,
        Self::Network,
        Self::Up,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "name resolution",
            Self::TcpConnect => "TCP connect",
            Self::ControlConnection => "control connection",
            Self::Call => "call",
            Self::LinkControl => "LCP",
            Self::Authentication => "authentication",
            Self::Network => "CCP and IPCP",
            Self::Up => "up",
        })
    }
}

/// The times at which each phase of a connect was entered, and so how long each took
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTimeline {
    started: Instant,
    /// Milliseconds after `started` at which a phase was entered, [`NEVER`] for one that was not.
    entered: [u32; Phase::ALL.len()],
    phase: Phase,
    ended: u32,
}

const NEVER: u32 = u32::MAX;

impl ConnectTimeline {
    /// A timeline that begins now, with [`Phase::Resolve`]
    pub fn new(now: Instant) -> Self {
        let mut timeline = Self {
            started: now,
            entered: [NEVER; Phase::ALL.len()],
            phase: Phase::Resolve,
            ended: NEVER,
        };
        timeline.enter(now, Phase::Resolve);
        timeline
    }

    /// Notes that `phase` was reached; a phase keeps the time of its first entry
    ///
    /// After [`ConnectTimeline::end`] the attempt goes on: a server is dialled once more.
    pub fn enter(&mut self, now: Instant, phase: Phase) {
        let millis = self.millis(now);
        if let Some(entered) = self.entered.get_mut(phase as usize)
            && *entered == NEVER
        {
            *entered = millis;
        }
        self.phase = phase;
        self.ended = NEVER;
    }

    /// Notes that the attempt is over, so that the last phase's share is known
    pub fn end(&mut self, now: Instant) {
        if self.ended == NEVER {
            self.ended = self.millis(now);
        }
    }

    /// The phase entered last
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the time at which the first phase was entered
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// From the start to the moment in which `phase` was entered first, in milliseconds
    pub fn reached(&self, phase: Phase) -> Option<Duration> {
        let entered = self.entered.get(phase as usize).copied().filter(|at| *at != NEVER)?;
        Some(Duration::from_millis(entered.into()))
    }

    /// Returns the time that each phase took, in order: to the entry of the next one, or to the end
    pub fn shares(&self) -> impl Iterator<Item = (Phase, Duration)> {
        let reached = || Phase::ALL.into_iter().filter_map(|p| Some((p, self.reached(p)?)));
        let end = (self.ended != NEVER).then(|| Duration::from_millis(self.ended.into()));
        reached()
            .zip(reached().skip(1).map(|(_, at)| Some(at)).chain([end]))
            .filter_map(|((phase, from), to)| Some((phase, to?.saturating_sub(from))))
            .filter(|(phase, _)| *phase != Phase::Up)
    }

    fn millis(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.started);
        u32::try_from(since.as_millis()).unwrap_or(NEVER).min(NEVER - 1)
    }
}

/// `TCP connect 20 ms, control connection 20 ms, …`
impl fmt::Display for ConnectTimeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (phase, share)) in self.shares().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{phase} {} ms", share.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_gets_its_share() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timeline = ConnectTimeline::new(start);
        timeline.enter(at(5), Phase::TcpConnect);
        timeline.enter(at(25), Phase::ControlConnection);
        timeline.enter(at(30), Phase::ControlConnection);
        assert_eq!(timeline.to_string(), "name resolution 5 ms, TCP connect 20 ms");
        timeline.end(at(1025));
        timeline.end(at(9999));
        assert_eq!(
            timeline.to_string(),
            "name resolution 5 ms, TCP connect 20 ms, control connection 1000 ms"
        );
        assert_eq!(timeline.phase(), Phase::ControlConnection);
        assert_eq!(timeline.reached(Phase::Call), None);
    }
}
