//! Points in time as the engine sees them: milliseconds that somebody else read from a clock.
//!
//! There is no `now()` here and there never will be: time comes in with the call (design §4).

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long after `earlier` this is; zero when it isn't after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The second that it is in, as people read it: `2026-11-29 02:10:05 UTC`. What lies behind the year 9999 is "never".
    pub fn utc(self) -> String {
        let seconds = self.0 / 1000;
        let Some((year, month, day)) = date(seconds / DAY) else { return "never".to_owned() };
        let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// Seconds of a day.
const DAY: u64 = 86_400;
/// The last year that is written.
const LAST_YEAR: u64 = 9999;

/// Year, month and day that are so many days after 1970-01-01 in the Gregorian calendar.
fn date(mut days: u64) -> Option<(u64, u64, u64)> {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        if year == LAST_YEAR {
            return None;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    Some((year, month, days + 1))
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    /// Saturates, so that an absurd duration means "never" and can't wrap into the past.
    fn add(self, duration: Duration) -> Timestamp {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absurd_duration_means_never_and_cannot_wrap() {
        assert_eq!(Timestamp(5) + Duration::MAX, Timestamp(u64::MAX));
        assert_eq!(Timestamp(5) + Duration::from_millis(7), Timestamp(12));
    }

    #[test]
    fn people_read_the_second_in_utc() {
        assert_eq!(Timestamp(0).utc(), "1970-01-01 00:00:00 UTC");
        assert_eq!(Timestamp(951_782_399_999).utc(), "2000-02-28 23:59:59 UTC");
        assert_eq!(Timestamp(951_782_400_000).utc(), "2000-02-29 00:00:00 UTC");
        assert_eq!(Timestamp(1_795_918_205_000).utc(), "2026-11-29 02:10:05 UTC");
        assert_eq!(Timestamp(4_107_542_400_000).utc(), "2100-03-01 00:00:00 UTC");
        assert_eq!(Timestamp(u64::MAX).utc(), "never");
    }

    #[test]
    fn nothing_is_before_itself() {
        assert_eq!(Timestamp(12).since(Timestamp(5)), Duration::from_millis(7));
        assert_eq!(Timestamp(5).since(Timestamp(12)), Duration::ZERO);
    }
}
