//! How long a site that went is left alone before it is dialled again

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use pptp::{TunnelError, error::Class};

/// Pauses between two attempts, which grow while the reason stays of one class
///
/// Each is up to twice as long by chance: sites that went together come back apart.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    growing: Option<(Class, Duration, ExponentialBackoff)>,
}

impl Pauses {
    /// The pause after this end; `None` if the same again would fail again, or this side hung up
    ///
    /// A refused login has an hour at least, and a day at most: it may be an earlier session that is
    /// still alive, and if it is the password, so few attempts lock no account.
    pub(crate) fn after(&mut self, reason: &TunnelError) -> Option<Duration> {
        let (class, least) = (reason.class(), reason.retry_after()?);
        let (least, most) = match class {
            Class::OwnDeed | Class::Configuration => return None,
            Class::Network => (Duration::from_secs(1), Duration::from_mins(1)),
            Class::Busy => (least, Duration::from_mins(5)),
            Class::Operator | Class::Host => (least, Duration::from_hours(1)),
            Class::Credentials => (least, Duration::from_hours(24)),
        };
        let is_same = |growing: &(Class, Duration, ExponentialBackoff)| {
            (growing.0, growing.1) == (class, least)
        };
        if !self.growing.as_ref().is_some_and(is_same) {
            self.growing = Some((class, least, exponential(least, most)));
        }
        let next = self.growing.as_mut().and_then(|(.., pauses)| pauses.next());
        Some(next.unwrap_or(most))
    }

    /// The tunnel was up for long: pauses are short again
    pub(crate) fn start_over(&mut self) {
        self.growing = None;
    }
}

fn exponential(least: Duration, most: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(least)
        .with_max_delay(most)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use pptp::{
        error::{ControlFailure, Failure, LinkFailure},
        info::ConnectTimeline,
    };

    use super::*;

    fn error(failure: impl Into<Failure>) -> TunnelError {
        TunnelError::new(failure.into(), ConnectTimeline::new(std::time::Instant::now()))
    }

    fn login(code: u32) -> TunnelError {
        error(LinkFailure::AuthFailed { code, retry: false, message: String::new() })
    }

    /// So many pauses after the same end, each in hours
    fn hours(pauses: &mut Pauses, reason: &TunnelError, count: usize) -> Vec<f64> {
        let pauses = (0..count).filter_map(|_| pauses.after(reason));
        pauses.map(|pause| pause.as_secs_f64() / 3600.0).collect()
    }

    #[test]
    fn no_two_sites_redial_in_step() {
        let lost = error(ControlFailure::ConnectionLost);
        let pauses = || hours(&mut Pauses::default(), &lost, 5);
        assert_ne!(pauses(), pauses());
    }

    #[test]
    fn a_refused_login_waits_an_hour_and_then_longer_up_to_a_day() {
        for code in [0, 691] {
            let pauses = hours(&mut Pauses::default(), &login(code), 8);
            let least = [1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 24.0, 24.0];
            assert_eq!(pauses.len(), least.len(), "it is never given up");
            for (pause, least) in pauses.iter().zip(least) {
                assert!((least..=2.0 * least).contains(pause), "{code}: {pauses:?}");
            }
        }
    }

    #[test]
    fn what_cannot_help_has_no_pause() {
        let option = error(Failure::InvalidOption { option: "mru", wanted: "less" });
        let impostor = error(LinkFailure::ServerNotAuthentic);
        for reason in [error(Failure::Closed), option, impostor, login(647), login(648), login(649)]
        {
            assert_eq!(Pauses::default().after(&reason), None, "{reason}");
        }
    }

    #[test]
    fn another_reason_begins_with_its_own_pause() {
        let mut pauses = Pauses::default();
        let lost = error(ControlFailure::ConnectionLost);
        assert!(hours(&mut pauses, &lost, 10).iter().all(|pause| *pause <= 2.0 / 60.0));
        assert!(hours(&mut pauses, &login(691), 1)[0] >= 1.0);
        assert!(pauses.after(&lost).is_some_and(|pause| pause <= Duration::from_secs(2)));
        assert!(pauses.after(&lost).is_some_and(|pause| pause >= Duration::from_secs(2)));
        pauses.start_over();
        assert!(pauses.after(&lost).is_some_and(|pause| pause <= Duration::from_secs(2)));
        let pap = LinkFailure::AuthProtocolRefused { offered: None };
        let pause = pauses.after(&error(pap)).expect("an administrator may change it");
        assert!(pause >= Duration::from_mins(10), "{pause:?}");
    }
}
