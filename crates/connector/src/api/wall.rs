//! Times of the calendar, made of times of the clock that only runs on

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// One moment on both clocks
///
/// A moment is kept as [`Instant`], and becomes a time of the calendar only when it is shown: so it is right also after
/// the calendar was set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    now: Instant,
    wall: SystemTime,
}

impl Moment {
    /// Reads both clocks
    pub(super) fn now() -> Self {
        Self { now: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns the time of the calendar of a moment
    pub(super) fn wall(&self, at: Instant) -> SystemTime {
        let wall = if at > self.now {
            self.wall.checked_add(self.until(at))
        } else {
            self.wall.checked_sub(self.since(at))
        };
        wall.unwrap_or(self.wall)
    }

    /// Returns the time of the calendar of a moment, as in RFC 3339: `2026-03-01T12:01:07Z`
    pub(super) fn date(&self, at: Instant) -> String {
        date(self.wall(at))
    }

    /// Returns the time from a moment until now; zero if it is yet to come
    pub(super) fn since(&self, at: Instant) -> Duration {
        self.now.saturating_duration_since(at)
    }

    /// Returns the time from now until a moment; zero if it is over
    pub(super) fn until(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.now)
    }
}

/// Returns a time as in RFC 3339, in UTC and in seconds
pub(crate) fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns year, month and day of a number of days after 1970-01-01
///
/// By the calendar's eras of 400 years, with years that begin in March, so that the leap day is their last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(DAYS_BEFORE_1970);
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let leap_days = day_of_era / 1460 + day_of_era / 146_096;
    let year = day_of_era.saturating_add(day_of_era / 36_524).saturating_sub(leap_days) / 365;
    let before = (365 * year + year / 4).saturating_sub(year / 100);
    let day_of_year = day_of_era.saturating_sub(before);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year.saturating_sub((153 * month + 2) / 5) + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month.saturating_sub(9), 1) };
    (era.saturating_mul(400) + year + next, month, day)
}

/// Seconds of a day
const DAY: u64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01
const DAYS_BEFORE_1970: u64 = 719_468;

/// Days of 400 years
const DAYS_OF_ERA: u64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_795_934_467, "2026-11-29T06:41:07Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_before_and_one_to_come_have_their_dates() {
        let now = Instant::now() + Duration::from_mins(10);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let moment = Moment { now, wall };
        assert_eq!(moment.date(now - Duration::from_mins(1)), "1970-01-01T00:59:00Z");
        assert_eq!(moment.date(now + Duration::from_mins(1)), "1970-01-01T01:01:00Z");
        assert_eq!(moment.since(now + Duration::from_mins(1)), Duration::ZERO);
        assert_eq!(moment.until(now + Duration::from_mins(1)), Duration::from_mins(1));
    }
}
