//! Times in the configuration, as people write them: `500ms`, `10s`, `1h 30m`, `7d`.
//!
//! A day is 24 hours here: these are spans of waiting, not dates. Invariant: what is written by [`serialize`] is read back
//! as the same time.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

/// A time that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time: write 500ms, 10s, 5m, 12h or 7d")]
pub(super) struct NotATime(String);

/// Reads a time. Months and years are refused, since nobody knows how long they are.
pub(super) fn parse(text: &str) -> Result<Duration, NotATime> {
    let not_a_time = || NotATime(text.chars().take(64).collect());
    let span: Span = text.parse().map_err(|_| not_a_time())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| not_a_time())?;
    Duration::try_from(signed).map_err(|_| not_a_time())
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    const DAY: u64 = 24 * 3600;
    let whole_days = duration.subsec_nanos() == 0 && duration.as_secs() > 0 && duration.as_secs().is_multiple_of(DAY);
    if whole_days {
        return serializer.collect_str(&format_args!("{}d", duration.as_secs() / DAY));
    }
    let signed = SignedDuration::try_from(*duration).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&format_args!("{signed:#}"))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let milliseconds = |text| parse(text).unwrap().as_millis();
        assert_eq!(milliseconds("500ms"), 500);
        assert_eq!(milliseconds("10s"), 10_000);
        assert_eq!(milliseconds("1h 30m"), 5_400_000);
        assert_eq!(milliseconds("7d"), 7 * 24 * 3_600_000);
        for wrong in ["", "10", "ten seconds", "-5s", "1month", "1y"] {
            assert!(parse(wrong).unwrap_err().to_string().ends_with("write 500ms, 10s, 5m, 12h or 7d"), "{wrong}");
        }
    }
}
