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
    fn nothing_is_before_itself() {
        assert_eq!(Timestamp(12).since(Timestamp(5)), Duration::from_millis(7));
        assert_eq!(Timestamp(5).since(Timestamp(12)), Duration::ZERO);
    }
}
